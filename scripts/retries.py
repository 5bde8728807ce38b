"""What is done about a job that failed: its log names the cause, and what would fail again ends.

`retries` count attempts and cannot tell why one failed.
"""

import logging
import re
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from joblog import CAUSE, is_permanent, name_cause

STATUS = re.compile(r"died with <Signals\.\w+: (\d+)>|non-zero exit status (\d+)")


class Retries(logging.Handler):
    """Listens to Snakemake's events.

    Args:
        running: gives the jobs that the scheduler holds for running, with those that just failed.
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
                cause = reason_of_slurm(reason, others) or reason_of_status(said)
                if cause and first.is_file():
                    name_cause(first, cause)
                if is_permanent(first):
                    self.give_up(number)

    def give_up(self, number: int) -> None:
        """Let a job, or the group that it is part of, have no attempt left."""
        for job in self.running():
            members = job.jobs if job.is_group() else [job]
            if any(member.jobid == number for member in members):
                job.attempt = job.restart_times + 1


def reason_of_slurm(message: str | None, logs: Iterable[Path]) -> str:
    """What the executor and Slurm's own log say of a job's end; empty where it ended itself."""
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs if log.is_file()]
    causes = [cause for text in texts for cause in CAUSE.findall(text)]
    if not message or ("'FAILED'" in message and not causes):
        return ""
    return " ".join([message.partition(" Detailed failure reason")[0], *causes])


def reason_of_status(text: str) -> str:
    """The signal that ended a script; empty where it ended by itself."""
    for died, status in STATUS.findall(text):
        number = int(died) if died else int(status) - 128
        if number in signal.valid_signals():
            name = signal.Signals(number).name
            memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            return f"by signal {number} ({name}){memory}"
    return ""
