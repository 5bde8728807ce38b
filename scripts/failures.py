"""What went wrong in a run, from the logs of its jobs."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from joblog import KILLED, last_attempt

ERROR = re.compile(rf"^\d{{4}}-\d\d-\d\d \S+ (?:(.*)\nTraceback|({KILLED}.*))", flags=re.MULTILINE)


def failures(logs: Iterable[Path], since: float) -> Iterator[tuple[Path, str]]:
    """The logs that were written since a time (in seconds since 1970) and whose last attempt
    failed, each with the line of its last error. Older logs, of which there may be many thousands,
    are not read, nor those that cannot be: their jobs have said so."""
    for log in logs:
        errors = []
        with suppress(OSError):
            if log.is_file() and log.stat().st_mtime >= since:
                errors = ERROR.findall(last_attempt(log))
        if errors:
            yield log, "".join(errors[-1])
