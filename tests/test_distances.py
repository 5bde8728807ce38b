import numpy as np
import pytest
from scipy import stats

from dualscale.data.datasets import Dino, Gaussians
from dualscale.data.distributions import GaussianMixture
from dualscale.metrics.distances import (
    KL,
    BlobWidth,
    ClassifierTest,
    Coverage,
    EnergyDistance,
    NearestTraining,
    OffSupport,
    ReverseKL,
    SlicedWasserstein,
    every_metric,
)
from dualscale.metrics.kl import Reference, knn_kl, kth_distances
from dualscale.metrics.metric import Samples, measured


def value(metric, real, generated, distribution=None):
    """First value of a metric."""
    return metric.measure(Samples(Reference.of(real, [1]), generated, distribution))[0]


def coverage(real, generated):
    return value(Coverage(), real, generated)


def energy_distance(real, generated):
    return value(EnergyDistance(), real, generated)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_energy_distance_is_scipys_in_one_dimension(rng):
    x, y = rng.normal(size=(700, 1)), rng.normal(0.5, 1.5, size=(700, 1))
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
    distance = value(SlicedWasserstein(directions=2000), x, x + np.array([3.0, 0.0]))
    assert distance == pytest.approx(3 * 2 / np.pi, rel=0.03)


def test_coverage_of_the_same_distribution_is_its_expectation_and_of_a_far_one_zero(rng):
    real, same = rng.normal(size=(2, 3000, 2))
    n, k = 3000, 5
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert coverage(real, same) == pytest.approx(expected, abs=0.02)
    assert coverage(real, same + 50) == 0


def test_off_support_is_one_in_a_thousand_for_real_points_and_all_for_far_ones(rng):
    dino = Dino().build()
    real, fresh = dino.sample(20_000, rng), dino.sample(20_000, rng)
    assert value(OffSupport(), real, fresh, dino) == pytest.approx(0.001, abs=0.0008)
    assert value(OffSupport(), real, fresh + 100, dino) == 1


def classifier(real, generated):
    return ClassifierTest().measure(Samples(Reference.of(real, [1]), generated))


def test_the_classifier_tells_a_shift_and_cannot_tell_equals(rng):
    real, same = rng.normal(size=(2, 1500, 2))
    accuracy, p = classifier(real, same)
    assert accuracy == pytest.approx(0.5, abs=0.04)
    assert p > 0.01
    accuracy, p = classifier(real, same + 1)
    assert accuracy > 0.6
    assert p < 1e-6


def blobs(width):
    """The dino's blobs, narrowed or widened."""
    dino = Dino().build()
    return GaussianMixture(dino.means, dino.weights, width * dino.width)


@pytest.mark.parametrize("d", [2, 64])
def test_the_width_of_blobs_is_that_of_the_real_ones_in_few_and_in_many_dimensions(d, rng):
    known = Gaussians(dimensions=d).build()
    wide = GaussianMixture(known.means, known.weights, 1.1 * known.width)
    real, generated = known.sample(2000, rng), wide.sample(2000, rng)
    assert value(BlobWidth(), real, generated, known) == pytest.approx(1.1, abs=0.03)


def test_samples_off_every_blob_have_no_width(rng):
    known = Gaussians(dimensions=64).build()
    real = known.sample(500, rng)
    assert value(BlobWidth(), real, real + 50, known) is None


WIDTHS = [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    "distance",
    [
        lambda real, x: -coverage(real, x),
        lambda real, x: classifier(real, x)[0],
        energy_distance,
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


def test_one_search_each_way_gives_the_figures_of_a_search_for_every_k(rng, monkeypatch):
    real, generated = rng.normal(size=(900, 2)), rng.normal(0.1, 1.1, size=(400, 2))
    expected = {f"kl_k{k}_bits": knn_kl(real, generated, k) for k in (1, 5, 20)}
    expected |= {f"reverse_kl_k{k}_bits": knn_kl(generated, real, k) for k in (1, 5, 20)}
    reference, searched = Reference.of(real, [1, 5, 20]), []

    def counted(points, others, *arguments):
        searched.append((len(points), len(others)))
        return kth_distances(points, others, *arguments)

    monkeypatch.setattr("dualscale.metrics.kl.kth_distances", counted)
    metrics = [KL(), ReverseKL()]
    assert measured(Samples(reference, generated), metrics) == expected
    # The real points' own neighbours are those of the reference.
    assert searched == [(900, 400), (400, 400), (400, 900)]


def test_metrics_take_as_many_real_points_as_generated_ones(rng):
    real, generated = rng.normal(size=(300, 2)), rng.normal(size=(100, 2))
    assert coverage(real, generated) == coverage(real[:100], generated)
    assert coverage(generated, real) == coverage(generated, real[:100])


def test_what_needs_a_density_is_null_without_one(rng):
    samples = Samples(Reference.of(rng.normal(size=(50, 2)), [1]), rng.normal(size=(50, 2)))
    assert measured(samples, [OffSupport()]) == {"off_support_share": None}


def test_distance_to_the_training_points_is_one_for_fresh_points_and_zero_for_copies(rng):
    dino = Dino().build()
    training = dino.sample(4000, rng)

    def nearest(generated):
        return value(NearestTraining(), training, generated, dino)

    assert nearest(dino.sample(1000, rng)) == pytest.approx(1, abs=0.1)
    assert nearest(training[:1000]) == 0
    assert nearest(dino.sample(1000, rng) + 0.3) > 2
    held_out = Reference.of(dino.sample(2000, rng), [1])
    points = training[:1000] + 1e-6
    samples = Samples(held_out, points, training=training)
    assert NearestTraining().measure(samples)[0] < 0.01
    assert NearestTraining().measure(Samples(held_out, points)) == [None]


def test_every_kind_of_metric_has_columns_of_its_own():
    names = [column.name for metric in every_metric() for column in metric.columns()]
    assert len(names) == len(set(names)) > len(every_metric())
