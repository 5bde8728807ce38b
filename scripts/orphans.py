"""What a local job has made after its Snakemake was killed.

Nobody has noted that its output is whole, so that the next run deletes it and has it made again:
the next job finds it under a second name.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from at_work import start_of

SNAKEMAKE = "DUALSCALE_SNAKEMAKE"


def name_snakemake() -> None:
    """Tell the jobs of this process which it is."""
    os.environ[SNAKEMAKE] = f"{os.getpid()} {start_of(os.getpid())}"


def is_orphan() -> bool:
    """Whether the process that started this job has ended. Slurm's jobs have one on their node."""
    if SNAKEMAKE not in os.environ or "SLURM_JOB_ID" in os.environ:
        return False
    pid, _, start = os.environ[SNAKEMAKE].partition(" ")
    return start_of(int(pid)) != start


def keep(paths: Sequence[Path], makes: str) -> None:
    """Give the files a second name, and note what they were made with.

    Args:
        makes: as of `at_work.Worker`.
    """
    with suppress(OSError):  # a file system without hard links
        for path in paths:
            os.link(path, _kept(path))
        _note(paths).write_text(makes)


def take_over(paths: Sequence[Path], makes: str) -> bool:
    """Give kept files their names back; those that were made with anything else are removed."""
    if not _note(paths).exists():
        return False
    same = _note(paths).read_text() == makes
    for path in paths:
        with suppress(FileNotFoundError):
            if same:
                _kept(path).replace(path)
            else:
                _kept(path).unlink()
    _note(paths).unlink()
    return same


def _kept(path: Path) -> Path:
    return path.with_name(f".{path.name}.kept")


def _note(paths: Sequence[Path]) -> Path:
    return paths[0].with_name(f".{paths[0].name}.made")
