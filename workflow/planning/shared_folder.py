"""Folders in which several users run the workflow in turn."""

import errno
import getpass
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

LOOKED_AT = 100  # Snakemake metadata files to check; there may be thousands


def obstacle(folder: Path) -> str | None:
    """Message about a path that this user cannot write to, in another user's Snakemake folder.

    None if there is no such path.
    """
    for path in _written_to(folder):
        if not os.access(path, os.W_OK):
            if os.statvfs(path).f_flag & os.ST_RDONLY:
                return f"{path} cannot be written to: {os.strerror(errno.EROFS)}"
            return (
                f"{path} belongs to {_owner(path)}, and {getpass.getuser()} may not write to it: "
                "run in a folder of your own (--directory), or share this one "
                "(docs/guides/slurm.md)"
            )
    return None


def _written_to(folder: Path) -> Iterator[Path]:
    for name in (".snakemake", "results"):
        if (folder / name).is_dir():
            yield folder / name
    if os.access(folder / ".snakemake", os.R_OK | os.X_OK):
        parts = [path for path in (folder / ".snakemake").iterdir() if path.is_dir()]
        yield from parts
        for part in parts:
            if part.name == "metadata" and os.access(part, os.R_OK | os.X_OK):
                yield from islice(part.iterdir(), LOOKED_AT)


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"
