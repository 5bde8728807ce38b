"""Discrete noise of categories, against exact probabilities."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.stats import chi2

from dualscale.config.variants import AnyVariant
from dualscale.data.encoding import Encoding
from dualscale.data.moments import Moments
from dualscale.data.normalisations import Standard
from dualscale.data.table import Table
from dualscale.diffusion.categories import Absorbing, Multinomial
from dualscale.diffusion.denoiser import Denoiser
from dualscale.diffusion.one_hots import Accompanied, OneHots
from dualscale.diffusion.predictions import Epsilon
from dualscale.diffusion.samplers import DDIM, Heun
from dualscale.diffusion.schedules import Cosine, Geometric
from dualscale.diffusion.spacings import Trailing
from dualscale.model import SETTINGS, Model
from dualscale.sampling import drawing_with, sample

VARIANT = TypeAdapter(AnyVariant)
GROUPS = [slice(0, 2), slice(3, 6)]  # coordinate 2 is a number
SHIFT = torch.tensor([0.317, 0.683, 0.0, 0.213, 0.287, 0.5])
SCALE = torch.tensor([0.47, 0.47, 1.0, 0.41, 0.45, 0.5])  # with which 0 is not exactly 0 again
JOINT = torch.tensor([[0.30, 0.05, 0.05], [0.02, 0.18, 0.40]])
PAIRS = [(a, b) for a in range(2) for b in range(3)]
LEVELS = Cosine(timesteps=200).levels()
POINTS = 20_000


def one_hots(process, levels=LEVELS):
    return OneHots(process, GROUPS, SHIFT, SCALE, levels)


def as_flags(pairs):
    flags = torch.zeros(len(pairs), 6)
    for row, (a, b) in enumerate(pairs):
        flags[row, a] = flags[row, 3 + b] = 1
    return flags


def exact_means(discrete, x, t):
    """Probabilities of the categories in the data, by Bayes' rule over all pairs of them."""
    flags, kept = discrete.flags(x), discrete.kept[t]
    evidence = [discrete.process.evidence(flags[..., g], kept) for g in GROUPS]
    joint = JOINT * (evidence[0][..., :, None] + evidence[1][..., None, :]).exp()
    joint = joint / joint.sum(dim=(-2, -1), keepdim=True)
    means = torch.zeros_like(x)
    means[..., GROUPS[0]], means[..., GROUPS[1]] = joint.sum(dim=-1), joint.sum(dim=-2)
    return discrete.in_units(means)


def drawn(discrete, sampler, levels):
    """Counts of the pairs of categories that a sampler draws with the exact means, (2, 3)."""
    generator = torch.Generator().manual_seed(0)
    noise = iter(lambda: torch.randn(1, POINTS, 6, generator=generator), None)
    denoise = Accompanied(lambda x, t: exact_means(discrete, x, t), discrete, noise)
    visited = Trailing().visited(levels, None)
    x = denoise.at(-1, sampler.run(denoise, visited, next(noise), noise))
    flags = discrete.flags(x[0])
    assert (flags[:, :2].sum(dim=1) == 1).all()
    assert (flags[:, 3:].sum(dim=1) == 1).all()
    return torch.einsum("na,nb->ab", flags[:, :2], flags[:, 3:])


def unlikely(counts):
    """Whether counts do not come from the joint distribution, at a level of one in a million."""
    expected = JOINT * counts.sum()
    return ((counts - expected) ** 2 / expected).sum() > chi2.ppf(1 - 1e-6, 5)


@pytest.mark.parametrize("process", [Absorbing(), Multinomial()], ids=lambda each: each.kind)
@pytest.mark.parametrize(
    ("sampler", "levels"),
    [
        (DDIM(), LEVELS),
        (Heun(s_churn=40.0), Geometric(sigma_min=0.01, sigma_max=20, timesteps=200).levels()),
    ],
    ids=["noise falls", "noise rises between"],
)
def test_exact_means_draw_the_joint_distribution(process, sampler, levels):
    assert not unlikely(drawn(one_hots(process, levels), sampler, levels))


def test_the_test_above_sees_categories_that_are_drawn_apart():
    apart = JOINT.sum(dim=1, keepdim=True) * JOINT.sum(dim=0)
    assert unlikely(POINTS * apart)


def test_multinomial_noise_replaces_by_every_category_alike():
    discrete, noise = one_hots(Multinomial()), torch.randn(POINTS, 6)
    flags = as_flags([(1, 2)]).expand(POINTS, -1)
    found = discrete.perturbed(flags, noise, 0.4).mean(dim=0)
    expected = torch.tensor([0.3, 0.7, 0.0, 0.2, 0.2, 0.6])
    torch.testing.assert_close(found, expected, atol=4 * 0.5 / POINTS**0.5, rtol=0)


def test_absorbing_noise_masks_as_many_categories_as_told_and_each_alike():
    discrete, noise = one_hots(Absorbing()), torch.randn(POINTS, 6)
    flags = as_flags([(0, 1)]).expand(POINTS, -1)
    masked = discrete.perturbed(flags, noise, 0.6)
    assert (masked.sum(dim=1) == 1).all()
    assert masked[:, 0].mean().item() == pytest.approx(0.5, abs=4 * 0.5 / POINTS**0.5)


@pytest.mark.parametrize("process", [Absorbing(), Multinomial()], ids=lambda each: each.kind)
def test_all_is_kept_in_the_data_and_next_to_nothing_at_the_noisiest_level(process):
    kept = process.kept(LEVELS)
    assert np.all(np.diff(kept) < 0)
    assert kept[-1] < 1e-3
    assert kept[0] > 0.99


def test_absorbing_noise_leaves_alone_what_was_drawn():
    discrete, noise = one_hots(Absorbing()), torch.randn(POINTS, 6)
    flags = as_flags(PAIRS).repeat(POINTS // 6, 1)
    ahead = discrete.drawn(flags, torch.full_like(flags, 1 / 3), 150, 20, noise[: len(flags)])
    torch.testing.assert_close(ahead, flags)


@pytest.mark.parametrize("kind", ["absorbing", "multinomial"])
def test_a_start_below_the_last_timestep_is_refused(kind):
    late = {"spacing": {"kind": "geometric", "sigma_max": 3.0}}
    settings = {"branches": {"global": {}}, "weighting": "none", "categories": kind}
    SETTINGS.validate_python(settings)
    with pytest.raises(ValidationError, match="must start at the last timestep, 99, not at "):
        SETTINGS.validate_python(settings | {"schedule": "cosine", "sampling": late})


@pytest.mark.parametrize(
    "more", [{"categories": "multinomial"}, {"conditioning": {"columns": "all"}}]
)
def test_matched_noise_is_refused_for_tables(more):
    settings = {"branches": {"global": {}}, "weighting": "none", **more}
    VARIANT.validate_python(settings)
    with pytest.raises(ValidationError, match="coupling is 'optimal_transport'"):
        VARIANT.validate_python(settings | {"training": {"coupling": "optimal_transport"}})


@pytest.mark.parametrize(
    "more", [{"categories": "absorbing"}, {"conditioning": {"columns": "all"}}]
)
def test_units_that_mix_columns_are_refused_for_those_of_their_own_kind(more):
    settings = {"branches": {"global": {}}, "weighting": "none", "normalisation": "whitened"}
    VARIANT.validate_python(settings)
    with pytest.raises(ValidationError, match="normalisation is 'whitened'"):
        VARIANT.validate_python(settings | more)


def test_few_evaluations_start_at_the_last_timestep():
    cells = pd.DataFrame({"word": list("ab" * 50), "number": np.arange(100.0)})
    encoding = Encoding.fit(Table(cells, ["string", "double"]))
    points = encoding.encode(cells, np.random.default_rng(0)).astype("f4")
    settings = {"branches": {"global": {}}, "weighting": "none", "categories": "absorbing"}
    parts = Moments(np.zeros(3), np.eye(3)), 1, None, Standard().units(points), encoding
    model = Model(SETTINGS.validate_python(settings | {"schedule": "cosine"}), *parts)
    assert drawing_with(model, 10, {}).visited(model.levels).t[0] == 99
    assert sample(model, 5, evaluations=10).shape == (5, 3)


def test_the_network_sees_zeros_and_ones_and_its_logits_become_probabilities():
    seen, discrete = [], one_hots(Multinomial())

    def network(x, t):
        seen.append(x)
        return torch.tensor([0.0, 0.0, 5.0, 1.0, 1.0, 1.0]).expand_as(x)

    x = discrete.in_units(as_flags(PAIRS)) + 0.25 * ~discrete.mask
    coefficients = Epsilon().coefficients(LEVELS, 1.0)
    x_0 = Denoiser(network, LEVELS, coefficients, discrete)(x, 100)
    torch.testing.assert_close(seen[0][:, discrete.mask], as_flags(PAIRS)[:, discrete.mask])
    kept = discrete.kept[100].item()
    means, count = discrete.from_units(x_0), torch.tensor([2, 2, 1, 3, 3, 3])
    expected = kept * as_flags(PAIRS) + (1 - kept) / count
    torch.testing.assert_close(means[:, discrete.mask], expected[:, discrete.mask])
    plain = Denoiser(network, LEVELS, coefficients)(x, 100)
    torch.testing.assert_close(x_0[:, 2], plain[:, 2])
