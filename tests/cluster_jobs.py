"""Snakemake on the jobs that a cluster has to deal with, for the tests of schedulers."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

CLUSTER = ROOT / "tests/cluster"
JOBS = ["--snakefile", CLUSTER / "Snakefile"]


def needs(scheduler, programs, packages):
    """Marks of tests that start a scheduler of their own."""
    missing = [name for name in programs if not shutil.which(name)]
    reason = f"{scheduler} is not installed: {', '.join(missing)} not found (Debian: {packages})"
    only_root = f"only root can start a {scheduler} of its own"
    return [
        pytest.mark.system,
        pytest.mark.skipif(bool(missing), reason=reason),
        pytest.mark.skipif(os.getuid() != 0, reason=only_root),
    ]


SLURM = needs(
    "Slurm",
    ["slurmctld", "slurmd", "sbatch", "munged"],
    "slurmctld slurmd slurm-client munge",
)


def started(folder, profile, *arguments):
    """Snakemake at work in a folder with one of the project's profiles."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", profile]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that runs the tests in the background has interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def require_gpu_for_one_job_at_a_time(process, folder):
    """Wait for `gpu_jobs`, whose jobs on the GPU may not overlap, while others run beside them."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    gpu, cpu = ([interval(folder / f"{kind}.{i}") for i in range(3)] for kind in ("gpu", "cpu"))
    assert not any(overlap(gpu[i], gpu[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert any(overlap(one, other) for one in gpu for other in cpu)


def interval(file):
    first, last = map(float, file.read_text().split())
    return first, last


def overlap(one, other):
    return one[0] < other[1] and other[0] < one[1]


def squeue(form, states="all"):
    command = ["squeue", "--noheader", "--states", states, "--format", form]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
