"""What another attempt can mend is tried again; the log tells of them all, and what ended each."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from dualscale.runtime import slurm
from execution.job import PERMANENT_ERROR, TERMINATED, job
from execution.log import is_permanent, name_cause
from planning.failures import reason_of_status

SNAKEFILE = f"""
import sys

sys.path[:0] = ["{ROOT / "scripts"}", "{ROOT / "workflow"}"]

from snakemake.logging import logger

from planning.failures import Retries

logger.addHandler(Retries(lambda: workflow.scheduler.running))


rule attempt:
    output:
        "{{name}}.out",
    log:
        "{{name}}.log",
    retries: 2
    script:
        "attempt.py"
"""
SCRIPT = """
import os
import signal
from pathlib import Path

from execution.job import job

with job(snakemake):
    name, tried = snakemake.wildcards.name, Path(f"{snakemake.wildcards.name}.attempts")
    with tried.open("a") as file:
        file.write("1")
    if name == "wrong":
        raise ValueError("points.csv: row 3 is empty")
    if len(tried.read_text()) < 3:
        if name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError("the disk is away")
    Path(snakemake.output[0]).touch()
"""


class Rule:
    """The part of Snakemake's object that `job` asks for."""

    input, params = (), {}

    def __init__(self, log):
        self.log, self.output = [log], [log.with_suffix(".out")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of three jobs: a wrong setting, a disk that comes back, a process that is killed."""
    folder = tmp_path_factory.mktemp("retries")
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "attempt.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going"]
    targets = ["wrong.out", "mended.out", "killed.out"]
    done = subprocess.run([*command, *targets], cwd=folder, capture_output=True, text=True)
    assert done.returncode != 0
    return folder


def test_an_error_of_ours_is_not_tried_again(run):
    assert (run / "wrong.attempts").read_text() == "1"
    assert not (run / "wrong.out").exists()


@pytest.mark.parametrize(
    ("name", "cause"),
    [("mended", "the disk is away"), ("killed", "killed: by signal 9 (SIGKILL)")],
)
def test_what_can_pass_is_tried_again_and_the_log_tells_of_every_attempt(run, name, cause):
    assert (run / f"{name}.attempts").read_text() == "111"
    assert (run / f"{name}.out").exists()
    log = (run / f"{name}.log").read_text()
    assert log.count("attempt on") == 3
    assert len(re.findall(rf"^2.* {re.escape(cause)}", log, flags=re.MULTILINE)) == 2


def test_a_log_that_ended_well_begins_anew(tmp_path):
    log = tmp_path / "0.log"
    for number in (1, 2):
        log.unlink(missing_ok=True)  # as Snakemake does
        with job(Rule(log)):
            pass
        assert log.read_text().count("attempt on") == 1, number
    assert list(tmp_path.iterdir()) == [log]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("wrong"), PERMANENT_ERROR),
        (KeyError("wrong"), PERMANENT_ERROR),
        (ArithmeticError("diverged"), PERMANENT_ERROR),
        (OSError("disk"), 1),
        (MemoryError(), 1),
        (RuntimeError("CUDA error"), 1),
    ],
    ids=repr,
)
def test_the_exit_status_says_whether_another_attempt_may_do_better(tmp_path, error, status):
    log = tmp_path / "0.log"
    with pytest.raises(SystemExit) as ended, job(Rule(log)):
        raise error
    assert ended.value.code == status
    assert is_permanent(log) == (status == PERMANENT_ERROR)


def test_a_job_that_is_cancelled_says_so(tmp_path):
    log = tmp_path / "0.log"
    code = (
        "import time; from pathlib import Path\n"
        "from execution.job import job; from test_retries import Rule\n"
        f"with job(Rule(Path({str(log)!r}))): print(flush=True); time.sleep(60)"
    )
    path = os.pathsep.join(map(str, (ROOT / "scripts", ROOT / "workflow", ROOT / "tests")))
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == TERMINATED
    assert "killed: by signal 15 (SIGTERM): cancelled, or out of time" in log.read_text()
    assert not is_permanent(log)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Command 'x' died with <Signals.SIGKILL: 9>.", "by signal 9 (SIGKILL), as the system"),
        ("Command 'x' returned non-zero exit status 137.", "by signal 9 (SIGKILL), as the system"),
        ("Command 'x' returned non-zero exit status 139.", "by signal 11 (SIGSEGV)"),
        ("Command 'x' returned non-zero exit status 1.", ""),
        ("Command 'x' returned non-zero exit status 65.", ""),
    ],
)
def test_the_signal_that_ended_a_process_is_named(text, reason):
    assert reason_of_status(text).startswith(reason)
    assert bool(reason) == bool(reason_of_status(text))


def test_what_slurm_says_of_a_job_goes_into_its_log(tmp_path):
    of_slurm, log = tmp_path / "7.log", tmp_path / "0.log"
    of_slurm.write_text("host: vm\n" + "slurmstepd-vm: error: Job 7 exceeded memory limit\n" * 2)
    log.write_text(f"{time.strftime('%Y-%m-%d')} 1 attempt on vm, Slurm job 7\n")
    status = "SLURM-job '7' failed, SLURM status is: 'FAILED'."
    reason = slurm.cause_of_end(f"{status} Detailed failure reason unavailable", [of_slurm])
    assert slurm.cause_of_end(status, []) == "", "it failed by itself"
    assert slurm.cause_of_end(status.replace("FAILED", "TIMEOUT"), []) != ""
    assert slurm.cause_of_end("For further error details see the log", []) == "", "not Slurm's"
    name_cause(log, reason)
    name_cause(log, reason)
    _, last = log.read_text().splitlines()
    assert last.endswith(f"killed: {status} Job 7 exceeded memory limit")
