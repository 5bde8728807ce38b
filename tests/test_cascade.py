"""Cascaded diffusion: coarse points first, then points given those."""

import math

import pytest
import torch
from conftest import ROOT
from pydantic import ValidationError

from dualscale.data.moments import moments_of
from dualscale.diffusion import reverse_process
from dualscale.diffusion.cascade import Cascaded
from dualscale.diffusion.denoiser import Denoiser
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.predictions import EDM
from dualscale.diffusion.schedules import Geometric, Linear
from dualscale.model import Model
from dualscale.networks.systems.cascade import Cascade
from dualscale.settings import BranchesModel, OwnModel

SMALL = {"width": 8, "features": {"embedding": 8}}
LEVELS = Linear().levels()
STEPS = LEVELS.timesteps
FILE = str(ROOT / "scripts/dualscale/networks/systems/cascade.py")


def run(sampler, denoise, x):
    """Sample with it; return the samples, and the noise tensors in their order."""
    visited = Drawing(sampler=sampler).visited(LEVELS)
    noise = list(torch.randn(sampler.draws(visited), *x.shape))
    return sampler.run(denoise, visited, x, iter(noise)), noise


def test_the_second_stage_is_given_the_coarse_points_with_noise_of_a_fixed_level():
    coarse = torch.tensor([[[0.5, -0.25], [1.0, 0.75]]])

    def denoise(x, t, given=None):
        return coarse if given is None else 3 * given[0] + given[1]

    drawn, noise = run(Cascaded(augmentation=0.2), denoise, torch.randn(1, 2, 2))
    t = 20
    expected = 3 * (LEVELS.alpha[t] * coarse + LEVELS.sigma[t] * noise[STEPS - 1]) + t
    torch.testing.assert_close(drawn, expected.float())


def test_the_second_stage_starts_from_noise_of_its_own():
    starts = []

    def denoise(x, t, given=None):
        if t == LEVELS.timesteps - 1:
            starts.append(x)
        return torch.zeros_like(x)

    x = torch.randn(1, 5, 2)
    _, noise = run(Cascaded(), denoise, x)
    scale = math.hypot(LEVELS.alpha[-1], LEVELS.sigma[-1])
    torch.testing.assert_close(torch.cat(starts), torch.cat([x, scale * noise[STEPS]]))


def test_both_stages_are_counted():
    asked = []

    def denoise(x, t, given=None):
        asked.append(given)
        return 0.5 * x

    run(Cascaded(), denoise, torch.randn(1, 3, 2))
    assert Drawing(sampler=Cascaded()).evaluations(LEVELS) == len(asked) == 2 * STEPS
    assert sum(given is None for given in asked) == STEPS


def make(**model):
    settings = {"file": FILE, "class": "Cascade", "settings": {**SMALL, "cell": 0.5}}
    stack = Model(OwnModel(architecture=settings, **model), moments_of(torch.randn(90, 2)), 2)
    stack.backbone.initialise(["a", "b"])
    return stack


def test_tiles_of_points_are_given_their_own_coarse_points(monkeypatch):
    model = make()
    drawing = Drawing(sampler=Cascaded(), steps=3)
    whole = model.sampler(drawing, 50, ["a", "b"]).draw()
    monkeypatch.setattr(reverse_process, "TILE", 20)
    tiled = model.sampler(drawing, 50, ["a", "b"]).draw()
    torch.testing.assert_close(torch.from_numpy(tiled), torch.from_numpy(whole))


def test_what_is_given_is_scaled_as_inputs_of_the_network_are():
    levels = Geometric().levels()
    c, seen = EDM().coefficients(levels, 1.0), []

    def network(x, t, given):
        seen.append((x, given))
        return x

    x, points = torch.randn(2, 1, 4, 2)
    Denoiser(network, levels, c)(x, 50, (points, 30))
    torch.testing.assert_close(seen[0][0], (c.c_in[50] * x).float())
    torch.testing.assert_close(seen[0][1][0], (c.c_in[30] * points).float())
    assert seen[0][1][1] == 30


def make_examples(x_0, t, noise):
    alpha, sigma = (
        torch.from_numpy(each).float()[t, None] for each in (LEVELS.alpha, LEVELS.sigma)
    )
    return alpha * x_0 + sigma * noise, noise


def test_the_first_stage_learns_rounded_points_and_the_second_points_given_those():
    module, x_0, noise = Cascade(2, 100, cell=0.5, **SMALL), torch.randn(6, 2), torch.randn(6, 2)
    t = torch.randint(0, 100, (6,))
    errors = module.errors(x_0, t, noise, make_examples)
    coarse = (2 * x_0).round() / 2
    first = module(make_examples(coarse, t, noise)[0], t) - noise
    before = torch.tensor([5, 0, 1, 2, 3, 4])
    given = make_examples(coarse, t[before], noise[before])[0], t[before]
    second = module(make_examples(x_0, t, noise)[0], t, given) - noise
    torch.testing.assert_close(errors, torch.stack([first, second], dim=1))
    assert not torch.allclose(module(x_0, t, given), module(x_0, t, (given[0], 99 - given[1])))


def test_the_low_resolution_of_images_is_the_mean_of_two_by_two_pixels():
    images, constant = torch.randn(5, 4, 6), [0, 23]
    x = images.flatten(1)[:, 1:23]
    coarse = Cascade(22, 100, image=[4, 6], constant=constant, **SMALL).coarse(x)
    means = torch.nn.functional.avg_pool2d(images, 2).repeat_interleave(2, 1)
    means = means.repeat_interleave(2, 2)
    means[:, :2, :2] = (images[:, :2, :2].sum(dim=(1, 2)) - images[:, 0, 0])[:, None, None] / 3
    means[:, 2:, 4:] = (images[:, 2:, 4:].sum(dim=(1, 2)) - images[:, 3, 5])[:, None, None] / 3
    torch.testing.assert_close(coarse, means.flatten(1)[:, 1:23])


def test_pixels_that_do_not_add_up_are_named():
    with pytest.raises(ValueError, match="image is 4 x 6 with 1 constant pixels, but 22"):
        Cascade(22, 100, image=[4, 6], constant=[3], **SMALL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"architecture": {"file": FILE, "class": "Cascade"}, "prior": "moment_matched"},
            "sampling.prior is 'moment_matched': with sampling.sampler 'cascaded', 'standard'",
        ),
        (
            {"branches": {"global": {}}, "weighting": "none", "prior": "standard"},
            "sampling.sampler is 'cascaded': branches are one stage",
        ),
    ],
)
def test_what_two_stages_cannot_be_sampled_with_is_named(settings, message):
    sampling = {"sampler": "cascaded", "prior": settings.pop("prior")}
    kind = OwnModel if "architecture" in settings else BranchesModel
    with pytest.raises(ValidationError, match=message):
        kind.model_validate({**settings, "sampling": sampling})
