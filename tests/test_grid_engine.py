"""The profile for Grid Engine on a real one of one host, with a GPU that is only a name."""

import re
import signal
import subprocess
import time
from functools import partial

import pandas as pd
import pytest
from cluster_jobs import CLUSTER, JOBS, needs, require_gpu_for_one_job_at_a_time, started
from conftest import ROOT, TINY, copy_project

PROFILE = ROOT / "workflow/profiles/sge"

pytestmark = needs(
    "Grid Engine",
    ["sge_qmaster", "sge_execd", "qsub"],
    "gridengine-master gridengine-exec gridengine-client",
)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    command = CLUSTER / "grid_engine"
    subprocess.run([command, "start"], check=True)
    found = subprocess.run([command, "environment"], capture_output=True, text=True, check=True)
    with pytest.MonkeyPatch.context() as patch:
        for line in found.stdout.splitlines():
            patch.setenv(*line.split("=", 1))
        yield
    subprocess.run([command, "stop"], check=True)


@pytest.fixture
def jobs(tmp_path):
    """Starts Snakemake on the test jobs, in a folder of its own."""
    return partial(started, tmp_path, PROFILE, *JOBS)


def at_work():
    """Lines of the queue, one per job."""
    done = subprocess.run(["qstat", "-u", "*"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[2:]


def test_the_whole_workflow_runs_on_grid_engine(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    profile = ["--workflow-profile", "workflow/profiles/sge", "--config", "device=cpu"]
    done = project.run(*profile)
    assert "with external jobid" in done.stdout + done.stderr
    assert len(pd.read_csv(project.path / "results/metrics.csv")) == 4
    assert (project.path / "results/paper/figure1.png").stat().st_size > 5000
    assert project.waiting(*profile) == set()


def test_jobs_on_one_gpu_never_overlap_while_others_run_beside_them(jobs, tmp_path):
    require_gpu_for_one_job_at_a_time(jobs("gpu_jobs"), tmp_path)


def test_failures_are_retried_and_time_limits_end_jobs(jobs, tmp_path):
    process = jobs("--retries", "1", "--", "fails.out", "wrong.out", "too_long.out")
    output, _ = process.communicate(timeout=400)
    assert process.returncode != 0
    assert (tmp_path / "attempts").read_text().count("attempt") == 2
    assert (tmp_path / "fails.log").read_text() == "the reason why\n"
    assert (tmp_path / "wrong_attempts").read_text().count("attempt") == 1
    assert "Error in rule too_long" in output
    assert re.search(r"Grid Engine, job \d+: failed +\d+ .*h_rt", output)
    assert not list(tmp_path.glob("*.out"))


def test_an_interrupt_cancels_what_was_submitted(jobs):
    process = jobs("--", "slow.1", "slow.2")
    while len(at_work()) < 2:
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0, output
    deadline = time.monotonic() + 30
    while at_work() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert at_work() == []
