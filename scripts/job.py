"""Behaviour shared by all scripts when run as jobs: logs, errors and output files."""

import fcntl
import glob
import hashlib
import json
import logging
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from at_work import at_work
from joblog import KILLED, PERMANENT, close_logs, open_logs
from orphans import is_orphan, keep, take_over
from provenance import KEY, require_planned

INTERRUPTED = 130
"""Exit status of a job interrupted by Ctrl-C: 128 plus the signal's number, as in shells."""
TERMINATED = 143
MAY_PASS = 1
PERMANENT_ERROR = 65
"""The exit status after an error that another attempt would end in as well: EX_DATAERR."""
STARTED = time.monotonic()
LONG = 600.0
"""Seconds of a search for neighbours from which on the user is told beforehand."""


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Log to the rule's files, wait for other jobs on the same output, and reject damaged inputs.

    An error is reported in full in the logs, and in one line to the user.
    """
    logging.raiseExceptions = False  # a full disk must not fail the job through its log
    try:
        open_logs(snakemake.log)
        signal.signal(signal.SIGTERM, terminate)
        makes = hashlib.sha256(repr((list(snakemake.input), snakemake.params)).encode()).hexdigest()
        outputs = list(map(Path, snakemake.output))
        with at_work(outputs[0], makes) as before:
            by_another = before is not None and before.makes == makes
            if (take_over(outputs, makes) or by_another) and all_made(outputs):
                logging.info("another job has made the same meanwhile: nothing is left to do")
                close_logs(snakemake.log)
                sys.exit(0)
            require_unchanged(snakemake.input)
            require_planned(snakemake.input, snakemake.params.get("planned", {}))
            yield
            if is_orphan():
                keep(outputs, makes)
        close_logs(snakemake.log)
    except KeyboardInterrupt:
        logging.info("interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        if logging.root.handlers:
            logging.exception(message)
            if not may_pass(error):
                logging.info(PERMANENT)
        tell(message)
        sys.exit(MAY_PASS if may_pass(error) else PERMANENT_ERROR)


def all_made(paths: Iterable[str | Path]) -> bool:
    """Whether all files are there, and as they were written."""
    try:
        require_unchanged(paths)
    except ValueError:
        return False
    return all(Path(path).exists() for path in paths)


def may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: errors of files, memory and devices can be transient."""
    passing = isinstance(error, OSError | MemoryError | RuntimeError)
    return passing and not isinstance(error, TimeoutError)


def terminate(*_: object) -> None:
    """Log SIGTERM, by which Slurm cancels jobs and ends those out of time, and exit."""
    logging.info("%sby signal 15 (SIGTERM): cancelled, or out of time", KILLED)
    sys.exit(TERMINATED)


def tell(message: str) -> None:
    """Print a line to standard error, which Snakemake shows the user."""
    print(f"{Path(sys.argv[0]).stem.split('.')[-1]}: {message}", file=sys.stderr)


def within_runtime(resources: Any) -> Callable[[float], None]:
    """Return a check of the expected seconds of a neighbour search.

    It raises TimeoutError if the search would outlast the job's `runtime` (in minutes, if set), and
    prints a line about a long search.
    """

    def check(seconds: float) -> None:
        limit = resources.get("runtime")
        hours, minutes = divmod(round(seconds / 60), 60)
        text = f"the search for neighbours takes about {hours} h {minutes} min"
        if limit is not None and time.monotonic() - STARTED + seconds > 60 * limit:
            raise TimeoutError(
                f"{text}, longer than the job's runtime of {limit} min allows: "
                "lower kl.real_points, or give the rule more runtime"
            )
        if seconds > LONG:
            logging.warning(text)
            tell(f"{text}; fewer kl.real_points would shorten it")

    return check


@contextmanager
def whole(path: str | Path, sealed: bool = True) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path, renamed when the block ends without error.

    If `sealed`, the file's SHA-256 is stored in a hidden file beside it, for readers to verify. The
    checksum is renamed first: after a crash between the two, the old file fails verification.

    Raises:
        OSError: names the path, even if the writing library's error does not.
    """
    path = Path(path)
    with replacement(path) as part:
        yield part
        if sealed:
            with replacement(seal(path)) as digest:
                digest.write_text(digest_file(part) + "\n")
        else:
            seal(path).unlink(missing_ok=True)
    with suppress(OSError):  # some network file systems cannot sync folders
        flush(path.parent)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Yield a new hidden file, which replaces the path when the block ends without error.

    Its name is random and it is locked while its process lives: concurrent attempts never share
    one, and each removes files left by killed attempts.
    """
    for left in path.parent.glob(f".part.????????.{glob.escape(path.name)}"):
        with suppress(OSError), left.open("r+b") as file:  # OSError: its process is alive
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    part = path.with_name(f".part.{secrets.token_hex(4)}.{path.name}")
    with ExitStack() as stack:
        try:
            file = stack.enter_context(part.open("xb"))
            stack.callback(part.unlink, missing_ok=True)
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield part
            flush(part)
            part.replace(path)
        except OSError as error:
            raise naming(path, part, error) from error


def flush(path: Path) -> None:
    """Sync a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def naming(path: Path, part: Path, error: OSError) -> OSError:
    """Return the error with the path in it, if it named none or the temporary file."""
    if error.filename is not None and str(error.filename) != str(part):
        return error
    if error.errno is None:  # NumPy hides the cause; another write raises it
        try:
            with part.open("ab") as file:
                file.write(bytes(2**20))
        except OSError as cause:
            error = cause
    if error.errno is None:
        return OSError(f"{path} cannot be written: {error}")
    return OSError(error.errno, os.strerror(error.errno), str(path))


def seal(path: Path) -> Path:
    """Path of a file's stored checksum."""
    return path.with_name(f".{path.name}.sha256")


def digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_unchanged(paths: Iterable[str | Path]) -> None:
    """Verify files against their stored checksums; files without one are not checked.

    Raises:
        ValueError: a file or its checksum is damaged or was changed after a job wrote it.
    """
    for path in map(Path, paths):
        checksum = seal(path)
        if not os.path.lexists(checksum):
            continue
        # Request the file by name: if all files made from it exist, Snakemake skips it.
        remedy = f"delete it and make it again: snakemake … -- {path}"
        digest = checksum.read_bytes().strip() if checksum.is_file() else b""
        if not re.fullmatch(rb"[0-9a-f]{64}", digest):
            raise ValueError(f"{path} cannot be checked, {checksum} is damaged: {remedy}")
        if not path.is_file() or digest_file(path).encode() != digest:
            raise ValueError(f"{path} is not as it was written, damaged or edited: {remedy}")


@contextmanager
def whole_group(paths: Iterable[str | Path]) -> Iterator[list[Path]]:
    """Write several files atomically together, as `whole` does one."""
    with ExitStack() as stack:
        yield [stack.enter_context(whole(path)) for path in paths]


def write_json(path: str | Path, record: Mapping) -> None:
    with whole(path) as part:
        part.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def write_texts(table: Any, outputs: Mapping[str, str]) -> None:
    """Write a `dualscale.reporting.tables.Table` in the formats of the outputs, except as CSV.

    Args:
        outputs: path of each format, such as "md", which is a method of the table.
    """
    for name in outputs.keys() - {"csv"}:
        with whole(outputs[name]) as part:
            part.write_text(getattr(table, name)(), encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Read a job's JSON record, without the digest of its settings.

    Raises:
        ValueError: the file is missing or is no record.
    """
    if not Path(path).is_file():  # reading a pipe would block
        raise ValueError(f"{path} is not a file")
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is not a record: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path} is not a record, but {type(record).__name__}")
    record.pop(KEY, None)
    return record


def trained_with(path: str | Path) -> list[int] | None:
    """Seeds that were trained together, from a training's record; None without one.

    A damaged record counts as none; the job that reads it next reports it.
    """
    try:
        seeds = read_json(path).get("seeds")
    except (OSError, ValueError):
        return None
    return seeds if isinstance(seeds, list) else None
