"""Two jobs never work on one file at once, and the second does not do again what the first did."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from execution import at_work as module
from execution.at_work import BusyError, Worker, at_work, marker, worker_on
from execution.job import job

SCRIPTS = Path(module.__file__).parents[1]


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.1)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Puts a `squeue` in the path that answers as told."""

    def put(script):
        file = tmp_path / "bin/squeue"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")

    return put


def ended():
    """A process that has run on this machine."""
    process = subprocess.Popen(["sleep", "60"])
    worker = replace(Worker.this("x"), pid=process.pid, started=module.start_of(process.pid))
    assert worker.alive()
    process.kill()
    process.wait()
    return worker


def mark(path, worker):
    marker(path).write_text(json.dumps(asdict(worker)))


def test_the_marker_lasts_as_long_as_the_work(tmp_path):
    path = tmp_path / "model"
    with at_work(path, "x") as before:
        assert before is None
        assert worker_on(path) == Worker.this("x")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), at_work(path, "x"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_job_waits_for_another_that_is_at_work_and_knows_of_it(tmp_path, caplog):
    caplog.set_level("INFO")
    path, order = tmp_path / "model", []
    other = subprocess.Popen(["sleep", "60"])
    worker = replace(Worker.this("y"), pid=other.pid, started=module.start_of(other.pid))
    mark(path, worker)

    def wait():
        with at_work(path, "x") as before:
            order.append(before)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    assert order == []
    other.kill()
    other.wait()
    thread.join(timeout=10)
    assert order == [worker]
    assert caplog.text.count(f"waiting for process {other.pid}") == 1


@pytest.mark.parametrize("content", [None, "", "{}"], ids=["dead", "empty", "not a marker"])
def test_a_dead_jobs_place_is_taken(tmp_path, content):
    path = tmp_path / "model"
    mark(path, ended())
    if content is not None:
        marker(path).write_text(content)
    with at_work(path, "x") as before:
        assert before is None
        assert worker_on(path).pid == os.getpid()


def test_of_many_that_find_a_dead_job_one_at_a_time_works(tmp_path):
    mark(tmp_path / "model", ended())
    code = (
        "import sys; from pathlib import Path; from execution import at_work\n"
        "at_work.WAIT_SECONDS = 0.05\n"
        f"path, log = Path({str(tmp_path / 'model')!r}), Path({str(tmp_path / 'log')!r})\n"
        "with at_work.at_work(path, 'x'):\n"
        "    with log.open('a') as file: file.write('(')\n"
        "    at_work.time.sleep(0.1)\n"
        "    with log.open('a') as file: file.write(')')\n"
    )
    jobs = [subprocess.Popen([sys.executable, "-c", code], cwd=SCRIPTS) for _ in range(4)]
    assert [process.wait(timeout=60) for process in jobs] == [0] * 4
    assert (tmp_path / "log").read_text() == "()" * 4


def test_a_job_of_slurm_on_another_node_is_asked_of_squeue(squeue):
    worker = replace(Worker.this("x"), host="elsewhere", slurm="12")
    squeue('[ "$3" = 12 ] && echo RUNNING')
    assert worker.alive() is True
    squeue("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert worker.alive() is False
    squeue("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    assert worker.alive() is None


def test_a_job_that_slurm_sent_to_another_node_is_not_waited_for(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert replace(Worker.this("x"), host="elsewhere").alive() is False


def test_a_job_that_nobody_can_ask_about_ends_this_one_in_a_line(tmp_path):
    path = tmp_path / "model"
    mark(path, replace(Worker.this("x"), host="elsewhere"))
    message = r"process \d+ on elsewhere may be .* delete .*model\.job"
    with pytest.raises(BusyError, match=message), at_work(path, "x"):
        pass


class Rule:
    """The part of Snakemake's object that `job` asks for."""

    input = ()

    def __init__(self, folder, settings):
        self.log, self.output = [folder / "0.log"], [folder / "model"]
        self.params = {"settings": settings}


@pytest.mark.parametrize(("settings", "again"), [(1, False), (2, True)])
def test_what_the_other_has_made_with_the_same_settings_is_taken_over(tmp_path, settings, again):
    made = []
    script = (
        "from pathlib import Path; from execution.job import job\n"
        "from dualscale.runtime.files import atomic_write\n"
        "from test_at_work import Rule\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "with job(Rule(folder, 1)), atomic_write(folder / 'model') as part:\n"
        "    print(flush=True); __import__('time').sleep(1); part.write_text('made')\n"
    )
    path = f"{SCRIPTS}:{Path(__file__).parent}"
    environment = {**os.environ, "PYTHONPATH": path}
    other = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE
    )
    other.stdout.readline()
    try:
        with job(Rule(tmp_path, settings)):
            made.append(1)
    except SystemExit as ended:
        assert ended.code == 0
    assert other.wait() == 0
    assert bool(made) == again
    assert (tmp_path / "model").read_text() == "made"
    log = (tmp_path / "0.log").read_text()
    assert ("has made the same files meanwhile: nothing is left to do" in log) != again
