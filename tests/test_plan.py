"""Jobs compute what was planned, whatever is edited afterwards."""

import os
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT, TINY, copy_project

from planning import plan

HOST = """
import os


configfile: "host.yaml"


module short:
    snakefile: "Snakefile"
    config: config["short"]
    prefix: "short"


module long:
    snakefile: "Snakefile"
    config: config["long"]
    prefix: "long"


use rule * from short as short_*
use rule * from long as long_*

if workflow.is_main_process:
    with open("plan", "w") as file:
        file.write(os.environ["DUALSCALE_PLAN"])
"""


def run_job(folder, rule, **wildcards):
    """Run one job from the kept plan, as an executor does on another machine."""
    values = ",".join(f"{name}={value}" for name, value in wildcards.items())
    done = subprocess.run(
        [
            *[sys.executable, "-m", "snakemake", "--snakefile", "Host.smk", "--cores", "1"],
            *["--mode", "remote", "--target-jobs", f"{rule}:{values}", "--allowed-rules", rule],
            *["--force", "--nolock", "--ignore-incomplete"],
        ],
        cwd=folder,
        env={**os.environ, plan.VARIABLE: (folder / "plan").read_text()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def keep_plan(project):
    """Plan a run, and keep what it passes to its jobs."""
    (project.path / "Host.smk").write_text(
        'include: "Snakefile"\nif workflow.is_main_process:\n'
        '    Path("plan").write_text(os.environ["DUALSCALE_PLAN"])\n'
    )
    project.run("--dry-run", "--snakefile", "Host.smk")


def test_a_job_computes_what_was_planned_whatever_the_files_say_when_it_starts(project):
    model = project.path / "results/models/adaptive/line/0.safetensors"
    before = model.read_bytes()
    keep_plan(project)
    project.configure(training={"steps": 40})
    run_job(project.path, "train", variant="adaptive", dataset="line", seed=0)
    assert model.read_bytes() == before
    (project.path / "config.yaml").write_text("run: {broken")
    run_job(project.path, "train", variant="adaptive", dataset="line", seed=0)
    assert model.read_bytes() == before


def test_two_modules_of_one_host_are_handed_a_plan_each(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    tiny = yaml.safe_load((project.path / "config.yaml").read_text())
    (project.path / "Host.smk").write_text(HOST)

    def configure(**steps):
        for name, count in steps.items():
            steps[name] = {**tiny, "training": {**tiny["training"], "steps": count}}
        (project.path / "host.yaml").write_text(yaml.safe_dump(steps))

    configure(short=20, long=40)
    targets = [f"{name}/results/datasets/line.npy" for name in ("short", "long")]
    project.run("--snakefile", "Host.smk", "--", *targets)
    configure(short=60, long=60)
    for name, count in (("short", 20), ("long", 40)):
        run_job(project.path, f"{name}_train", variant="baseline", dataset="line", seed=0)
        log = (project.path / f"{name}/results/logs/train/baseline/line/0.log").read_text()
        assert f"step {count} of {count}" in log


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "has no value: the executor must hand on the variables"),
        ("e30", "is damaged"),
        ("AAAA", "is damaged"),
    ],
)
def test_a_job_without_a_whole_plan_ends_in_a_line(monkeypatch, value, message):
    monkeypatch.delenv(plan.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(plan.VARIABLE, value)
    with pytest.raises(plan.PlanError, match=message):
        plan.received("")


def test_a_plan_of_another_module_is_not_taken(monkeypatch):
    monkeypatch.setattr(plan, "_handed_on", {})
    monkeypatch.setenv(plan.VARIABLE, "")
    plan.hand_on("mine", {"config": {"a": 0.1}})
    assert plan.received("mine") == {"config": {"a": 0.1}}
    with pytest.raises(plan.PlanError, match="nothing about the module other"):
        plan.received("other")


def test_a_plan_that_no_variable_can_hold_is_refused(monkeypatch):
    monkeypatch.setattr(plan, "_handed_on", {})
    monkeypatch.setenv(plan.VARIABLE, "")
    with pytest.raises(plan.PlanError, match="can be handed to jobs"):
        plan.hand_on("", os.urandom(200_000).hex())
