"""A resumed training ends with the bytes of an uninterrupted one."""

import errno
import hashlib
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from test_training import make_trainer, paper, run

import train
from dualscale.training import checkpoint
from dualscale.training.checkpoint import Checkpoint, CheckpointFile

SCRIPTS = Path(train.__file__).parent
SETTINGS = {
    "branches": {"global": {}},
    "network": {"width": 32, "hidden_layers": 1, "embedding": 16},
    "prediction": "epsilon",
    "schedule": "linear",
    "normalisation": "none",
    "training": paper(steps=3000).model_dump(),
    "weighting": "none",
}


@pytest.fixture
def job(tmp_path):
    """Function that calls train.main with a checkpoint after every chunk."""
    np.save(tmp_path / "data.npy", np.random.default_rng(0).normal(size=(500, 2)).astype("f4"))

    def call(folder, **changes):
        (tmp_path / folder).mkdir(exist_ok=True)
        chosen = {"settings": SETTINGS, "sampling": {}, "digest": "d1"}
        chosen |= {"stream_suffix": "data", "code": "c0de"} | changes
        return (
            f"import os; os.environ['DUALSCALE_CHECKPOINT_SECONDS'] = '0'; import train\n"
            f"from pathlib import Path; folder = Path({str(tmp_path)!r})\n"
            f"train.main(folder / 'data.npy', [folder / {folder!r} / '0.model'],"
            f" [folder / {folder!r} / '0.json'], gpu=0, threads=1, **{chosen!r})"
        )

    return call


def start(code):
    return subprocess.Popen([sys.executable, "-c", code], cwd=SCRIPTS)


def wait_for_change(path, process, seen=None):
    while process.poll() is None:
        if path.exists() and path.stat().st_mtime_ns != seen:
            return path.stat().st_mtime_ns
        time.sleep(0.005)
    raise AssertionError("the training ended before it could be killed")


def test_a_training_killed_twice_ends_with_the_bytes_of_an_undisturbed_one(job, tmp_path):
    assert start(job("whole")).wait() == 0
    checkpoint, seen = tmp_path / "killed/.0.checkpoint", None
    for _ in range(2):
        process = start(job("killed"))
        seen = wait_for_change(checkpoint, process, seen)
        process.kill()
        process.wait()
        assert not (tmp_path / "killed/0.model").exists()
    assert start(job("killed")).wait() == 0
    assert (tmp_path / "killed/0.model").read_bytes() == (tmp_path / "whole/0.model").read_bytes()
    left = {path.name for path in (tmp_path / "killed").iterdir() if ".sha256" not in path.name}
    assert left == {"0.json", "0.model"}


@pytest.fixture
def trainer():
    return make_trainer(settings=paper(steps=300))


def state_after(trainer, steps):
    for progress in trainer.run():
        if progress.step == steps:
            return {name: value.clone() for name, value in trainer.state().items()}
    raise AssertionError


def of(path, origin="origin"):
    return CheckpointFile(path, origin, size=0)


def kept(path, trainer, origin):
    of(path, origin).write(100, 1.5, state_after(trainer, 100))


def test_a_restored_state_trains_on_to_the_same_bytes(trainer):
    state = state_after(trainer, 200)
    other = make_trainer(settings=paper(steps=300))
    other.restore(state)
    list(other.run(200))
    undisturbed = make_trainer(settings=paper(steps=300))
    run(undisturbed)
    assert torch.equal(other.ema, undisturbed.ema)
    assert torch.equal(other.backbone.flat, undisturbed.backbone.flat)


def test_a_checkpoint_of_the_same_training_is_taken(trainer, tmp_path):
    kept(tmp_path / "it", trainer, "origin")
    assert of(tmp_path / "it").resume(trainer) == (100, 1.5)


def test_a_checkpoint_of_another_training_is_ignored_and_said_so(trainer, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    kept(tmp_path / "it", trainer, "another origin")
    assert of(tmp_path / "it").resume(trainer) == (0, 0.0)
    assert "is ignored: it was made with another config" in caplog.text


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_damaged_checkpoint_is_discarded_and_said_so(trainer, tmp_path, caplog, damage):
    caplog.set_level(logging.INFO)
    kept(tmp_path / "it", trainer, "origin")
    data = bytearray((tmp_path / "it").read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    (tmp_path / "it").write_bytes({"truncated": data[:-9], "empty": b""}.get(damage, data))
    assert of(tmp_path / "it").resume(trainer) == (0, 0.0)
    assert "is discarded" in caplog.text


def sealed(content):
    """Content of a checkpoint file with a valid digest."""
    return hashlib.sha256(content).digest() + content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        b"[" * 100_000,
        b'{"origin": "origin", "step": 100, "seconds": 1.5}\nno tensors',
        b'{"origin": "origin", "step": 100}\n' + save({}),
        b'{"origin": "origin", "step": 100, "seconds": 1.5, "more": 0}\n' + save({}),
        b'{"origin": "origin", "step": 100, "seconds": "1.5"}\n' + save({}),
        b'{"origin": "origin", "step": 100, "seconds": NaN}\n' + save({}),
    ],
    ids=["empty", "bare", "deep", "no tensors", "less", "more", "a text", "not a number"],
)
def test_a_checkpoint_of_another_format_is_discarded_and_said_so(
    trainer, tmp_path, caplog, content
):
    caplog.set_level(logging.INFO)
    (tmp_path / "it").write_bytes(sealed(content))
    assert of(tmp_path / "it").resume(trainer) == (0, 0.0)
    assert "is discarded: a checkpoint of another format" in caplog.text


@pytest.mark.parametrize("step", [-5, -100, 50, 400, 100.0, "100", True])
def test_a_checkpoint_of_a_step_at_which_no_run_stops_is_discarded(trainer, tmp_path, caplog, step):
    caplog.set_level(logging.INFO)
    state = state_after(trainer, 100)
    (tmp_path / "it").write_bytes(Checkpoint("origin", step, 1.5, state).to_bytes())
    assert of(tmp_path / "it").resume(trainer) == (0, 0.0)
    assert "is discarded" in caplog.text


CHANGES = {
    "missing": lambda state: state.pop("ema"),
    "one more": lambda state: state.update(other=torch.zeros(1)),
    "of another shape": lambda state: state.update(ema=torch.zeros(1)),
    "of another type": lambda state: state.update(ema=state["ema"].double()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_whose_tensors_do_not_fit_is_discarded_and_changes_nothing(
    trainer, tmp_path, caplog, change
):
    caplog.set_level(logging.INFO)
    state = state_after(trainer, 100)
    CHANGES[change](state)
    of(tmp_path / "it").write(100, 1.5, state)
    fresh = make_trainer(settings=paper(steps=300))
    before = {name: value.clone() for name, value in fresh.state().items()}
    assert of(tmp_path / "it").resume(fresh) == (0, 0.0)
    assert "is discarded" in caplog.text
    assert all(torch.equal(value, before[name]) for name, value in fresh.state().items())


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_counts_as_no_checkpoint(trainer, tmp_path, make):
    make(tmp_path / "it")
    assert of(tmp_path / "it").resume(trainer) == (0, 0.0)


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(trainer, monkeypatch, caplog):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "atomic_write", full)
    kept(Path("it"), trainer, "origin")
    assert "no checkpoint at step 100: [Errno 28] No space left on device" in caplog.text


@pytest.mark.parametrize(
    "change",
    ["nothing", "sampling", "settings", "stream_suffix", "code", "data", "torch", "device"],
)
def test_a_checkpoint_serves_the_very_same_training_alone(tmp_path, monkeypatch, caplog, change):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("DUALSCALE_CHECKPOINT_SECONDS", "0")
    monkeypatch.setattr(train, "evaluation_loss", interrupt)  # after training, before its end
    data, settings = np.zeros((500, 2), "f4"), {"training": SETTINGS["training"] | {"steps": 300}}
    data[::2] = 1
    arguments = {"settings": SETTINGS | settings, "sampling": {}, "digest": "d1"}
    arguments |= {"stream_suffix": "data", "code": "c0de"}

    def job():
        np.save(tmp_path / "data.npy", data)
        paths = tmp_path / "data.npy", [tmp_path / "0.model"], [tmp_path / "0.json"]
        with pytest.raises(KeyboardInterrupt):
            train.main(*paths, gpu=0, threads=1, **arguments)

    job()
    if change == "settings":
        rate = {"training": arguments["settings"]["training"] | {"learning_rate": 2e-3}}
        arguments["settings"] = arguments["settings"] | rate
    elif change == "data":
        data[0] = 0.5
    elif change == "torch":
        monkeypatch.setattr(torch, "__version__", "another")
    elif change == "device":
        monkeypatch.setattr(train, "device_name", lambda device: "another")
    elif change != "nothing":
        arguments[change] = {"steps": 5} if change == "sampling" else "another"
    job()
    serves = change in ("nothing", "sampling")
    assert ("going on from step 200" if serves else "is ignored: it was made with") in caplog.text


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_checkpoints_cost_a_hundredth_of_the_time_at_most(tmp_path, monkeypatch):
    file = of(tmp_path / "it")
    assert file.pause == 10
    assert CheckpointFile(tmp_path / "it", "origin", size=10**9).pause == 500
    monkeypatch.setattr(checkpoint.time, "perf_counter", iter([0.0, 0.3]).__next__)
    assert file.write(100, 1.5, {}) == pytest.approx(0.3)
    assert file.pause == pytest.approx(30)


@pytest.mark.parametrize("value", ["often", "-1", "nan", "inf"])
def test_an_interval_that_is_no_number_of_seconds_is_refused_by_its_name(monkeypatch, value):
    monkeypatch.setenv("DUALSCALE_CHECKPOINT_SECONDS", value)
    with pytest.raises(ValueError, match=f"DUALSCALE_CHECKPOINT_SECONDS is '{value}': a number"):
        of(Path("it"))
