"""Errors of a run, collected from its jobs' logs."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from joblog import KILLED, last_attempt

ERROR = re.compile(rf"^\d{{4}}-\d\d-\d\d \S+ (?:(.*)\nTraceback|({KILLED}.*))", flags=re.MULTILINE)


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
