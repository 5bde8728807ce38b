"""What is looked at once Snakemake knows what it is going to do, and before it does it."""

import logging
from collections.abc import Callable

from snakemake_interface_logger_plugins.common import LogEvent

NOTHING_TO_DO = "Nothing to be done"


class AtStart(logging.Handler):
    """Listens to Snakemake's events, and calls back when the graph of jobs stands.

    Unlike `onstart`, also where nothing is to be done, in dry runs, and as a module of a host.
    """

    def __init__(self, look: Callable[[], None]):
        super().__init__()
        self.look: Callable[[], None] | None = look

    def emit(self, record: logging.LogRecord) -> None:
        planned = getattr(record, "event", None) == LogEvent.RUN_INFO
        if self.look and (planned or record.getMessage().startswith(NOTHING_TO_DO)):
            look, self.look = self.look, None
            look()
