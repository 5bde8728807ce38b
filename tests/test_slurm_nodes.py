"""The Slurm profile on a real Slurm of two nodes, each with its own name, processes and address."""

import os
import shutil
import subprocess
import time

import pytest
from cluster_jobs import CLUSTER, SLURM, squeue, started
from conftest import ROOT, TINY, copy_project

PROFILE = ROOT / "workflow/profiles/slurm"
VARIANTS = TINY["run"]["variants"]


def namespaces_are_allowed():
    links = "ip link add name br0 type bridge && ip link add name eth0 type veth peer name eth1"
    bridge = ["sh", "-c", links]
    command = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", *bridge]
    return shutil.which("ip") and subprocess.run(command, capture_output=True).returncode == 0


pytestmark = [
    *SLURM,
    pytest.mark.skipif(
        os.getuid() == 0 and not namespaces_are_allowed(),
        reason="nodes of their own need iproute2 and the right to make namespaces",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    subprocess.run([CLUSTER / "slurm", "start", "2"], check=True)
    yield
    subprocess.run([CLUSTER / "slurm", "stop"], check=True)


def test_jobs_of_a_node_that_dies_go_on_elsewhere_from_their_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("DUALSCALE_CHECKPOINT_SECONDS", "0")
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY | {"training": {"steps": 40_000, "batch_size": 8}})
    models = [f"results/models/{variant}/line/0.safetensors" for variant in VARIANTS]
    project.run("--", "results/datasets/line.npy")
    soon = ["--slurm-init-seconds-before-status-checks", "2"]
    alone = ["--set-resources", "train:cpus_per_task=4"]  # all that a node has
    process = started(project.path, PROFILE, *soon, *alone, "--", *models)
    checkpoints = [(project.path / model).with_name(".0.checkpoint") for model in models]
    while not all(path.exists() for path in checkpoints):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    at_work = jobs_of_training("RUNNING")
    assert set(at_work) == {"RUNNING node1", "RUNNING node2"}
    subprocess.run([CLUSTER / "slurm", "kill", "node1"], check=True)
    deadline = time.monotonic() + 120
    while not (lost := squeue("%i", states="PENDING").split()):
        assert time.monotonic() < deadline, squeue("%i %T %N")
        time.sleep(0.5)
    # Slurm would wait for two minutes, in which a node may start again.
    subprocess.run(["scontrol", "update", f"job={lost[0]}", "starttime=now"], check=True)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert jobs_of_training("all") == ["COMPLETED node2", "COMPLETED node2"]
    logs = [project.path / f"results/logs/train/{name}/line/0.log" for name in VARIANTS]
    assert sum("going on from step" in log.read_text() for log in logs) == 1
    assert all((project.path / model).exists() for model in models)


def jobs_of_training(states):
    """State and node of each job that trains."""
    lines = [line.split() for line in squeue("%k %T %N", states).splitlines()]
    return sorted(f"{state} {node}" for rule, state, node in lines if rule.startswith("rule_train"))
