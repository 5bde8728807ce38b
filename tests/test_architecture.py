import numpy as np
import pytest
import torch
from conftest import ROOT
from test_backbone import SCHEDULE
from test_training import PAPER, make_data, run

from dualscale.architecture import ModuleBackbone, load_class
from dualscale.gradient import AutogradGradient, weighted_loss
from dualscale.model import Model, load_model, moments_of
from dualscale.training import Trainer

EXAMPLE = ROOT / "examples/fourier_network.py"
OWN = {
    "architecture": {
        "file": str(EXAMPLE),
        "class": "FourierNetwork",
        "settings": {"width": 16, "features": 8},
    },
    "schedule": SCHEDULE,
    "prediction": "noise",
}


def make(streams=("0",)):
    model = Model(OWN, moments_of(make_data()), len(streams))
    model.backbone.initialise(streams)
    return model


def trained(streams):
    trainer = Trainer(make(streams), make_data(), PAPER | {"steps": 300}, streams)
    return trainer, run(trainer)


def test_a_class_of_ones_own_learns():
    _, losses = trained(("0",))
    assert losses[-50:].mean() < 0.9 * losses[:20].mean()


def test_models_train_together_as_they_do_alone():
    _, together = trained(("a", "b"))
    for model, stream in enumerate("ab"):
        np.testing.assert_allclose(together[:, model], trained((stream,))[1][:, 0], rtol=1e-3)


def test_the_gradient_is_that_of_each_model():
    backbone = make(("a", "b")).backbone
    x, target = torch.randn(2, 2, 30, 2)
    t, weight = torch.randint(0, 100, (2, 30)), torch.rand(2, 30)
    gradient = AutogradGradient(backbone)
    losses = gradient(x, t, target, weight)
    torch.testing.assert_close(losses, weighted_loss(backbone, x, t, target, weight).detach())
    views, step = backbone.named_views(gradient.flat), 1e-2
    with torch.no_grad():
        moved = backbone.named_views(backbone.flat)["last.bias"]
        moved[1, 0] += step
        slope = (weighted_loss(backbone, x, t, target, weight) - losses) / step
    assert slope[0] == 0
    assert views["last.bias"][1, 0].item() == pytest.approx(slope[1].item(), rel=0.1)


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
    settings = OWN["architecture"] | {"settings": {"colour": 3}}
    with pytest.raises(ValueError, match=r"FourierNetwork cannot be made: .*colour"):
        ModuleBackbone(settings, 2, 100)


def test_the_workflow_trains_the_example_and_again_when_its_file_changes(project):
    folder = project.path / "examples"
    folder.mkdir()
    copy = folder / EXAMPLE.name
    copy.write_text(EXAMPLE.read_text())
    mine = {
        "label": "Mine",
        "architecture": OWN["architecture"] | {"file": f"examples/{copy.name}"},
    }
    project.configure(variants={"mine": mine}, run={"variants": ["baseline", "mine"]})
    project.run()
    assert "Mine" in (project.path / "results/paper/table1.md").read_text()
    copy.write_text(copy.read_text().replace("silu", "relu"))
    waiting = project.waiting()
    assert "Train mine on circle, seed 0" in waiting
    assert "Train baseline on circle, seed 0" not in waiting
