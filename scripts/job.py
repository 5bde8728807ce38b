"""What every script shares when it runs as a job: its log, its errors and its output files."""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Log to the rule's files, and refuse damaged inputs; an error goes to the logs whole, and to
    the user as one line."""
    logging.basicConfig(
        handlers=[logging.FileHandler(log, mode="w", encoding="utf-8") for log in snakemake.log],
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        force=True,
    )
    try:
        require_unchanged(snakemake.input)
        yield
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        logging.exception(message)
        print(f"{Path(sys.argv[0]).stem.split('.')[-1]}: {message}", file=sys.stderr)
        sys.exit(1)


@contextmanager
def whole(path: str | Path, sealed: bool = True) -> Iterator[Path]:
    """A temporary path to write to; it takes the real name only once the block has ended well.

    Sealed, it has its SHA-256 beside it, hidden: who reads it later sees whether it is the same.
    """
    path = Path(path)
    part = path.with_name(f".part.{path.name}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        content = digest_file(part) if sealed else None
        seal(path).unlink(missing_ok=True)
        part.replace(path)
        if content:
            seal(path).write_text(content + "\n")
    finally:
        part.unlink(missing_ok=True)


def seal(path: Path) -> Path:
    """Where the digest of a file lies."""
    return path.with_name(f".{path.name}.sha256")


def digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_unchanged(paths: Iterable[str | Path]) -> None:
    """
    Raises:
        ValueError: a file is not as a job wrote it; files that no job wrote are not looked at.
    """
    for path in map(Path, paths):
        if seal(path).exists() and seal(path).read_text().strip() != digest_file(path):
            raise ValueError(
                f"{path} is not as it was written, damaged or edited: delete it and run again"
            )


@contextmanager
def whole_group(paths: Iterable[str | Path]) -> Iterator[list[Path]]:
    """The same for several files that are written together."""
    with ExitStack() as stack:
        yield [stack.enter_context(whole(path)) for path in paths]


def write_json(path: str | Path, record: Mapping) -> None:
    with whole(path) as part:
        part.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def read_json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text())
