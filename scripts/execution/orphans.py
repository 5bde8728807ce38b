"""Outputs of local jobs that finished after their Snakemake was killed.

Snakemake has not recorded these outputs as complete, so the next run deletes them. They are kept
under a second name, where the next job finds them.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dualscale.runtime import slurm
from execution.at_work import start_of
from execution.log import kept_path

SNAKEMAKE = "DUALSCALE_SNAKEMAKE"


def name_snakemake() -> None:
    """Pass the identity of this Snakemake process to its jobs."""
    os.environ[SNAKEMAKE] = f"{os.getpid()} {start_of(os.getpid())}"


def is_orphan() -> bool:
    """Whether the Snakemake that started this job has ended; never so in Slurm jobs."""
    if SNAKEMAKE not in os.environ or slurm.own_job():
        return False
    pid, _, start = os.environ[SNAKEMAKE].partition(" ")
    return start_of(int(pid)) != start


def keep(paths: Sequence[Path], makes: str) -> None:
    """Give the files a second name, and record what they were made with.

    Args:
        makes: as in `at_work.Worker`.
    """
    with suppress(OSError):  # some file systems have no hard links
        for path in paths:
            os.link(path, kept_path(path))
        _note(paths).write_text(makes)


def take_over(paths: Sequence[Path], makes: str) -> bool:
    """Restore kept files to their names; remove those made with anything else."""
    if not _note(paths).exists():
        return False
    same = _note(paths).read_text() == makes
    for path in paths:
        with suppress(FileNotFoundError):
            if same:
                kept_path(path).replace(path)
            else:
                kept_path(path).unlink()
    _note(paths).unlink()
    return same


def _note(paths: Sequence[Path]) -> Path:
    return paths[0].with_name(f".{paths[0].name}.made")
