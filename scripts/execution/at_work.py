"""Markers beside files that jobs are working on, verified by asking the process or Slurm.

Jobs outlive a killed Snakemake. Later jobs must neither disturb them nor repeat their work.
"""

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dualscale.runtime import slurm

WAIT_SECONDS = 5.0
SETTLE_SECONDS = 0.5
"""Wait after replacing a dead job's marker, so that all see the last of several replacements."""


class BusyError(Exception):
    """Another job may be working on a file, and this machine cannot tell whether it is."""


@dataclass(frozen=True)
class Worker:
    """Process of a job.

    Args:
        started: start of the process, from `start_of`: a later process may have the same number.
        slurm: number of its Slurm job.
        makes: digest of what it makes; jobs with equal digests write the same files.
    """

    host: str
    pid: int
    started: str | None
    slurm: str | None
    makes: str

    @classmethod
    def this(cls, makes: str) -> "Worker":
        pid = os.getpid()
        return cls(socket.gethostname(), pid, start_of(pid), slurm.own_job(), makes)

    def alive(self) -> bool | None:
        """Whether the process runs; None if it is on another host and Slurm cannot tell."""
        if self.host == socket.gethostname():
            return self.started is not None and self.started == start_of(self.pid)
        if self.slurm is None:
            return None
        if self.slurm == slurm.own_job():
            return False  # this very job, before Slurm sent it to another node
        return slurm.has_job(self.slurm)

    @property
    def cancel(self) -> str:
        """Command that ends the process, to be run on its machine."""
        if self.slurm is not None:
            return slurm.cancel_command(self.slurm)
        return f"kill {self.pid}"

    def __str__(self) -> str:
        if self.slurm is not None:
            return slurm.label(self.slurm)
        return f"process {self.pid} on {self.host}"


def start_of(pid: int) -> str | None:
    """Boot ID of the system and start of a process in clock ticks; None without such a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] == "Z":
            return None
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"
    except OSError:
        return None


def marker(path: Path) -> Path:
    return path.with_name(f".{path.name}.job")


def worker_on(path: Path) -> Worker | None:
    """Worker named by a file's marker; None without a marker."""
    try:
        return Worker(**json.loads(marker(path).read_text()))
    except (OSError, TypeError, ValueError):
        return None


@contextmanager
def at_work(path: Path, makes: str) -> Iterator[Worker | None]:
    """Wait for all others working on a file, then hold its marker.

    Yields: the last worker that was waited for, or None.

    Raises:
        BusyError: says what to do.
    """
    me, before = Worker.this(makes), None
    path.parent.mkdir(parents=True, exist_ok=True)
    while (other := _take(path, me)) != me:
        alive = other is not None and other.alive()
        if alive is None:
            raise BusyError(
                f"{other} may be at work on {path}, and cannot be asked from here: once it has "
                f"ended, delete {marker(path)} and run again"
            )
        if not alive:
            _replace(path, me, other)
            continue
        if before != other:
            logging.info("waiting for %s, which is at work on the same files", other)
            before = other
        time.sleep(WAIT_SECONDS)
    try:
        yield before
    finally:
        if worker_on(path) == me:
            marker(path).unlink(missing_ok=True)


def _take(path: Path, me: Worker) -> Worker | None:
    """Place a marker if there is none, and return the worker that the marker then names."""
    if worker_on(path) != me:
        with _new(path, me) as new:
            try:
                os.link(new, marker(path))  # unlike a renaming, never over another
            except FileExistsError:
                pass  # another was faster, and is returned
            except OSError:  # a file system without hard links
                if not marker(path).exists():
                    new.replace(marker(path))
    return worker_on(path)


def _replace(path: Path, me: Worker, dead: Worker | None) -> None:
    """Take over a dead worker's marker; of several who try at once, the last has it."""
    with _new(path, me) as new:
        if worker_on(path) == dead:
            new.replace(marker(path))
            time.sleep(SETTLE_SECONDS)


@contextmanager
def _new(path: Path, me: Worker) -> Iterator[Path]:
    new = path.with_name(f".{secrets.token_hex(4)}.{path.name}.job")
    try:
        new.write_text(json.dumps(asdict(me)))
        yield new
    finally:
        new.unlink(missing_ok=True)
