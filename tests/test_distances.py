import numpy as np
import pytest
from scipy import stats

from dualscale.data.datasets import Dino
from dualscale.data.distributions import GaussianMixture
from dualscale.metrics.distances import (
    classifier_test,
    coverage,
    energy_distance,
    off_support,
    sliced_wasserstein,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_energy_distance_is_scipys_in_one_dimension(rng):
    x, y = rng.normal(size=(900, 1)), rng.normal(0.5, 1.5, size=(700, 1))
    biased = stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    assert energy_distance(x, y) == pytest.approx(biased, abs=5e-3)


def test_energy_distance_of_one_distribution_is_zero_on_average(rng):
    draws = [energy_distance(*rng.normal(size=(2, 300, 2))) for _ in range(60)]
    assert abs(np.mean(draws)) < 3 * stats.sem(draws)


def test_energy_distance_of_shifted_points_has_its_closed_form():
    # Two points one unit apart, and the same two moved far away: every distance is known.
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    y = x + np.array([100.0, 0.0])
    between = (100 + 101 + 99 + 100) / 4
    assert energy_distance(x, y) == pytest.approx(2 * between - 1 - 1)


def test_sliced_wasserstein_of_a_shift_is_the_mean_length_of_its_projections(rng):
    x = rng.normal(size=(500, 2))
    distance = sliced_wasserstein(x, x + np.array([3.0, 0.0]), rng, directions=2000)
    assert distance == pytest.approx(3 * 2 / np.pi, rel=0.03)


def test_coverage_of_the_same_distribution_is_its_expectation_and_of_a_far_one_zero(rng):
    real, same = rng.normal(size=(2, 3000, 2))
    n, k = 3000, 5
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert coverage(real, same, k) == pytest.approx(expected, abs=0.02)
    assert coverage(real, same + 50, k) == 0


def test_off_support_is_one_in_a_thousand_for_real_points_and_all_for_far_ones(rng):
    dino = Dino().build()
    real, fresh = dino.sample(20_000, rng), dino.sample(20_000, rng)
    assert off_support(dino, fresh, real) == pytest.approx(0.001, abs=0.0008)
    assert off_support(dino, fresh + 100, real) == 1


def test_the_classifier_tells_a_shift_and_cannot_tell_equals(rng):
    real, same = rng.normal(size=(2, 1500, 2))
    accuracy, p = classifier_test(real, same, 0)
    assert accuracy == pytest.approx(0.5, abs=0.04)
    assert p > 0.01
    accuracy, p = classifier_test(real, same + 1, 0)
    assert accuracy > 0.6
    assert p < 1e-6


def blobs(width):
    """The dino's blobs, narrowed or widened."""
    dino = Dino().build()
    return GaussianMixture(dino.means, dino.weights, width * dino.width)


WIDTHS = [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    "distance",
    [
        lambda real, x: -coverage(real, x),
        lambda real, x: classifier_test(real, x, 0)[0],
        lambda real, x: energy_distance(real, x),
    ],
    ids=["coverage", "classifier", "energy"],
)
def test_is_least_at_the_true_width_of_the_blobs(distance, rng):
    real = Dino().build().sample(4000, rng)
    values = [
        np.mean([distance(real, blobs(width).sample(4000, rng)) for _ in range(2)])
        for width in WIDTHS
    ]
    assert np.argmin(values) == 1, values
