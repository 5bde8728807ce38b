from typing import get_args

import numpy as np
import pytest
from scipy import integrate, spatial, stats

from dualscale.data.datasets import Gaussians, KnownDistribution, Outline
from dualscale.data.shapes import Shape
from dualscale.data.sources import DISTRIBUTION
from dualscale.parts import kinds

LEVELS = [(0.999, 0.05), (0.9, 0.4), (0.6, 0.8)]
each_dataset = pytest.mark.parametrize("name", sorted(kinds(KnownDistribution)))
in_the_plane = pytest.mark.parametrize(
    "name", sorted(set(kinds(KnownDistribution)) - set(kinds(Shape)))
)
each_level = pytest.mark.parametrize(("alpha", "sigma"), LEVELS)


def known(kind):
    return DISTRIBUTION.validate_python(kind).build()


def noisy_sample(name, n, alpha, sigma, seed=0):
    rng = np.random.default_rng(seed)
    points = known(name).sample(n, rng)
    return alpha * points + sigma * rng.standard_normal(points.shape)


@each_dataset
def test_a_sample_has_its_shape_and_repeats_with_its_seed(name):
    first, second = (known(name).sample(50, np.random.default_rng(4)) for _ in range(2))
    assert first.shape == (50, DISTRIBUTION.validate_python(name).coordinates())
    np.testing.assert_array_equal(first, second)


@in_the_plane
@each_level
def test_density_integrates_to_one(name, alpha, sigma):
    reach = 5 + 7 * sigma
    # The density is smooth on the scale of sigma: sums over a finer grid are exact.
    ticks = np.arange(-reach, reach, 0.7 * sigma)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    distribution = known(name)
    mass = np.exp(distribution.log_density(grid, alpha, sigma)).sum() * (ticks[1] - ticks[0]) ** 2
    assert mass == pytest.approx(1, abs=2e-3)


@each_dataset
@each_level
def test_density_is_that_of_the_samples(name, alpha, sigma):
    """Compare the overlap of density and Gaussian, estimated from samples of either."""
    distribution = known(name)
    points = noisy_sample(name, 4000, alpha, sigma)
    rng = np.random.default_rng(9)
    centre, width = points[0], 0.5 * sigma + 0.2
    probes = rng.normal(centre, width, size=points.shape)
    by_probes = np.exp(distribution.log_density(probes, alpha, sigma))
    by_points = stats.multivariate_normal(centre, width**2).pdf(points)
    error = 5 * np.hypot(by_probes.std(), by_points.std()) / np.sqrt(4000)
    assert by_probes.mean() == pytest.approx(by_points.mean(), abs=error)


@each_dataset
@each_level
def test_score_is_the_gradient_of_the_log_density(name, alpha, sigma):
    distribution = known(name)
    points = noisy_sample(name, 200, alpha, sigma, seed=2)
    step = 1e-5
    numeric = np.stack(
        [
            distribution.log_density(points + shift, alpha, sigma)
            - distribution.log_density(points - shift, alpha, sigma)
            for shift in step * np.eye(points.shape[1])
        ],
        axis=1,
    ) / (2 * step)
    score = distribution.score(points, alpha, sigma)
    np.testing.assert_allclose(score, numeric, rtol=2e-4, atol=2e-4)


@each_dataset
def test_score_far_away_points_home(name):
    distribution = known(name)
    far = 60 * np.eye(distribution.dimensions)
    score = distribution.score(np.concatenate([far, -far]), 0.9, 0.5)
    above, below = np.split(score, 2)
    assert np.isfinite(score).all()
    assert (above.diagonal() < -100).all()
    assert (below.diagonal() > 100).all()


@each_dataset
def test_pure_noise_is_gaussian(name):
    distribution = known(name)
    d = distribution.dimensions
    x = np.random.default_rng(3).normal(size=(20, d))
    expected = stats.multivariate_normal(np.zeros(d), 0.49).logpdf(x)
    np.testing.assert_allclose(distribution.log_density(x, 0.0, 0.7), expected)
    np.testing.assert_allclose(distribution.score(x, 0.0, 0.7), -x / 0.49, atol=1e-12)


def test_line_is_uniform_on_its_rectangle():
    points = known("line").sample(2000, np.random.default_rng(0))
    assert (np.abs(points) <= [2, 4]).all()
    density = np.exp(known("line").log_density(np.array([[0.0, 0.0], [1.9, -3.9], [2.1, 0.0]])))
    np.testing.assert_allclose(density, [1 / 32, 1 / 32, 0])


def test_circle_has_sixteen_discs_on_the_rim_and_one_in_the_middle():
    centres, weights = known("circle").centres, known("circle").weights
    length = np.hypot(*centres.T)
    np.testing.assert_allclose(np.sort(length), [0] + [3] * 16)
    assert weights.sum() == pytest.approx(1)
    assert weights[length == 0] == pytest.approx(1 / 25)


def test_circle_agrees_with_the_construction_by_rounding():
    rng = np.random.default_rng(5)
    uv = 2 * np.round(rng.uniform(-0.25, 0.25, (50_000, 2)), 1)
    length = np.maximum(np.hypot(*uv.T), 1e-9)[:, None]
    centres = 3 * uv / np.where(length < 1e-6, 1, length)
    distance = np.linalg.norm(centres[:, None] - known("circle").centres, axis=2)
    assert distance.min(axis=1).max() < 1e-9
    share = np.bincount(distance.argmin(axis=1), minlength=17) / len(uv)
    np.testing.assert_allclose(share, known("circle").weights, atol=5e-3)


def test_noisy_disc_agrees_with_a_double_integral():
    alpha, sigma, x = 0.8, 0.05, np.array([0.06, 0.02])
    radius = alpha * known("circle").radius

    def integrand(angle, r):
        squared = (x[0] - r * np.cos(angle)) ** 2 + (x[1] - r * np.sin(angle)) ** 2
        return np.exp(-0.5 * squared / sigma**2) / (2 * np.pi * sigma**2) / (2 * np.pi * radius)

    expected = integrate.dblquad(integrand, 0, radius, 0, 2 * np.pi)[0] / 25
    actual = np.exp(known("circle").log_density(x[None], alpha, sigma))[0]
    assert actual == pytest.approx(expected, rel=1e-8)


def test_dino_has_142_narrow_blobs():
    assert known("dino").means.shape == (142, 2)
    np.testing.assert_allclose(known("dino").width, [4 * 0.15 / 54, 4 * 0.15 / 48])


@pytest.mark.parametrize("name", ["trefoil", "sphere", "torus"])
def test_a_shape_without_ends_is_uniform(name):
    along = known(name).means[::13]
    assert np.ptp(known(name).log_density(along)) < 0.05


@pytest.mark.parametrize("name", kinds(Shape))
def test_a_shapes_means_are_closer_than_it_is_blurred_wide(name):
    means, width = known(name).means, known(name).width[0]
    nearest = spatial.cKDTree(means).query(means, [2])[0]
    assert nearest.max() <= 1.25 * width


@each_dataset
def test_score_without_noise_is_refused(name):
    with pytest.raises(ValueError, match="sigma > 0"):
        known(name).score(np.zeros((1, known(name).dimensions)), 1.0, 0.0)


@pytest.mark.parametrize("shape", get_args(Outline.model_fields["shape"].annotation))
def test_an_outline_fills_the_square_from_minus_4_to_4(shape):
    points = Outline(shape=shape).build().sample(5000, np.random.default_rng(0))
    assert points.shape == (5000, 2)
    assert 3.5 < np.abs(points).max() < 4.3


@pytest.mark.parametrize("d", [1, 3, 64])
def test_gaussians_have_any_dimension(d):
    settings = Gaussians(dimensions=d)
    assert settings.build().dimensions == d
    sample = settings.build().sample(50, np.random.default_rng(0))
    assert sample.shape == (50, d)
    assert np.isfinite(settings.build().log_density(sample)).all()
