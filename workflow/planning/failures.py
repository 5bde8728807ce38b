"""Failed jobs: their causes in the logs, no retries that would fail again, and their errors.

Snakemake's `retries` only counts attempts, whatever the cause.
"""

import logging
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from dualscale.runtime import slurm
from execution.log import KILLED, is_permanent, last_attempt, name_cause

ERROR = re.compile(rf"^\d{{4}}-\d\d-\d\d \S+ (?:(.*)\nTraceback|({KILLED}.*))", flags=re.MULTILINE)
STATUS = re.compile(r"died with <Signals\.\w+: (\d+)>|non-zero exit status (\d+)")


class Retries(logging.Handler):
    """Log handler for Snakemake's events.

    Args:
        running: returns the scheduler's running jobs, including those that just failed.
    """

    def __init__(self, running: Callable[[], Iterable[Any]]):
        super().__init__()
        self.running = running
        self.said: dict[int | None, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        match record.__dict__:
            case {"event": LogEvent.ERROR}:
                self.said[record.thread] = record.getMessage()
            case {"event": LogEvent.JOB_ERROR, "jobid": number, "log": files, "rule_msg": reason}:
                first, *others = map(Path, files or [Path()])
                said = self.said.pop(record.thread, "")
                cause = slurm.cause_of_end(reason, others) or reason_of_status(said)
                if cause and first.is_file():
                    name_cause(first, cause)
                if is_permanent(first):
                    self.give_up(number)

    def give_up(self, number: int) -> None:
        """Cancel the remaining attempts of a job, or of the group that it belongs to."""
        for job in self.running():
            members = job.jobs if job.is_group() else [job]
            if any(member.jobid == number for member in members):
                job.attempt = job.restart_times + 1


class Interruption(logging.Handler):
    """Log handler that knows whether Ctrl-C, or a signal, has ended the run."""

    SAID = "Terminating processes on user request"

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def emit(self, record: logging.LogRecord) -> None:
        self.seen = self.seen or record.getMessage().startswith(self.SAID)


def reason_of_status(text: str) -> str:
    """Signal that ended a script; empty if it ended by itself."""
    for died, status in STATUS.findall(text):
        number = int(died) if died else int(status) - 128
        if number in signal.valid_signals():
            name = signal.Signals(number).name
            memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            return f"by signal {number} ({name}){memory}"
    return ""


def failures(logs: Iterable[Path], since: float) -> Iterator[tuple[Path, str]]:
    """Yield every log whose last attempt failed since a time, with its last error line.

    Older logs are not read, since there may be thousands; nor are unreadable ones, whose jobs have
    reported their errors.

    Args:
        since: time of the log's last write, in seconds since 1970.
    """
    for log in logs:
        errors = []
        with suppress(OSError):
            if log.is_file() and log.stat().st_mtime >= since:
                errors = ERROR.findall(last_attempt(log))
        if errors:
            yield log, "".join(errors[-1])
