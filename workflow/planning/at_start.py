"""Callback between Snakemake's planning and its first job."""

import logging
from collections.abc import Callable

from snakemake_interface_logger_plugins.common import LogEvent

NOTHING_TO_DO = "Nothing to be done"


class AtStart(logging.Handler):
    """Log handler that calls back once Snakemake has built the graph of jobs.

    Unlike `onstart`, it also does so with nothing to do, in dry runs, and as a module of a host.
    """

    def __init__(self, look: Callable[[], None]):
        super().__init__()
        self.look: Callable[[], None] | None = look

    def emit(self, record: logging.LogRecord) -> None:
        planned = getattr(record, "event", None) == LogEvent.RUN_INFO
        if self.look and (planned or record.getMessage().startswith(NOTHING_TO_DO)):
            look, self.look = self.look, None
            look()
