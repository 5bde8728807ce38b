"""The Slurm profile on a real Slurm of one node, with a GPU that is only a name."""

import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from functools import partial

import pandas as pd
import pytest
from cluster_jobs import CLUSTER, JOBS, SLURM, require_gpu_for_one_job_at_a_time, squeue, started
from conftest import ROOT, TINY, copy_project

PROFILE = ROOT / "workflow/profiles/slurm"
pytestmark = SLURM
HERE = ["--slurm-init-seconds-before-status-checks", "2"]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    subprocess.run([CLUSTER / "slurm", "start"], check=True)
    yield
    subprocess.run([CLUSTER / "slurm", "stop"], check=True)


@pytest.fixture
def jobs(tmp_path):
    """Starts Snakemake on the test jobs, in a folder of its own."""
    return partial(started, tmp_path, PROFILE, *HERE, *JOBS)


@contextmanager
def closed_node():
    """The node takes no job: what is submitted waits until it opens."""
    node = ["scontrol", "update", f"nodename={socket.gethostname().partition('.')[0]}"]
    subprocess.run([*node, "state=drain", "reason=test"], check=True)
    try:
        yield
    finally:
        subprocess.run([*node, "state=resume"], check=True)


def test_the_whole_workflow_runs_on_slurm(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    profile = ["--workflow-profile", "workflow/profiles/slurm", *HERE]
    done = project.run(*profile, "--config", "device=cpu")
    assert "submitted with SLURM jobid" in done.stdout + done.stderr
    assert len(pd.read_csv(project.path / "results/metrics.csv")) == 4
    assert (project.path / "results/paper/figure1.png").stat().st_size > 5000
    assert project.waiting(*profile, "--config", "device=cpu") == set()
    asked = squeue("%k %C %l %m").splitlines()  # comment, processors, time, memory
    assert "rule_kl_evaluate_kl 1 8:00 1000M" in asked, "members of a group run one by one"


def test_a_job_that_was_given_a_gpu_which_pytorch_cannot_use_says_so(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY | {"device": "auto"})
    model = "results/models/baseline/line/0.safetensors"
    profile = ["--workflow-profile", "workflow/profiles/slurm", *HERE, "--retries", "0"]
    done = project.snakemake(*profile, "--", model)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Training and sampling: on GPUs, one per job" in output
    assert "this job was given a GPU, and " in output


def test_what_was_planned_runs_whatever_is_edited_while_it_waits(finished, tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    planned = (project.path / "config.yaml").read_text()
    target = "results/models/adaptive/line/0.safetensors"
    project.run("--", "results/datasets/line.npy")
    with closed_node():
        process = started(project.path, PROFILE, *HERE, "--config", "device=cpu", "--", target)
        while not running():
            assert process.poll() is None
            time.sleep(0.2)
        project.configure(training={"steps": 40})
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert (project.path / target).read_bytes() == (finished.path / target).read_bytes()
    (project.path / "config.yaml").write_text(planned)
    assert project.waiting("--", target) == set()


def test_jobs_that_outlive_snakemake_are_named_at_the_next_start_and_their_results_kept(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    target = "results/models/adaptive/line/0.safetensors"
    arguments = [project.path, PROFILE, *HERE, "--config", "device=cpu", "--", target]
    project.run("--", "results/datasets/line.npy")
    with closed_node():
        process = started(*arguments)
        while not (project.path / ".snakemake/incomplete").exists() or not any(
            "external_jobid" in note.read_text() and "null" not in note.read_text()
            for note in (project.path / ".snakemake/incomplete").rglob("*")
            if note.is_file()
        ):
            assert process.poll() is None
            time.sleep(0.2)
        process.kill()
        process.communicate()
        project.run("--unlock")
        output, _ = started(*arguments).communicate(timeout=120)
        assert re.search(rf"still at work: Slurm job (\d+) on {target}.*scancel \1", output), output
    while running():
        time.sleep(0.5)
    made = (project.path / target).stat().st_mtime_ns
    output, _ = started(*arguments).communicate(timeout=120)
    assert "Nothing to be done" in output
    assert (project.path / target).stat().st_mtime_ns == made


def test_jobs_on_one_gpu_never_overlap_while_others_run_beside_them(jobs, tmp_path):
    require_gpu_for_one_job_at_a_time(jobs("gpu_jobs"), tmp_path)


def test_failures_are_retried_and_reported_with_their_reason(jobs, tmp_path):
    targets = ["fails.out", "wrong.out", "too_long.out", "too_big.out"]
    process = jobs("--retries", "1", "--", *targets)
    output, _ = process.communicate(timeout=400)
    assert process.returncode != 0
    assert (tmp_path / "attempts").read_text().count("attempt") == 2
    assert "fails.log" in output
    assert (tmp_path / "fails.log").read_text() == "the reason why\n"
    assert (tmp_path / "wrong_attempts").read_text().count("attempt") == 1
    assert "TIMEOUT" in output
    assert "SLURM status is: 'TIMEOUT'" in (tmp_path / "too_long.log").read_text()
    assert "DUE TO TIME LIMIT" in (tmp_path / "too_long.log").read_text()
    assert "exceeded memory limit" in (tmp_path / "too_big.log").read_text()
    assert not list(tmp_path.glob("*.out"))


def test_an_interrupt_cancels_what_was_submitted(jobs):
    process = jobs("--", "slow.1", "slow.2")
    while running() < 2:
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0, output
    deadline = time.monotonic() + 30
    while running() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert running() == 0


def running():
    return len(squeue("%i", states="RUNNING,PENDING,COMPLETING").splitlines())
