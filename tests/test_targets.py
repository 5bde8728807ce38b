"""The stable target: what it is, that it has the drawn one's minimiser, and where it is refused."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from test_training import make_model, make_trainer, paper, run

from dualscale.config.variants import AnyVariant
from dualscale.data.sources import DISTRIBUTION
from dualscale.diffusion.losses import Uniform
from dualscale.training.examples import examples, training_coefficients
from dualscale.training.targets import Stable

VARIANT = TypeAdapter(AnyVariant)
ONE_BRANCH = {"branches": {"global": {}}, "weighting": {"kind": "none"}}


def chunk(steps=3, models=2, batch=5, d=2, ratios=(0.1, 30.0), seed=0):
    """Points, noise and alpha / sigma of a chunk of steps."""
    generator = torch.Generator().manual_seed(seed)
    x_0, noise = torch.randn(2, steps, models, batch, d, generator=generator)
    low, high = np.log(ratios)
    spread = torch.rand(steps, models, batch, generator=generator)
    return x_0, noise, torch.exp(low + (high - low) * spread)


@pytest.mark.parametrize("references", [1, 7, 1000])
def test_the_mean_weighs_points_by_the_likelihood_of_the_perturbed_one(references):
    x_0, noise, ratio = chunk()
    drawn, steps = 4, len(x_0)
    means = Stable(references=references).means(x_0, noise, ratio, drawn)
    count = min(max(references, drawn), steps * drawn)
    for step, model, i in np.ndindex(*ratio.shape):
        points = x_0[:, model, :drawn].flatten(0, 1).double()
        points = points.roll(-step * drawn, dims=0)[:count]
        s = ratio[step, model, i].double()
        seen = s * x_0[step, model, i] + noise[step, model, i]
        weights = torch.softmax(-(seen - s * points).square().sum(dim=-1) / 2, dim=0)
        expected = (weights[:, None] * points).sum(dim=0).float()
        torch.testing.assert_close(means[step, model, i], expected, rtol=1e-5, atol=1e-5)


def test_with_next_to_no_noise_the_mean_is_the_point_itself():
    x_0, noise, _ = chunk()
    ratio = torch.full(x_0.shape[:-1], 1e5)
    assert torch.equal(Stable(references=10).means(x_0 + 100, noise, ratio, 5), x_0 + 100)


def test_the_mean_of_many_stable_targets_is_that_of_the_drawn_ones():
    """At one x_t, over points of two places; with batches of three, a bias would be large."""
    generator = torch.Generator().manual_seed(1)
    shape = 100, 300, 3, 1
    x_0 = torch.randint(2, shape, generator=generator).float()
    noise = torch.randn(shape, generator=generator)
    ratio = torch.ones(shape[:-1])
    asked = Stable(references=1).means(x_0, noise, ratio, 3).ravel()
    drawn, near = x_0.ravel(), ((x_0 + noise).ravel() - 0.2).abs() < 0.05
    difference = asked[near] - drawn[near]
    assert difference.mean().abs() < 3 * difference.std() / near.sum().sqrt()
    assert asked[near].var() < 0.5 * drawn[near].var()


def test_the_target_is_made_from_the_mean_and_the_noise_that_led_from_there():
    data = torch.randn(50, 2)
    spec = VARIANT.validate_python(ONE_BRANCH | {"prediction": "edm", "schedule": "geometric"})
    model = make_model(spec, data)
    x_0, noise, asked = torch.randn(3, 1, 1, 40, 2).double()
    t = torch.randint(100, (1, 1, 40))
    table = training_coefficients(model, Uniform(), data.device).double()
    _, target, _ = examples(x_0, t, noise, table, asked=asked)
    alpha, sigma = (
        torch.from_numpy(each)[t][..., None] for each in (model.levels.alpha, model.levels.sigma)
    )
    led = (alpha * x_0 + sigma * noise - alpha * asked) / sigma
    expected = examples(asked, t, led, table)[1]
    torch.testing.assert_close(target, expected, rtol=1e-4, atol=1e-4)


def test_training_asks_for_the_mean():
    moons = DISTRIBUTION.validate_python("moons").build()
    data = torch.from_numpy(moons.sample(500, np.random.default_rng(0))).float()
    stable = paper(target={"kind": "stable", "references": 320}, antithetic_fraction=0.25)
    trainers = [
        make_trainer(settings=s, data=data) for s in (paper(antithetic_fraction=0.25), stable)
    ]
    drawn, means = (trainer.targets for trainer in trainers)
    losses = [run(trainer) for trainer in trainers]
    assert torch.equal(trainers[0].seen, trainers[1].seen)
    assert not torch.equal(drawn, means)
    assert losses[1].mean() < losses[0].mean(), "what cannot be known is no longer asked for"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"coupling": "optimal_transport"}}, "with coupling 'optimal_transport' 'dra"),
        ({"categories": "absorbing"}, "with discrete categories or conditioning, 'drawn' is"),
        ({"conditioning": {"columns": "all"}}, "with discrete categories or conditioning, 'drawn'"),
    ],
)
def test_a_stable_target_is_refused_where_its_weights_would_be_wrong(changes, message):
    training = {"training": {"target": "stable"} | changes.pop("training", {})}
    with pytest.raises(ValidationError, match=message):
        VARIANT.validate_python(ONE_BRANCH | changes | training)


def test_a_network_of_ones_own_is_refused_a_stable_target():
    own = {"architecture": {"file": "a.py", "class": "A"}, "training": {"target": "stable"}}
    with pytest.raises(ValidationError, match="with architecture, 'drawn' is allowed"):
        VARIANT.validate_python(own)
