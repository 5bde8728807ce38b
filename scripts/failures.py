"""What went wrong in a run, from the logs of its jobs."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

ERROR = re.compile(r"^\d{4}-\d\d-\d\d \S+ (.*)\nTraceback", flags=re.MULTILINE)


def failures(logs: Iterable[Path], since: float) -> Iterator[tuple[Path, str]]:
    """The logs that were written since a time (in seconds since 1970) and hold an error, each with
    the line of its last one. Older logs, of which there may be many thousands, are not read, nor
    those that cannot be: their jobs have said so."""
    for log in logs:
        errors = []
        with suppress(OSError):
            if log.is_file() and log.stat().st_mtime >= since:
                errors = ERROR.findall(log.read_text(encoding="utf-8", errors="replace"))
        if errors:
            yield log, errors[-1]
