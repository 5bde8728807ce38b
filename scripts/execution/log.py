"""Log of a job over all its attempts; Snakemake deletes log files before each of them."""

import logging
import os
import re
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dualscale.runtime import slurm

FORMAT = "%(asctime)s %(message)s"
ATTEMPT = "attempt on "
"""Beginning of the first line of an attempt."""
PERMANENT = "it would fail again: not tried again"
KILLED = "killed: "
"""Beginning of the line that names what ended a job from outside."""


def open_logs(paths: Iterable[str | Path]) -> None:
    """Log to the files, appending to what earlier failed attempts have written."""
    handlers = []
    for path in map(Path, paths):
        with suppress(FileNotFoundError):
            kept_path(path).replace(path)
        handlers.append(logging.FileHandler(path, mode="a", encoding="utf-8"))
        with suppress(OSError):  # without hard links, the log begins anew at each attempt
            if path.is_file():
                os.link(path, kept_path(path))
    logging.basicConfig(handlers=handlers, level=logging.INFO, format=FORMAT, force=True)
    job = slurm.own_job()
    place = slurm.label(job) if job else f"process {os.getpid()}"
    logging.info("%s%s, %s", ATTEMPT, socket.gethostname(), place)


def close_logs(paths: Iterable[str | Path]) -> None:
    """Mark an attempt as successful: the next job with these logs starts them anew."""
    for path in map(Path, paths):
        kept_path(path).unlink(missing_ok=True)


def kept_path(path: Path) -> Path:
    """Path of a hard link to a file, which Snakemake does not delete."""
    return path.with_name(f".{path.name}.kept")


def last_attempt(log: Path) -> str:
    """Text written by the last attempt; empty without a log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return re.split(rf"^.*{ATTEMPT}", text, flags=re.MULTILINE)[-1]


def is_permanent(log: Path) -> bool:
    """Whether the last attempt ended in an error that would recur in another."""
    return last_attempt(log).rstrip().endswith(PERMANENT)


def name_cause(log: Path, cause: str) -> None:
    """Append the cause of the last attempt's end, unless it has logged its own error."""
    cause, last = f"{KILLED}{' '.join(cause.split())}", last_attempt(log)
    if "\nTraceback" in last or cause in last:
        return
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')},000 {cause}\n"
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(line)
