"""Given columns: what a network sees of them, and draws conditional on them."""

import numpy as np
import pytest
import torch

import describe
from dualscale.data.columns import Category, Number
from dualscale.data.encoding import Encoding
from dualscale.data.moments import Moments
from dualscale.data.units import Units
from dualscale.diffusion.conditioning import Conditioning
from dualscale.diffusion.conditions import (
    GIVEN,
    HIDDEN,
    NOISY,
    Condition,
    Conditions,
    Guided,
)
from dualscale.diffusion.denoiser import Denoiser
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.reverse_process import ReverseProcess
from dualscale.diffusion.schedules import Geometric
from dualscale.model import SETTINGS, Model, load_model
from dualscale.training.examples import examples, training_coefficients
from dualscale.training.loss import LossGradient, weighted_loss
from dualscale.training.settings import Training

NAMES = ["word", "word", "x", "y"]
MOMENTS = Moments(np.zeros(4), np.eye(4))
CPU = torch.device("cpu")
TRAINING = Training()


def settings(columns="all", **changes):
    return SETTINGS.validate_python(
        {
            "branches": {"global": {}, "local": {"upscaled_dimensions": 4}},
            "weighting": {"kind": "learned", "hidden": [8]},
            "network": {"width": 8, "hidden_layers": 1, "embedding": 8, "damped": True},
            "schedule": {"kind": "geometric", "timesteps": 20},
            "prediction": {"kind": "edm"},
            "conditioning": {"columns": columns},
            **changes,
        }
    )


def make(columns="all", models=1, **changes):
    model = Model(settings(columns, **changes), MOMENTS, models)
    model.backbone.initialise([str(index) for index in range(models)])
    return model


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_states_have_their_shares_and_whole_columns():
    chosen = Conditioning(columns="all", given=0.5, hidden=0.2)
    conditions = Conditions(chosen, NAMES, np.ones(4, bool))
    states = conditions.draw((20_000,), 0)
    assert (states[:, 0] == states[:, 1]).all()
    assert (states == GIVEN).any(dim=1).float().mean() == pytest.approx(0.5, abs=0.02)
    assert (states == HIDDEN).any(dim=1).float().mean() == pytest.approx(0.2, abs=0.02)
    count = (states[:, 1:] != NOISY).sum(dim=1)
    assert count.bincount().tolist() == pytest.approx([6000, 7000, 7000], rel=0.05)


def test_only_named_columns_are_given():
    conditions = Conditions(Conditioning(columns=["word"]), NAMES, np.ones(4, bool))
    assert conditions.places.tolist() == [0, 1]
    assert conditions.draw((100,), 0).shape == (100, 2)


def test_the_network_sees_given_columns_without_noise_and_nothing_of_hidden_ones():
    model = make(["x0", "x2"])
    table = training_coefficients(model, TRAINING.loss, CPU)
    t, states = torch.full((1, 50), 7), torch.tensor([GIVEN, HIDDEN]).expand(1, 50, 2)

    def seen(x_0, noise):
        return examples(x_0, t, noise, table, None, model.conditions, states)

    x_0, noise = random(1, 50, 4), random(1, 50, 4) + 1
    inputs, _, weight = seen(x_0, noise)
    other_noise, other_x_0 = noise.clone(), x_0.clone()
    other_noise[..., [0, 2]] += 1
    other_x_0[..., 2] += 1
    assert torch.equal(seen(other_x_0, other_noise)[0], inputs)
    assert torch.equal(inputs[..., 4], x_0[..., 0])
    assert (weight[..., [0, 2]] == 0).all()
    assert (weight[..., [1, 3]] > 0).all()


def test_without_a_condition_the_network_is_the_one_without_conditioning():
    plain = Model(settings().model_copy(update={"conditioning": None}), MOMENTS)
    plain.backbone.initialise(["0"])
    model, x = make(), random(1, 9, 4)
    nothing = model.conditions.inputs(x, x, torch.zeros(1, 9, 4))
    assert torch.equal(model.backbone(x, 3), plain.backbone(x, 3))
    assert torch.equal(model.backbone(nothing, 3), plain.backbone(x, 3))


@pytest.mark.parametrize("categories", ["gaussian", "multinomial", "absorbing"])
def test_the_gradient_is_autograds(categories):
    word = Category(name="word", categories=["a", "b", "c"])
    numbers = [Number(name=name, low=-9.0, high=9.0, median=0.0) for name in ("x", "y")]
    encoding = Encoding(columns=[word, *numbers], plain=False)
    chosen = settings(["word", "x"], categories=categories)
    model = Model(chosen, Moments(np.zeros(5), np.eye(5)), 2, encoding=encoding)
    model.backbone.initialise(["0", "1"])
    words = torch.eye(3)[torch.arange(60).view(2, 30) % 3]
    x_0 = torch.cat([words, random(2, 30, 2)], dim=-1)
    t = torch.arange(60).view(2, 30) % 20
    states = model.conditions.draw((2, 30), 0)
    table = training_coefficients(model, TRAINING.loss, CPU)
    known = model.one_hots, model.conditions, states
    inputs, target, weight = examples(x_0, t, random(2, 30, 5) + 1, table, *known)
    gradient = LossGradient(model.backbone, 30, model.one_hots)
    loss = gradient(inputs, t, target, weight)
    expected = weighted_loss(model.backbone, inputs, t, target, weight, model.one_hots)
    torch.testing.assert_close(loss, expected)
    names = list(model.backbone.views)
    exact = torch.autograd.grad(expected.sum(), [model.backbone.views[name] for name in names])
    for name, each in zip(names, exact, strict=True):
        torch.testing.assert_close(gradient.views[name], each, msg=name)
    assert gradient.views["given.local.weight"].any()
    of_words = (weight[..., 0] == 0)[..., None]
    other = torch.where(of_words & (torch.arange(5) < 3), target.roll(1, dims=-1), target)
    torch.testing.assert_close(gradient(inputs, t, other, weight), loss)


@pytest.mark.parametrize("columns", ["all", ["x1", "x3"]])
def test_describe_counts_the_parameters(columns):
    model = make(columns)
    said = describe.parameters(model.settings.model_dump(), ["x0", "x1", "x2", "x3"])
    assert said == f"{model.backbone.parameters_per_model:,} parameters in 4 dimensions"


def test_a_saved_model_keeps_its_condition(tmp_path):
    model = make(["x1"])
    model.save(tmp_path / "0.safetensors", model.backbone.flat, 0)
    loaded = load_model(tmp_path / "0.safetensors")
    assert loaded.conditions.columns == ["x1"]
    assert torch.equal(loaded.backbone.flat, model.backbone.flat)


GAUSSIAN = Moments(
    np.array([1.0, -1.0, 0.5]), np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.0], [0.3, 0.0, 0.5]])
)


def test_conditional_moments_are_those_of_the_textbook():
    given, x = np.array([False, True, True]), np.array([[9.0, 0.0, 1.0], [9.0, 2.0, 0.0]])
    known = GAUSSIAN.conditional(x, given)
    slope = np.array([0.8 / 1.0, 0.3 / 0.5])
    assert known.mean[:, 0] == pytest.approx(1 + (x[:, 1:] - [-1, 0.5]) @ slope)
    assert np.array_equal(known.mean[:, 1:], x[:, 1:])
    assert known.covariance[0, 0] == pytest.approx(1 - 0.8**2 - 0.3**2 / 0.5)
    assert np.count_nonzero(known.covariance) == 1


def test_a_given_category_makes_no_singular_moments():
    flags = np.eye(3)[np.arange(300) % 3]
    data = np.column_stack([flags, flags[:, 0] + np.arange(300) / 300])
    moments = Moments(data.mean(axis=0), np.cov(data.T))
    known = moments.conditional(data[:3], np.array([True, True, True, False]))
    assert known.mean[:, 3] == pytest.approx([data[i::3, 3].mean() for i in range(3)], abs=1e-6)


def exact_denoiser(condition, levels):
    """E[x_0 | x_t, given coordinates] of the Gaussian, in place of a trained denoiser."""
    groups = list(condition.groups(GAUSSIAN))

    def denoise(x, t, given):
        values, flags = given
        alpha, sigma = levels.alpha[t], levels.sigma[t]
        x_0 = torch.zeros_like(x)
        for rows, known in groups:
            pattern = flags == torch.from_numpy(condition.given[rows[0]])
            here = pattern.all(dim=1)
            mean = GAUSSIAN.conditional(values[here].numpy(), condition.given[rows[0]]).mean
            power = alpha**2 * known.covariance + sigma**2 * np.eye(3)
            gain = alpha * known.covariance @ np.linalg.inv(power)
            x_0[:, here] = torch.from_numpy(
                mean + (x[:, here].numpy() - alpha * mean) @ gain.T
            ).float()
        return x_0

    return denoise


def test_draws_with_an_exact_denoiser_have_the_exact_conditional_moments():
    levels = Geometric(sigma_min=0.01, sigma_max=1.0, timesteps=40).levels()
    units = Units(np.array([3, 0, 0], np.float32), np.array([2, 1, 1], np.float32))
    given = np.zeros((6100, 3), bool)
    given[::2, 1], given[1::2, [0, 2]] = True, True
    in_model = np.tile(np.float32([2.0, 0.5, -0.5]), (len(given), 1))
    condition = Condition(units.into_data(in_model), given)
    drawing = Drawing.model_validate({"prior": "moment_matched", "sampler": "heun"})
    parts = exact_denoiser(condition.in_model(units), levels), levels, GAUSSIAN, drawing
    process = ReverseProcess(*parts, len(given), ["0"], CPU, units=units, condition=condition)
    points = process.draw()[0]
    assert np.array_equal(points[given], condition.values[given])
    for start in (0, 1):
        known = GAUSSIAN.conditional(in_model[:1], given[start])
        drawn = units.into_model(points)[start::2][:, ~given[start]]
        error = np.sqrt(known.covariance[~given[start]][:, ~given[start]].diagonal() / 3000)
        assert (abs(drawn.mean(axis=0) - known.mean[0, ~given[start]]) < 4 * error).all()
        expected = known.covariance[np.ix_(~given[start], ~given[start])]
        assert np.cov(drawn.T) == pytest.approx(expected.squeeze(), abs=0.04)


@pytest.mark.parametrize(("guidance", "expected"), [(0, 3.0), (1, 5.0), (2, 7.0)])
def test_guidance_goes_from_the_hidden_estimate_to_the_given_one_and_beyond(guidance, expected):
    levels = Geometric(timesteps=5).levels()
    prediction = SETTINGS.validate_python({**settings().model_dump(), "prediction": "sample"})
    coefficients = prediction.prediction.coefficients(levels, 1.0)
    conditions = Conditions(Conditioning(columns=["x"]), NAMES, np.ones(4, bool))

    def network(seen, t):
        assert seen[..., 2].eq(0).all()  # the noisy value of what is given or hidden
        state = seen[..., -1:]
        return torch.where(state == GIVEN, 5.0, 3.0).expand_as(seen[..., :4])

    guided = Guided(network, conditions, guidance)
    denoiser = Denoiser(guided, levels, coefficients)
    given = torch.zeros(2, 6, 4)
    given[:, :, 2] = torch.tensor([8.0, 1.0])[:, None]
    x_0 = denoiser(random(1, 6, 4), 2, given)
    assert (x_0[..., 2] == 8).all()
    assert (x_0[..., [0, 1, 3]] == expected).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["x9"]}, "conditioning.columns names 'x9', which is not defined: x0, x1"),
        ({"columns": ["x0", "x1", "x2", "x3"], "given": 0.9}, None),
        ({"columns": "all", "given": 0.95}, "given is 0.95: at most 1 - hidden, 0.9, is allowed"),
    ],
)
def test_settings_that_cannot_be_used_are_named(change, message):
    if message is None:
        make(conditioning=change)
        return
    with pytest.raises(ValueError, match=message):
        make(conditioning=change)


def test_a_single_column_leaves_nothing_to_draw():
    with pytest.raises(ValueError, match="one column at least must be given and one drawn"):
        Model(settings(), Moments(np.zeros(1), np.eye(1)))
