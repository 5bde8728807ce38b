"""Estimate of the time until the workflow is done."""

import logging
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable

from snakemake_interface_logger_plugins.common import LogEvent

from dualscale.runtime.environment import seconds

SHOWN_SECONDS = seconds("DUALSCALE_PROGRESS_SECONDS", 60.0)


class TimeLeft(logging.Handler):
    """Log handler that prints the estimated time left, at most once a minute.

    A remaining job is assumed to take its stage's mean time so far, at the mean number of
    concurrent jobs so far. Stages without a finished job count as zero; while one of them has
    several jobs, the estimate is prefixed with "at least".
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self.clock = clock
        self.begun = self.said = clock()
        self.left: Counter[str] = Counter()
        self.running: dict[int, tuple[str, float]] = {}
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def emit(self, record: logging.LogRecord) -> None:
        match record.__dict__:
            case {"event": LogEvent.RUN_INFO, "stats": {"total": _, **jobs}}:
                self.begun = self.said = self.clock()
                for rule, number in jobs.items():
                    self.left[stage(rule)] += number
            case {"event": LogEvent.JOB_INFO, "jobid": job, "rule_name": rule}:
                self.running[job] = stage(rule), self.clock()
            case {"event": LogEvent.JOB_FINISHED, "job_id": job} if job in self.running:
                name, start = self.running.pop(job)
                self.seconds[name].append(self.clock() - start)
                self.left[name] -= 1
                self.say()

    def estimate(self) -> float:
        """Seconds until all jobs are done."""
        now = self.clock()
        means = {name: sum(taken) / len(taken) for name, taken in self.seconds.items()}
        work = sum(mean * self.left[name] for name, mean in means.items())
        under_way = [(now - start, means.get(name, 0.0)) for name, start in self.running.values()]
        done = sum(map(sum, self.seconds.values())) + sum(elapsed for elapsed, _ in under_way)
        work -= sum(min(elapsed, mean) for elapsed, mean in under_way)
        return work * (now - self.begun) / done

    def say(self) -> None:
        if self.clock() - self.said > SHOWN_SECONDS and self.left.total() > 0:
            self.said = self.clock()
            unknown = any(n > 1 and name not in self.seconds for name, n in self.left.items())
            sure, minutes = "at least" if unknown else "about", round(self.estimate() / 60)
            left = f"{sure} {minutes} min" if minutes else "less than a minute"
            print(f"  {left} left in all", file=sys.stderr)


def stage(rule: str) -> str:
    """Rule name without the seeds of a stack, which Snakemake sees as separate rules."""
    return rule.partition("_seeds_")[0]
