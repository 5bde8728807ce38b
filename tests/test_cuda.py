"""What runs on a GPU, beside the same on the CPU; skipped where there is none.

    python -m pytest --noconftest tests/test_cuda.py

PyTorch, NumPy, SciPy, safetensors, pydantic and pytest suffice.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_backbone import VARIANTS

from dualscale.data.moments import moments_of
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.reverse_process import BLOCK
from dualscale.diffusion.samplers import Sampler
from dualscale.model import Model, load_model
from dualscale.parts import kinds
from dualscale.runtime import devices
from dualscale.settings import OwnModel
from dualscale.training.checkpoint import Checkpoint
from dualscale.training.loss import evaluation_loss
from dualscale.training.settings import EMA, Training
from dualscale.training.trainer import Trainer

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
OWN = ["Plain", "Normalised", "Dropout", "Counting", "Reading"]
CAPTURED = ["Plain", "Normalised"]
LOW = "learned, in bfloat16"
CPU = torch.device("cpu")
DATA = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 2))).float()
# CPU and GPU add in another order.
ROUNDING = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """The GPU as a job opens it, but for the lease: test processes share it."""
    monkeypatch.setattr(devices, "lease_gpu", lambda: None)
    torch.manual_seed(0)
    yield devices.open_device(1, 1)
    torch.use_deterministic_algorithms(False)


def settings_of(name):
    if name in VARIANTS:
        return VARIANTS[name]
    if name == LOW:
        return VARIANTS["learned"].model_copy(update={"precision": "bfloat16"})
    file = str(Path(__file__).with_name("own_networks.py"))
    return OwnModel(architecture={"file": file, "class": name})


def make_trainer(name, device, streams=("a", "b"), steps=120):
    model = Model(settings_of(name), moments_of(DATA), len(streams), device)
    model.backbone.initialise(streams)
    settings = Training(steps=steps, batch_size=32, learning_rate=1e-3, ema=EMA(decay=0.9))
    return model, Trainer(model, DATA.to(device), settings, streams)


def run(trainer, step=0):
    """Losses of all steps, (steps, S), on the CPU."""
    return torch.cat([progress.losses for progress in trainer.run(step)]).cpu()


def is_captured(work):
    return isinstance(getattr(work, "__self__", None), torch.cuda.CUDAGraph)


@pytest.mark.parametrize("name", [*VARIANTS, *CAPTURED, LOW])
def test_replayed_steps_are_single_steps(name, gpu):
    (_, single), (_, replayed) = (make_trainer(name, gpu) for _ in range(2))
    replayed.warm_up()
    assert is_captured(replayed._run_chunk)
    torch.testing.assert_close(run(replayed), run(single), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*VARIANTS, *CAPTURED])
def test_training_is_that_of_the_cpu(name, gpu):
    (_, here), (_, there) = (make_trainer(name, device) for device in (CPU, gpu))
    there.warm_up()
    torch.testing.assert_close(run(there)[:100], run(here)[:100], **ROUNDING)


@pytest.mark.parametrize("name", [*VARIANTS, *OWN, LOW])
def test_two_trainings_end_with_the_same_bytes(name, gpu):
    ends = []
    for _ in range(2):
        _, trainer = make_trainer(name, gpu)
        trainer.warm_up()
        run(trainer)
        ends.append(trainer.state())
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key


@pytest.mark.parametrize("name", ["learned", LOW, *OWN])
def test_a_resumed_training_ends_with_the_same_bytes(name, gpu):
    _, whole = make_trainer(name, gpu)
    whole.warm_up()
    _, stopped = make_trainer(name, gpu)
    stopped.warm_up()
    next(stopped.run())
    kept = Checkpoint.from_bytes(Checkpoint("", 100, 0.0, stopped.state()).to_bytes())
    _, resumed = make_trainer(name, gpu)
    resumed.warm_up()
    resumed.restore(kept.state)
    run(whole)
    run(resumed, 100)
    for key, value in whole.state().items():
        assert torch.equal(value, resumed.state()[key]), key


@pytest.mark.parametrize("name", ["Dropout", "Counting", "Reading"])
def test_what_no_graph_repeats_is_not_captured(name, gpu):
    model, trainer = make_trainer(name, gpu)
    trainer.warm_up()
    run(trainer)
    assert not is_captured(trainer._run_chunk)
    if name == "Counting":
        assert model.backbone.constants(0)["steps_as_floats"].item() == 120


def test_seeds_of_a_stack_train_as_they_do_alone(gpu):
    streams = [str(seed) for seed in range(64)]
    _, together = make_trainer("learned", gpu, streams)
    together.warm_up()
    _, alone = make_trainer("learned", gpu, streams[5:6])
    alone.warm_up()
    torch.testing.assert_close(run(together)[:100, 5], run(alone)[:100, 0], **ROUNDING)


@pytest.mark.parametrize("name", [*VARIANTS, *OWN])
def test_the_evaluation_loss_is_that_of_the_cpu(name, gpu):
    losses = []
    for device in (CPU, gpu):
        model, _ = make_trainer(name, device)
        losses.append(evaluation_loss(model, DATA.to(device), Training(), ("a", "b")).cpu())
    torch.testing.assert_close(*losses, **ROUNDING)


@pytest.mark.parametrize("kind", kinds(Sampler))
def test_replayed_samplers_draw_what_single_steps_and_the_cpu_do(kind, gpu):
    drawing = Drawing.model_validate({"sampler": kind, "steps": 20})
    drawn = []
    for device, warm in ((CPU, False), (gpu, False), (gpu, True)):
        model, _ = make_trainer("learned", device)
        sampler = model.sampler(drawing, BLOCK + 1, ["a", "b"])
        if warm:
            sampler.warm_up()
        drawn.append(sampler.draw())
        assert np.array_equal(sampler.draw(), drawn[-1])
    np.testing.assert_allclose(drawn[1], drawn[0], **ROUNDING)
    np.testing.assert_allclose(drawn[2], drawn[1], **ROUNDING)


@pytest.mark.parametrize("name", [*OWN, "AlwaysDropout"])
def test_own_networks_draw_the_same_twice(name, gpu):
    model, _ = make_trainer(name, gpu, ("a",))
    sampler = model.sampler(Drawing(steps=5), 50, ["a"])
    cold = sampler.draw()
    sampler.warm_up()
    assert np.array_equal(sampler.draw(), sampler.draw())
    np.testing.assert_allclose(sampler.draw(), cold, **ROUNDING)


@pytest.mark.parametrize("name", ["learned", "Normalised"])
def test_a_model_saved_on_a_gpu_is_loaded_on_either_device(name, gpu, tmp_path):
    model, trainer = make_trainer(name, gpu)
    run(trainer)
    path = tmp_path / "0.safetensors"
    model.save(path, trainer.ema, 1)
    own = getattr(model.settings, "architecture", None)
    for device in (CPU, gpu):
        loaded = load_model(path, device, own and own.file)
        for key, value in loaded.backbone.named_views(loaded.backbone.flat).items():
            saved = model.backbone.named_views(trainer.ema)[key][1]
            assert torch.equal(value[0].detach().cpu(), saved.detach().cpu()), key
