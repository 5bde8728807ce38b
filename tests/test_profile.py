"""The profiles' plans without a cluster, and the jobs' report of their device."""

import logging
import re
import runpy
import sys

import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT, TINY, copy_project

from dualscale.runtime.devices import open_device

PROFILES = ["slurm", "sge"]


TELL = """

for rule in workflow.rules:
    if "gpu" in rule.resources:
        print("asks for GPUs:", rule.name, rule.resources["gpu"].raw, file=sys.stderr)
"""


@pytest.fixture(scope="module", params=PROFILES)
def asked(request, tmp_path_factory):
    """Number of GPUs that each rule requests under a profile, including rules of stacked seeds."""
    profile = ["--workflow-profile", f"workflow/profiles/{request.param}"]
    project = copy_project(ROOT, tmp_path_factory.mktemp("profile") / "project")
    run = {**TINY["run"], "seeds": [0, 1, 2], "seeds_per_job": 2}
    project.configure(**TINY | {"run": run, "device": "auto"})
    (project.path / "mine.yaml").write_text(yaml.safe_dump({"training": {"steps": 30}}))
    with (project.path / "Snakefile").open("a") as file:
        file.write(TELL)

    def ask(*arguments):
        done = project.run("--list-rules", *profile, *arguments)
        return dict(re.findall(r"^asks for GPUs: (\w+) (\d)$", done.stderr, re.MULTILINE))

    return ask


@pytest.mark.parametrize(
    "arguments", [["--configfile", "mine.yaml"], ["--config", "device=auto"]], ids=lambda a: a[0]
)
def test_the_profile_asks_for_gpus_whatever_else_the_command_line_says(asked, arguments):
    gpus = asked(*arguments)
    computing = re.compile(r"(train|sample|evaluate_steps)(_seeds\w*)?$")
    assert {number for rule, number in gpus.items() if computing.match(rule)} == {"1"}
    assert len([rule for rule in gpus if rule.startswith("train_seeds")]) == 1


def test_device_cpu_asks_for_no_gpu_under_the_same_profile(asked):
    assert set(asked("--config", "device=cpu").values()) == {"0"}


@pytest.fixture(scope="module", params=PROFILES)
def profile(request):
    return yaml.safe_load((ROOT / f"workflow/profiles/{request.param}/config.yaml").read_text())


@pytest.fixture(scope="module")
def measured():
    """Seconds of a processor per KL estimate, start included, by size of the groups."""
    rows = pd.read_csv(ROOT / "benchmarks/groups.csv")
    sizes = rows["way"].str.extract(r"^groups of (\d+)$")[0].dropna().astype(int)
    seconds = rows["last_result_seconds"] * rows["cores"] / rows["cells"]
    return {size: seconds[row] for row, size in sizes.items()}


def test_kl_estimates_are_grouped_as_was_measured_fastest(profile, measured):
    sizes = dict(pair.split("=") for pair in profile["group-components"])
    assert len(measured) > 1
    assert int(sizes["kl"]) == min(measured, key=measured.get)


def test_a_group_of_kl_estimates_asks_for_ample_time_but_not_for_hours(profile, measured):
    size = int(dict(pair.split("=") for pair in profile["group-components"])["kl"])
    minutes = profile["set-resources"]["evaluate_kl"]["runtime"]
    assert 60 * minutes > 10 * measured[size]
    assert minutes * size < 60


def test_a_run_and_its_jobs_say_in_their_first_lines_what_they_compute_on(project):
    target = "results/samples/baseline/line/0.npy"
    done = project.run("--forcerun", "sample", "--", target)
    assert "Training and sampling: on CPUs, as `device: cpu` says" in done.stdout + done.stderr
    log = (project.path / "results/logs/sample/baseline/line/0.log").read_text()
    assert "computing on the CPU" in "".join(log.splitlines()[:3])


def test_a_run_says_which_samples_will_be_of_initial_weights(project):
    done = project.run("--forcerun", "train", "--", "results/models/baseline/line/0.safetensors")
    assert "baseline: after 20 steps the EMA, which is sampled, still holds 99%" in done.stderr


def test_a_job_with_a_gpu_and_a_pytorch_for_cpus_says_so(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(ValueError, match="was given a GPU, and the installed PyTorch is a build"):
        open_device(1, 1)


def test_a_job_with_a_gpu_that_the_node_does_not_show_says_so(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RuntimeError, match=r"sees none on \S+ \(CUDA_VISIBLE_DEVICES: empty\)"):
        open_device(1, 1)


def test_drawing_on_a_gpu_that_is_missing_ends_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    script = str(ROOT / "scripts/draw.py")
    monkeypatch.setattr(sys, "argv", [script, "model", "points.npy", "--device", "cuda"])
    with pytest.raises(SystemExit, match=r"^draw: .*installed PyTorch is a build for CPUs[^\n]*$"):
        runpy.run_path(script, run_name="__main__")


def test_a_job_without_a_gpu_logs_that_it_computes_on_the_cpu(caplog):
    with caplog.at_level(logging.INFO):
        assert open_device(0, 1).type == "cpu"
    assert "computing on the CPU" in caplog.text
