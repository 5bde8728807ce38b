"""Jobs on one machine share its GPUs, one each; the devices here are only names."""

import os
import re
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT, TINY, copy_project

from dualscale.runtime import lease

HOLD = """
import logging, sys, os
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
from dualscale.runtime.lease import lease_gpu
lease_gpu()
print("sees", os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Function that starts a process which holds a GPU until it is killed."""
    started = []

    def start(visible="first,second", **given):
        environment = {
            "CUDA_VISIBLE_DEVICES": visible,
            "TMPDIR": str(tmp_path),
            "PATH": "",
            **given,
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", HOLD],
                cwd=ROOT / "scripts",
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_jobs_take_different_gpus_and_say_which(hold):
    one, two = hold(), hold()
    lines = [process.stdout.readline().strip() for process in (one, two)]
    assert sorted(lines) == ["holding GPU first, one of 2", "holding GPU second, one of 2"]
    assert {process.stdout.readline().strip() for process in (one, two)} == {
        "sees first",
        "sees second",
    }


def test_a_job_too_many_waits_until_another_ends_even_by_a_crash(hold):
    first = hold("only")
    assert first.stdout.readline() == "holding GPU only, one of 1\n"
    second = hold("only")
    assert second.stdout.readline() == "waiting for one of 1 GPUs, all of them held\n"
    time.sleep(0.5)
    assert second.poll() is None
    first.kill()
    assert second.stdout.readline() == "holding GPU only, one of 1\n"


def test_gpus_of_two_slurm_allocations_are_two_though_they_share_a_name(hold):
    for allocation in ("7", "8"):
        assert hold("0", SLURM_JOB_ID=allocation).stdout.readline() == "holding GPU 0, one of 1\n"
    third = hold("0", SLURM_JOB_ID="8")
    assert third.stdout.readline() == "waiting for one of 1 GPUs, all of them held\n"


def test_numbers_are_looked_up_among_the_uuids_of_nvidia_smi(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n"
        "echo 'GPU 0: NVIDIA A100 (UUID: GPU-aa-1)'\n"
        "echo '  MIG 1g.10gb Device 0: (UUID: MIG-cc)'\n"
        "echo 'GPU 1: NVIDIA A100 (UUID: GPU-bb-2)'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert lease.visible_gpus() == ["GPU-aa-1", "GPU-bb-2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, GPU-xx, MIG-cc")
    assert lease.visible_gpus() == ["GPU-bb-2", "GPU-xx", "MIG-cc"]
    for hidden in ("", "-1", "-1,0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert lease.visible_gpus() == []
        assert lease.lease_gpu() is None


@pytest.fixture
def machine(tmp_path):
    """Number of GPUs that a training requests, on a machine whose nvidia-smi lists one."""
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY | {"device": "auto"})
    with (project.path / "Snakefile").open("a") as file:
        file.write("\n\nprint('GPUs a job:', GPUS, file=sys.stderr)\n")
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin/nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: GPU-aa-1)'\n")
    tool.chmod(0o755)
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("raise ImportError('slow')")

    def plan(build="'12.8'", arguments=(), **environment):
        (tmp_path / "torch/version.py").write_text(f"cuda = {build}\n")
        path = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--list-rules", *arguments],
            cwd=project.path,
            env={**os.environ, **path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(re.search(r"GPUs a job: (\d)", done.stderr)[1])

    return plan


def test_jobs_are_planned_on_the_gpu_that_is_there(machine, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine() == 1


def test_no_gpu_is_planned_where_all_are_hidden(machine):
    assert machine(CUDA_VISIBLE_DEVICES="") == 0


def test_no_gpu_is_planned_with_a_pytorch_for_cpus(machine, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine(build="None") == 0
    assert machine(build="None", arguments=["--sdm", "conda"]) == 1, "jobs have another PyTorch"


def test_the_installed_pytorch_is_known_for_what_it_is():
    assert lease.built_for_gpus() == (torch.version.cuda is not None)
