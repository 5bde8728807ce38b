"""Behaviour shared by all scripts when run as jobs: binding of arguments, logs and errors.

Arguments of several scripts are described here:
    architecture: Python file of the model's class; None unless it is user-defined.
    figures, tables: one path per format.
    labels: labels by variant.
    neighbours: npz file of the real points, from find_neighbours.
    runtime: limit of the job in minutes, or None.
"""

import inspect
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from dualscale.runtime.digests import digest_settings
from dualscale.runtime.files import require_unchanged
from execution.at_work import at_work
from execution.log import KILLED, PERMANENT, close_logs, open_logs
from execution.orphans import is_orphan, keep, take_over
from execution.provenance import require_planned

INTERRUPTED = 130
"""Exit status of a job interrupted by Ctrl-C: 128 plus the signal's number, as in shells."""
TERMINATED = 143
TRANSIENT_ERROR = 1
PERMANENT_ERROR = 65
"""Exit status after an error that would recur on another attempt: EX_DATAERR."""
STARTED = time.monotonic()
LONG = 600.0
"""Expected seconds of a neighbour search above which the user is told beforehand."""
OF_THE_JOB = frozenset({"code", "planned"})
"""Params that are for Snakemake and `job`, not for `main`."""


def run(main: Callable[..., None], names: Mapping[str, Any]) -> None:
    """Run a script's main as the job that Snakemake started; on import, do nothing.

    Args:
        main: its parameters are bound by name (`bind`).
        names: the script's globals.
    """
    if snakemake := names.get("snakemake"):
        with job(snakemake):
            main(**bind(main, snakemake, Path(names["__file__"]).name))


def bind(main: Callable[..., None], snakemake: Any, script: str) -> dict[str, Any]:
    """Return the arguments of a script's main by name.

    They are the rule's input, output and params, each of which the main must take; a parameter that
    is none of these is a wildcard, a resource or `threads`. A parameter annotated Path gets a path,
    list[Path] a list of paths.

    Raises:
        ValueError: names the script and the parameter that the rule lacks or main does not take.
    """
    given = _given(snakemake, script)
    known = inspect.signature(main).parameters
    for name in sorted(given.keys() - known.keys() - OF_THE_JOB):
        raise ValueError(f"{script}: its rule gives {name!r}, which main does not take")
    around = {"threads": snakemake.threads}
    around |= dict(snakemake.resources.items()) | dict(snakemake.wildcards.items())
    arguments = {}
    for name, parameter in known.items():
        if name in given or name in around:
            value = given[name] if name in given else around[name]
            arguments[name] = _converted(value, parameter, script)
        elif parameter.default is parameter.empty:
            raise ValueError(f"{script}: its rule does not give {name!r}, which main takes")
    return arguments


def _given(snakemake: Any, script: str) -> dict[str, Any]:
    """Return a rule's input, output and params by name."""
    given: dict[str, Any] = {}
    for files in (snakemake.input, snakemake.output):
        named = [path for _, value in files.items() for path in _listed(value)]
        for path in set(files) - set(named):
            raise ValueError(f"{script}: its rule has no name for {path}")
    for part in (snakemake.input, snakemake.output, snakemake.params):
        for name, value in part.items():
            if name in given:
                raise ValueError(f"{script}: its rule gives {name!r} twice")
            given[name] = value
    return given


def _listed(value: Any) -> list:
    return [value] if isinstance(value, str | Path) else list(value)


def _converted(value: Any, parameter: inspect.Parameter, script: str) -> Any:
    kind = parameter.annotation
    if kind == list[Path]:
        return [Path(path) for path in _listed(value)]
    if Path in (kind, *get_args(kind)):
        if not isinstance(value, str | Path):
            raise ValueError(f"{script}: its rule gives several files for {parameter.name!r}")
        return Path(value)
    return int(value) if kind is int else value


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Log to the rule's files, wait for other jobs on the same output, and reject damaged inputs.

    An error is reported in full in the logs, and in one line to the user.
    """
    logging.raiseExceptions = False  # a full disk must not fail the job through its log
    try:
        open_logs(snakemake.log)
        signal.signal(signal.SIGTERM, terminate)
        makes = digest_settings(repr((list(snakemake.input), snakemake.params)))
        outputs = list(map(Path, snakemake.output))
        with at_work(outputs[0], makes) as before:
            by_another = before is not None and before.makes == makes
            if (take_over(outputs, makes) or by_another) and all_made(outputs):
                logging.info("another job has made the same files meanwhile: nothing is left to do")
                close_logs(snakemake.log)
                sys.exit(0)
            require_unchanged(snakemake.input)
            require_planned(snakemake.input, snakemake.params.get("planned", {}))
            yield
            if is_orphan():
                keep(outputs, makes)
        close_logs(snakemake.log)
    except KeyboardInterrupt:
        logging.info("interrupted")
        sys.exit(INTERRUPTED)
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        if logging.root.handlers:
            logging.exception(message)
            if not may_pass(error):
                logging.info(PERMANENT)
        tell(message)
        sys.exit(TRANSIENT_ERROR if may_pass(error) else PERMANENT_ERROR)


def all_made(paths: Iterable[str | Path]) -> bool:
    """Whether all files are there, and as they were written."""
    try:
        require_unchanged(paths)
    except ValueError:
        return False
    return all(Path(path).exists() for path in paths)


def may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: errors of files, memory and devices can be transient."""
    passing = isinstance(error, OSError | MemoryError | RuntimeError)
    return passing and not isinstance(error, TimeoutError)


def terminate(*_: object) -> None:
    """Log SIGTERM, by which Slurm cancels jobs and ends those out of time, and exit."""
    logging.info("%sby signal 15 (SIGTERM): cancelled, or out of time", KILLED)
    sys.exit(TERMINATED)


def tell(message: str) -> None:
    """Print a line to standard error, which Snakemake shows the user."""
    print(f"{Path(sys.argv[0]).stem.split('.')[-1]}: {message}", file=sys.stderr)


def within_runtime(limit: int | None) -> Callable[[float], None]:
    """Return a check of the expected seconds of a neighbour search.

    It raises TimeoutError if the search would outlast the job's `runtime` (in minutes, if set), and
    prints a line about a long search.
    """

    def check(seconds: float) -> None:
        hours, minutes = divmod(round(seconds / 60), 60)
        text = f"the search for neighbours takes about {hours} h {minutes} min"
        if limit is not None and time.monotonic() - STARTED + seconds > 60 * limit:
            raise TimeoutError(
                f"{text}, longer than the job's runtime of {limit} min allows: "
                "lower kl.real_points, or give the rule more runtime"
            )
        if seconds > LONG:
            logging.warning(text)
            tell(f"{text}; fewer kl.real_points would shorten it")

    return check
