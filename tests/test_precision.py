import pytest
import torch
from test_architecture import make as make_own
from test_architecture import own
from test_backbone import VARIANTS, Backbone
from test_training import make_data, make_model, paper, run

from dualscale import model as model_module
from dualscale.diffusion.drawing import Drawing
from dualscale.model import Model, load_model
from dualscale.training.loss import LossGradient, weighted_loss
from dualscale.training.trainer import Trainer

each_variant = pytest.mark.parametrize("name", VARIANTS)


def rounded(spec):
    return spec.model_copy(update={"precision": "bfloat16"})


def relative_error(value, expected):
    return float((value.detach() - expected.detach()).norm() / expected.detach().norm())


@each_variant
def test_gradient_in_bfloat16_is_float32s_up_to_rounding(name):
    models, n = 2, 64
    backbones = [
        Backbone(VARIANTS[name], 2, 100, models, noise=torch.ones(100), precision=precision)
        for precision in (torch.float32, torch.bfloat16)
    ]
    x, target = torch.randn(2, models, n, 2)
    t, weight = torch.randint(0, 100, (models, n)), torch.rand(models, n)
    gradients = []
    for backbone in backbones:
        backbone.initialise(["0", "1"])
        gradients.append(LossGradient(backbone, n))
    exact, loss = (gradient(x, t, target, weight) for gradient in gradients)
    assert loss.dtype == gradients[1].flat.dtype == torch.float32
    assert not torch.equal(loss, exact)
    assert relative_error(loss, exact) < 0.01
    assert relative_error(gradients[1].flat, gradients[0].flat) < 0.1


@each_variant
def test_layers_gradient_in_bfloat16_is_autograds(name):
    backbone = Backbone(VARIANTS[name], 2, 100, noise=torch.ones(100), precision=torch.bfloat16)
    backbone.initialise(["0"])
    x, target = torch.randn(2, 1, 64, 2)
    t, weight = torch.randint(0, 100, (1, 64)), torch.rand(1, 64)
    expected = weighted_loss(backbone, x, t, target, weight)
    pieces = torch.autograd.grad(expected.sum(), backbone.views.values())
    gradient = LossGradient(backbone, 64)
    torch.testing.assert_close(gradient(x, t, target, weight), expected.detach())
    for view, piece in zip(gradient.views.values(), pieces, strict=True):
        assert relative_error(view, piece) < 0.02


def test_a_training_in_bfloat16_learns_as_in_float32_and_keeps_its_state_in_float32():
    losses = []
    for spec in (VARIANTS["learned"], rounded(VARIANTS["learned"])):
        trainer = Trainer(make_model(spec, make_data()), make_data(), paper(steps=400), ["0"])
        losses.append(run(trainer)[-100:].mean())
        floating = [value for value in trainer.state().values() if value.is_floating_point()]
        assert {value.dtype for value in floating} == {torch.float32}
    assert losses[0] != losses[1]
    assert abs(losses[1] / losses[0] - 1) < 0.02


def test_a_model_file_keeps_the_precision(tmp_path):
    model = make_model(rounded(VARIANTS["learned"]), make_data())
    model.save(tmp_path / "model", model.backbone.flat, 0)
    loaded = load_model(tmp_path / "model")
    assert loaded.backbone.precision == torch.bfloat16
    full = make_model(VARIANTS["learned"], make_data())
    drawn, exact = (
        torch.from_numpy(each.sampler(Drawing(), 50, ["0"]).draw()[0]) for each in (loaded, full)
    )
    assert not torch.equal(drawn, exact)
    assert relative_error(drawn, exact) < 0.05


def test_a_class_of_ones_own_runs_under_autocast():
    full = make_own()
    half = Model(rounded(own()), full.moments)
    half.backbone.initialise(["0"])
    x, t = torch.randn(1, 20, 2), torch.randint(0, 100, (1, 20))
    exact, outputs = full.backbone(x, t), half.backbone(x, t)
    assert outputs.dtype == torch.float32
    assert not torch.equal(outputs, exact)
    assert relative_error(outputs, exact) < 0.02


@pytest.mark.parametrize(("units", "warned"), [(False, True), (True, False)])
def test_a_processor_without_bfloat16_units_is_named(units, warned, monkeypatch, caplog):
    monkeypatch.setattr(model_module, "has_bfloat16_units", lambda device: units)
    make_model(rounded(VARIANTS["baseline"]), make_data())
    assert ("float32 is faster" in caplog.text) == warned


def test_float32_needs_no_units(monkeypatch, caplog):
    monkeypatch.setattr(model_module, "has_bfloat16_units", lambda device: False)
    make_model(VARIANTS["baseline"], make_data())
    assert not caplog.text
