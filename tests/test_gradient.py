import pytest
import torch
from test_backbone import LEARNED, VARIANTS, make, settings

from dualscale.diffusion.categories import Absorbing, Multinomial
from dualscale.diffusion.one_hots import OneHots
from dualscale.diffusion.schedules import Cosine
from dualscale.networks.backbone import Backbone
from dualscale.training.loss import LossGradient, weighted_loss

THREE = settings(
    {
        "first": {"upscaled_dimensions": 3},
        "second": {},
        "third": {"upscaled_dimensions": 5, "embedded_dimensions": 2},
    },
    LEARNED,
)


def check(backbone, streams, one_hots=None):
    backbone.initialise(streams)
    models, n = backbone.models, 40
    x, target = torch.randn(2, models, n, backbone.dimensions)
    t, weight = torch.randint(0, 100, (models, n)), torch.rand(models, n)
    if one_hots is not None:
        flags = torch.eye(3)[torch.randint(3, (models, n))]
        x[..., :3], target[..., :3] = flags * torch.randint(2, (models, n, 1)), flags
    expected = weighted_loss(backbone, x, t, target, weight, one_hots)
    pieces = torch.autograd.grad(expected.sum(), backbone.views.values())
    gradient = LossGradient(backbone, n, one_hots)
    gradient(target, t, x, weight)  # state of an earlier step must have no effect
    torch.testing.assert_close(gradient(x, t, target, weight), expected.detach())
    for view, piece in zip(gradient.views.values(), pieces, strict=True):
        torch.testing.assert_close(view, piece, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("name", VARIANTS)
def test_loss_and_gradient_are_autograds(name, models):
    streams = [str(model) for model in range(models)]
    check(make(name, models, streams), streams)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_any_branches_and_dimensions(dimensions):
    check(Backbone(THREE, dimensions, 100, 2), ["a", "b"])


@pytest.mark.parametrize("process", [Absorbing(), Multinomial()], ids=lambda each: each.kind)
def test_gradient_of_categories_with_discrete_noise(process):
    units, levels = (torch.zeros(5), torch.ones(5)), Cosine(timesteps=100).levels()
    check(Backbone(THREE, 5, 100, 2), ["a", "b"], OneHots(process, [slice(0, 3)], *units, levels))


def test_upscaled_dimensions_that_no_branch_sees_have_no_gradient():
    backbone = make("released")
    gradient = LossGradient(backbone, 10)
    x, target = torch.randn(2, 1, 10, 2)
    gradient(x, torch.randint(0, 100, (1, 10)), target, torch.ones(1, 10))
    assert (gradient.views["upscale.local.weight"][..., 2:] == 0).all()
    assert (gradient.views["upscale.local.weight"][..., :2] != 0).all()
