"""Files written atomically, each with a checksum beside it that its readers verify."""

import fcntl
import glob
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from dualscale.runtime.digests import digest_file


@contextmanager
def atomic_write(path: str | Path, checksum: bool = True) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path, renamed when the block ends without error.

    With `checksum`, the file's SHA-256 is stored in a hidden file beside it, for readers to verify.
    It is renamed first: after a crash between the two, the old file fails verification.

    Raises:
        OSError: names the path, even if the writing library's error does not.
    """
    path = Path(path)
    with replacement(path) as part:
        yield part
        if checksum:
            with replacement(checksum_path(path)) as digest:
                digest.write_text(digest_file(part) + "\n")
        else:
            checksum_path(path).unlink(missing_ok=True)
    with suppress(OSError):  # some network file systems cannot sync folders
        flush(path.parent)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Yield a new hidden file, which replaces the path when the block ends without error.

    Its name is random and it is locked while its process lives: concurrent attempts never share
    one, and each removes files left by killed attempts.
    """
    for left in path.parent.glob(f".part.????????.{glob.escape(path.name)}"):
        with suppress(OSError), left.open("r+b") as locked:  # OSError: its process is alive
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def checksum_path(path: Path) -> Path:
    """Path of a file's stored checksum."""
    return path.with_name(f".{path.name}.sha256")


def require_unchanged(paths: Iterable[str | Path]) -> None:
    """Verify files against their stored checksums; files without one are not checked.

    Raises:
        ValueError: a file or its checksum is damaged or was changed after a job wrote it.
    """
    for path in map(Path, paths):
        stored = checksum_path(path)
        if not os.path.lexists(stored):
            continue
        # Request the file by name: if all files made from it exist, Snakemake skips it.
        remedy = f"delete it and make it again: snakemake … -- {path}"
        digest = stored.read_bytes().strip() if stored.is_file() else b""
        if not re.fullmatch(rb"[0-9a-f]{64}", digest):
            raise ValueError(f"{path} cannot be checked, {stored} is damaged: {remedy}")
        if not path.is_file() or digest_file(path).encode() != digest:
            raise ValueError(f"{path} is not as it was written, damaged or edited: {remedy}")


@contextmanager
def atomic_writes(paths: Iterable[str | Path]) -> Iterator[list[Path]]:
    """Write several files atomically together, as `atomic_write` does one."""
    with ExitStack() as stack:
        yield [stack.enter_context(atomic_write(path)) for path in paths]


def save_points(path: str | Path, points: np.ndarray) -> None:
    """Write points, (n, d), as npy in float32."""
    with atomic_write(path) as part, part.open("wb") as file:
        np.save(file, points.astype(np.float32, copy=False))
