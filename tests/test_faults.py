"""Whatever interrupts a run, no wrong number reaches a table, and the next run completes.

A short version; `make test-faults` kills sixty times.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TINY, copy_project
from safetensors import safe_open

pytestmark = pytest.mark.system

KILLS = int(os.environ.get("KILLS", "4"))
RUN = "adaptive/line/0"


def measured(project):
    """Contents of metrics.csv without the times, which may depend on interruptions."""
    table = pd.read_csv(project.path / "results/metrics.csv")
    return table[["variant", "dataset", "seed", "kl_bits", "eval_loss", "parameters"]]


def require_whole(results):
    """Check that every data file under its final name can be read to its end."""
    readers = {
        ".npy": lambda path: np.load(path, allow_pickle=False).sum(),
        ".json": lambda path: json.loads(path.read_text()),
        ".csv": lambda path: pd.read_csv(path).sum(numeric_only=True),
        ".safetensors": lambda path: safe_open(path, framework="np").keys(),
    }
    seen = 0
    for path in results.rglob("*"):
        if path.suffix in readers and not path.name.startswith("."):
            readers[path.suffix](path)
            seen += 1
    return seen


def start(project, *arguments):
    """Start Snakemake in its own process group, so that it can be killed with all its jobs."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=project.path,
        start_new_session=True,
        # A background job of a shell ignores interrupts, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def fresh(tmp_path):
    """The tiny project before any run."""
    project = copy_project(ROOT, tmp_path / "fresh")
    project.configure(**TINY)
    return project


def test_runs_that_are_killed_at_any_moment_end_as_an_undisturbed_one(fresh, monkeypatch):
    monkeypatch.setenv("DUALSCALE_CHECKPOINT_SECONDS", "0")  # so that kills hit checkpoints
    fresh.configure(training={"steps": 2000})
    fresh.run()
    undisturbed = measured(fresh)
    shutil.rmtree(fresh.path / "results")
    rng, kills = random.Random(0), 0
    while kills < KILLS:
        process = start(fresh)
        try:
            process.wait(timeout=rng.uniform(1, 15))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
            if (fresh.path / "results").exists():
                require_whole(fresh.path / "results")
            fresh.run("--unlock")
        else:
            assert process.returncode == 0
            pd.testing.assert_frame_equal(measured(fresh), undisturbed)
            shutil.rmtree(fresh.path / "results")
    fresh.run()
    assert require_whole(fresh.path / "results") > 20
    pd.testing.assert_frame_equal(measured(fresh), undisturbed)


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("datasets/line.npy", "metrics.csv"),
        (f"models/{RUN}.safetensors", f"samples/{RUN}.npy"),
        (f"training/{RUN}.json", "metrics.csv"),
        (f"samples/{RUN}.npy", "metrics.csv"),
        (f"weights/{RUN}.csv", "paper/figure2.png"),
        (f"sampling/{RUN}.json", "metrics.csv"),
        (f"divergences/{RUN}.json", "metrics.csv"),
        ("runs/adaptive.csv", "metrics.csv"),
        ("metrics.csv", "paper/table1.csv"),
    ],
)
def test_a_damaged_file_is_named_and_its_numbers_reach_no_table(project, name, target, damage):
    path = project.path / "results" / name
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-len(content) // 4] ^= 1
    else:
        del content[-5:]
    path.write_bytes(content)
    before = measured(project) if name != "metrics.csv" else None
    done = project.snakemake("--", f"results/{target}")
    assert done.returncode != 0
    assert f"results/{name} is not as it was written" in done.stdout + done.stderr
    if (project.path / "results/metrics.csv").exists() and before is not None:
        pd.testing.assert_frame_equal(measured(project), before)
    path.unlink()
    project.run()


def test_a_damaged_file_that_is_made_again_by_its_name_brings_back_what_was_made_of_it(project):
    """Sampling fails and loses its outputs, yet all tables exist: a plain run would do nothing."""
    files = {path for path in (project.path / "results").rglob("*") if path.is_file()}
    model = project.path / f"results/models/{RUN}.safetensors"
    model.write_bytes(model.read_bytes() + b"damage")
    done = project.snakemake()
    advice = f"delete it and make it again: snakemake … -- results/models/{RUN}.safetensors"
    assert advice in done.stdout + done.stderr
    assert not (project.path / f"results/sampling/{RUN}.json").exists()
    model.unlink()
    project.run("--", f"results/models/{RUN}.safetensors")
    project.run()
    assert all(path.exists() for path in files)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# caf\xe9\n", "is not UTF-8: 'utf-8' codec can't decode byte 0xe9"),
        (b"run: [\n", "cannot be read: Config file is not valid JSON or YAML"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_one_line(fresh, content, message):
    (fresh.path / "config.yaml").write_bytes(content)
    done = fresh.snakemake("--dry-run")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("Using ")]
    assert line.startswith(f"Configuration: {fresh.path}/config.yaml {message}")


def test_a_pipe_in_place_of_a_record_stops_no_planning(project):
    record = project.path / "results/training/baseline/circle/0.json"
    record.unlink()
    os.mkfifo(record)
    planned = start(project, "--dry-run")
    try:
        assert planned.wait(timeout=60) == 0
    finally:
        planned.kill()
        planned.communicate()


def test_an_interrupt_ends_a_run_without_tracebacks_and_says_how_to_go_on(fresh):
    fresh.configure(training={"steps": 1_000_000})
    process = start(fresh)
    logs = fresh.path / "results/logs/train"
    while sum("training seeds" in log.read_text() for log in logs.rglob("*.log")) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode != 0
    assert "Traceback" not in output
    assert "Interrupted. The same command goes on" in output
    assert "SIGINT" not in output
    texts = [log.read_text() for log in logs.rglob("*.log")]
    assert all("interrupted\n" in text and "Traceback" not in text for text in texts)


@pytest.fixture
def small_disk(tmp_path):
    """File system of 200 kB for the results, which can be made read-only or larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.getuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def test_a_full_disk_is_reported_and_leaves_nothing_half_written(finished, fresh, small_disk):
    (fresh.path / "results").symlink_to(small_disk)
    done = fresh.snakemake()
    assert done.returncode != 0
    assert "No space left on device" in done.stdout + done.stderr
    require_whole(small_disk)
    remount(small_disk, "size=100m")
    fresh.run()
    pd.testing.assert_frame_equal(measured(fresh), measured(finished))


def test_results_that_cannot_be_written_are_reported(finished, fresh, small_disk):
    (fresh.path / "results").symlink_to(small_disk)
    remount(small_disk, "size=100m,ro")
    done = fresh.snakemake()
    assert done.returncode != 0
    assert "Read-only file system" in done.stdout + done.stderr
    remount(small_disk, "rw")
    fresh.run()
    pd.testing.assert_frame_equal(measured(fresh), measured(finished))


@pytest.fixture
def outliving(fresh):
    """A training that goes on after its Snakemake was killed: the project and its process."""
    fresh.configure(training={"steps": 15000}, network={"width": 64})
    first = start(fresh, "--", f"results/models/{RUN}.safetensors")
    log = fresh.path / f"results/logs/train/{RUN}.log"
    while not log.exists() or "step " not in log.read_text():
        assert first.poll() is None
        time.sleep(0.05)
    first.kill()
    first.wait()
    fresh.run("--unlock")
    folder = fresh.path / f"results/models/{RUN.rpartition('/')[0]}"
    yield fresh, json.loads((folder / ".0.safetensors.job").read_text())["pid"]


def test_jobs_that_outlive_snakemake_are_named_at_the_next_start_and_not_disturbed(outliving):
    project, process = outliving
    done = project.snakemake("--", f"results/models/{RUN}.safetensors")
    os.kill(process, signal.SIGKILL)  # it ran on
    assert done.returncode != 0
    said = (done.stdout + done.stderr).splitlines()
    (line,) = [line for line in said if "Jobs of an earlier run are still at work" in line]
    assert f"process {process} on" in line
    assert f"end them (kill {process})" in line


def test_a_training_that_outlived_snakemake_is_not_done_again(outliving):
    project, process = outliving
    model = project.path / f"results/models/{RUN}.safetensors"
    while Path(f"/proc/{process}").exists():
        time.sleep(0.1)
    made = model.stat().st_ino
    project.run("--", f"results/models/{RUN}.safetensors")
    assert model.stat().st_ino == made
    log = (project.path / f"results/logs/train/{RUN}.log").read_text()
    assert "another job has made the same files meanwhile" in log
    left = {path.name for path in model.parent.iterdir()}
    assert left == {"0.safetensors", ".0.safetensors.sha256"}


def test_a_second_run_in_the_same_folder_is_refused_and_harms_nothing(finished, fresh):
    first = start(fresh)
    while not (fresh.path / ".snakemake/locks").is_dir() or not any(
        (fresh.path / ".snakemake/locks").iterdir()
    ):
        assert first.poll() is None
        time.sleep(0.05)
    second = fresh.snakemake()
    assert second.returncode != 0
    assert "cannot be locked" in second.stdout + second.stderr
    output, _ = first.communicate()
    assert first.returncode == 0, output
    pd.testing.assert_frame_equal(measured(fresh), measured(finished))


def test_a_clock_that_moved_back_is_reported_and_harms_nothing(project):
    before, ahead = measured(project), time.time() + 3600
    files = list((project.path / "results").rglob("*"))
    for path in files:
        os.utime(path, (ahead, ahead))
    project.configure(kl={"k": 4})
    done = project.snakemake()
    assert done.returncode != 0
    assert "clock skew" in done.stdout + done.stderr
    pd.testing.assert_frame_equal(measured(project), before)
    for path in filter(Path.exists, files):
        os.utime(path)
    project.run()
    assert project.waiting() == set()
    assert not measured(project)["kl_bits"].equals(before["kl_bits"])


def test_code_that_is_edited_while_jobs_run_runs_again(fresh):
    process = start(fresh)
    while not list((fresh.path / "results").glob("training/*/*/0.json")):
        assert process.poll() is None
        time.sleep(0.05)
    module = fresh.path / "scripts/dualscale/training/trainer.py"
    module.write_text(module.read_text() + "\nEDITED = True\n")
    process.communicate()
    trained = {job for job in fresh.waiting() if job.startswith("Train")}
    assert len(trained) == 4
    fresh.run()
    assert fresh.waiting() == set()
