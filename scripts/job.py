"""What every script shares when it runs as a job: its log, its errors and its output files."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def logged(*logs: str) -> Iterator[None]:
    """Log to every file; an error goes there whole, and to the user as one line."""
    logging.basicConfig(
        handlers=[logging.FileHandler(log, mode="w", encoding="utf-8") for log in logs],
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        force=True,
    )
    try:
        yield
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        logging.exception(message)
        print(f"{Path(sys.argv[0]).stem.split('.')[-1]}: {message}", file=sys.stderr)
        sys.exit(1)


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to; it takes the real name only once the block has ended well."""
    path = Path(path)
    part = path.with_name(f".part.{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
