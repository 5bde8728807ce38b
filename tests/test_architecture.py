import numpy as np
import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file
from test_training import PAPER, make_data, paper, run

import train
from dualscale.data.moments import moments_of
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.losses import LogNormal, Uniform
from dualscale.diffusion.samplers import DDIM
from dualscale.diffusion.schedules import Linear
from dualscale.model import Model, load_model
from dualscale.networks.own import ModuleBackbone, load_class
from dualscale.networks.settings import Architecture
from dualscale.settings import OwnModel
from dualscale.training.checkpoint import Checkpoint
from dualscale.training.examples import examples, training_coefficients
from dualscale.training.loss import AutogradGradient, evaluation_loss, weighted_loss
from dualscale.training.trainer import Trainer

EXAMPLE = ROOT / "examples/fourier_network.py"
NETWORKS = ROOT / "tests/own_networks.py"
ARCHITECTURE = {
    "file": str(EXAMPLE),
    "class": "FourierNetwork",
    "settings": {"width": 16, "features": 8},
}


def own(name=None, settings=None, **model):
    """Settings of the example's class, or of a class in tests/own_networks.py."""
    chosen = {"file": str(NETWORKS), "class": name, "settings": settings or {}}
    return OwnModel(architecture=chosen if name else ARCHITECTURE, **model)


def make(streams=("0",), name=None):
    model = Model(own(name), moments_of(make_data()), len(streams))
    model.backbone.initialise(streams)
    return model


def make_trainer(streams=("0",), name=None):
    return Trainer(make(streams, name), make_data(), paper(steps=300), streams)


def trained(streams, name=None):
    trainer = make_trainer(streams, name)
    return trainer, run(trainer)


def test_a_class_of_ones_own_learns():
    _, losses = trained(("0",))
    assert losses[-50:].mean() < 0.9 * losses[:20].mean()


def test_models_train_together_as_they_do_alone():
    _, together = trained(("a", "b"))
    for model, stream in enumerate("ab"):
        np.testing.assert_allclose(together[:, model], trained((stream,))[1][:, 0], rtol=1e-3)


def test_the_gradient_is_that_of_each_model():
    model = make(("a", "b"))
    backbone, (x_0, noise), t = (
        model.backbone,
        torch.randn(2, 2, 30, 2),
        torch.randint(0, 100, (2, 30)),
    )
    table = training_coefficients(model, LogNormal(), x_0.device)
    x, target, weight = examples(x_0, t, noise, table)
    gradient = AutogradGradient(backbone, table)
    losses = gradient(x_0, t, noise)
    torch.testing.assert_close(losses, weighted_loss(backbone, x, t, target, weight).detach())
    views, step = backbone.named_views(gradient.flat), 1e-2
    with torch.no_grad():
        moved = backbone.named_views(backbone.flat)["last.bias"]
        moved[1, 0] += step
        slope = (weighted_loss(backbone, x, t, target, weight) - losses) / step
    assert slope[0] == 0
    assert views["last.bias"][1, 0].item() == pytest.approx(slope[1].item(), rel=0.1)


def test_a_class_can_have_a_loss_of_its_own():
    plain, twofold = (make(("a", "b"), name) for name in ("Plain", "Twofold"))
    (x_0, noise), t = torch.randn(2, 2, 30, 2), torch.randint(0, 100, (2, 30))
    table = training_coefficients(plain, LogNormal(), x_0.device)
    gradients = [AutogradGradient(model.backbone, table) for model in (plain, twofold)]
    losses = [gradient(x_0, t, noise) for gradient in gradients]
    torch.testing.assert_close(losses[1], 2.5 * losses[0])
    torch.testing.assert_close(gradients[1].flat, 2.5 * gradients[0].flat)
    found = [evaluation_loss(each, make_data(), PAPER, ("a", "b")) for each in (plain, twofold)]
    torch.testing.assert_close(found[1], 2.5 * found[0])


def test_the_same_stream_gives_the_same_model_and_another_one_another():
    first, second, other = (make((name,)).backbone for name in ("a", "a", "b"))
    assert torch.equal(first.flat, second.flat)
    assert not torch.equal(first.flat, other.flat)


def test_a_saved_model_keeps_what_it_does_not_learn_and_names_its_class(tmp_path):
    model, path = make(("a", "b")), tmp_path / "m.safetensors"
    model.save(path, model.backbone.flat, 1)
    with pytest.raises(ValueError, match=r"is a FourierNetwork of .*: name that file to run"):
        load_model(path)
    loaded = load_model(path, architecture=str(EXAMPLE))
    x, t = torch.randn(2, 9, 2), torch.randint(0, 100, (2, 9))
    torch.testing.assert_close(loaded.backbone(x[1:], t[1:])[0], model.backbone(x, t)[1])


DRAWING = ["Dropout", "AlwaysDropout"]


@pytest.mark.parametrize("name", [*DRAWING, "Normalised"])
def test_two_trainings_end_with_the_same_bytes(name):
    first, second = (trained(("a",), name)[0] for _ in range(2))
    assert torch.equal(first.ema, second.ema)


def test_what_a_model_draws_depends_on_its_stream_alone():
    together, losses = trained(("a", "b"), "Dropout")
    assert not torch.allclose(losses[:, 0], losses[:, 1], rtol=0.1)
    for model, stream in enumerate("ab"):
        alone, _ = trained((stream,), "Dropout")
        assert torch.equal(
            together.backbone.modules[model].first.weight, alone.backbone.modules[0].first.weight
        )


@pytest.mark.parametrize("name", [*DRAWING, "Normalised", "Counting"])
def test_a_training_resumed_from_a_checkpoint_ends_with_the_same_bytes(name):
    for progress in (stopped := make_trainer(("a", "b"), name)).run():
        if progress.step == 200:
            break
    kept = Checkpoint.from_bytes(Checkpoint("", 200, 0.0, stopped.state()).to_bytes())
    resumed = make_trainer(("a", "b"), name)
    resumed.warm_up()
    resumed.restore(kept.state)
    list(resumed.run(200))
    undisturbed, _ = trained(("a", "b"), name)
    assert resumed.state().keys() == undisturbed.state().keys()
    for key, value in undisturbed.state().items():
        assert torch.equal(resumed.state()[key], value), key


def test_dropout_is_active_in_training_alone():
    model = make(("a",), "Dropout")
    backbone, table = model.backbone, training_coefficients(model, Uniform(), torch.device("cpu"))
    x, t = torch.randn(1, 50, 2), torch.zeros(1, 50, dtype=torch.int64)
    assert torch.equal(backbone(x, t), backbone(x, t))
    assert not torch.equal(backbone(x, t, [1], training=True), backbone(x, t))
    AutogradGradient(backbone, table)(x, t, x)
    assert not backbone.modules[0].training


@pytest.mark.parametrize("name", DRAWING)
def test_two_draws_from_a_network_that_draws_are_the_same(name):
    model = make(("a",), name)
    sampler = model.sampler(Drawing(sampler=DDIM(), steps=5), 50, ["0"])
    assert np.array_equal(sampler.draw(), sampler.draw())


@pytest.mark.parametrize("name", [*DRAWING, "Normalised", "Counting"])
def test_the_evaluation_loss_is_the_same_twice_and_changes_no_buffer(name):
    model = make(("a", "b"), name)
    trainer = Trainer(model, make_data(), paper(steps=20), ("a", "b"))
    run(trainer)
    before = {key: value.clone() for key, value in trainer.state().items()}
    losses = [evaluation_loss(model, make_data(), PAPER, ("a", "b")) for _ in range(2)]
    assert torch.equal(*losses)
    for key, value in trainer.state().items():
        assert torch.equal(value, before[key]), key


def test_floating_point_buffers_are_averaged_as_parameters_are_and_others_copied(tmp_path):
    np.save(tmp_path / "data.npy", make_data().numpy())
    settings = own("Counting").model_dump(by_alias=True, exclude={"sampling"})
    settings |= {"normalisation": "none", "training": paper(steps=100).model_dump()}
    paths = tmp_path / "data.npy", [tmp_path / "0.model"], [tmp_path / "0.json"]
    given = {"sampling": {}, "digest": "d1", "stream_suffix": "data", "code": "c0de"}
    train.main(*paths, settings=settings, **given, gpu=0, threads=1)
    average = 0.0
    for step in range(0, 100, PAPER.ema.every):
        average += (1 - PAPER.ema.decay) * (step + 1 - average)
    saved = load_file(tmp_path / "0.model")
    assert saved["steps_as_floats"].item() == pytest.approx(average, rel=1e-6)
    assert saved["steps"].item() == 91
    assert saved["mask"].tolist() == [0, -np.inf]


def test_a_model_with_large_integers_among_its_class_settings_or_many_timesteps_loads(tmp_path):
    spec = own("Plain", {"seed": 20261124}, schedule=Linear(timesteps=10_000))
    model, path = Model(spec, moments_of(make_data())), tmp_path / "0.safetensors"
    model.backbone.initialise(("a",))
    model.save(path, model.backbone.flat, 0)
    loaded = load_model(path, architecture=str(NETWORKS))
    assert torch.equal(loaded.backbone.flat, model.backbone.flat)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("x = 1", "Network", "has no class Network that is a torch"),
        ("import nowhere", "Network", "cannot be run: ModuleNotFoundError"),
        ("class Network: pass", "Network", "has no class Network that is a torch"),
    ],
)
def test_a_file_without_the_class_is_named(text, name, message, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_class(file, name)


def test_settings_that_the_class_does_not_take_are_named():
    settings = Architecture.model_validate(ARCHITECTURE | {"settings": {"colour": 3}})
    with pytest.raises(ValueError, match=r"FourierNetwork cannot be built: .*colour"):
        ModuleBackbone(settings, 2, 100)


def test_the_workflow_trains_the_example_and_again_when_its_file_changes(project):
    folder = project.path / "examples"
    folder.mkdir()
    copy = folder / EXAMPLE.name
    copy.write_text(EXAMPLE.read_text())
    mine = {
        "label": "Mine",
        "architecture": ARCHITECTURE | {"file": f"examples/{copy.name}"},
    }
    project.configure(variants={"mine": mine}, run={"variants": ["baseline", "mine"]})
    project.run()
    assert "Mine" in (project.path / "results/paper/table1.md").read_text()
    copy.write_text(copy.read_text().replace("silu", "relu"))
    waiting = project.waiting()
    assert "Train mine on circle, seed 0" in waiting
    assert "Train baseline on circle, seed 0" not in waiting
