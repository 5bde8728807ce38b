import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from dualscale.data.units import Units, standard_units
from dualscale.metrics.kl import EVERY_PAIR_FROM, Reference, knn_kl, kth_distances


def brute_force(real, generated, k):
    """The estimator's definition, with every distance and logarithm written out."""

    def kth(point, others, k):
        return np.sort(np.abs(others - point).max(axis=1))[k - 1]

    n, d = real.shape
    ratio = [
        np.log2(kth(x, generated, k) / kth(x, np.delete(real, i, axis=0), k))
        for i, x in enumerate(real)
    ]
    return np.log2(len(generated) / (n - 1)) + d * np.mean(ratio)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(8, 40),
    m=st.integers(8, 40),
    d=st.integers(1, 4),
    k=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_the_definition(n, m, d, k, seed):
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(n, d)), rng.normal(1, 2, size=(m, d))
    assert knn_kl(real, generated, k) == pytest.approx(brute_force(real, generated, k))


@pytest.mark.parametrize(
    ("mean", "width"), [(0.0, 1.0), (1.0, 1.0), (0.0, 2.0), (0.5, 1.5)], ids=str
)
def test_gaussians_of_different_mean_and_width(mean, width):
    rng = np.random.default_rng(7)
    real = rng.normal(size=(20_000, 2))
    generated = rng.normal(mean, width, size=(20_000, 2))
    per_axis = np.log(width) + (1 + mean**2) / (2 * width**2) - 0.5
    assert knn_kl(real, generated, 5) == pytest.approx(2 * per_axis / np.log(2), abs=0.05)


def test_uniform_inside_a_wider_one():
    rng = np.random.default_rng(8)
    real, generated = rng.uniform(0, 1, (20_000, 2)), rng.uniform(-1, 3, (20_000, 2))
    # Points at the edge lack half their neighbours, which leaves a small bias.
    assert knn_kl(real, generated, 5) == pytest.approx(4, abs=0.1)


def test_unit_is_the_bit():
    """Doubling the width of a uniform distribution costs one bit."""
    rng = np.random.default_rng(9)
    real, generated = rng.uniform(0, 1, (20_000, 1)), rng.uniform(-0.5, 1.5, (20_000, 1))
    assert knn_kl(real, generated, 5) == pytest.approx(1, abs=0.05)


def test_float32_points_are_measured_in_float64():
    rng = np.random.default_rng(1)
    real, generated = (rng.normal(size=(300, 2)).astype(np.float32) for _ in range(2))
    doubled = knn_kl(real.astype(np.float64), generated.astype(np.float64), 3)
    assert knn_kl(real, generated, 3) == doubled


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_points_that_are_not_finite_are_counted(value):
    real, generated = np.random.default_rng(0).normal(size=(2, 50, 2))
    generated[[3, 8], 1] = value
    with pytest.raises(ValueError, match="2 of 50 generated points are not finite"):
        knn_kl(real, generated, 5)


def test_repeated_real_points_are_refused():
    real, generated = np.random.default_rng(0).normal(size=(2, 50, 2))
    real[:6] = real[0]
    with pytest.raises(ValueError, match="6 of 50 real points coincide with 5 or more real"):
        knn_kl(real, generated, 5)


def test_generated_points_repeated_on_a_real_one_are_refused():
    real, generated = np.random.default_rng(0).normal(size=(2, 50, 2))
    generated[:5] = real[0]
    with pytest.raises(ValueError, match="1 of 50 real points coincide with 5 or more generated"):
        knn_kl(real, generated, 5)


def test_a_few_repeated_points_are_no_obstacle():
    real, generated = np.random.default_rng(0).normal(size=(2, 50, 2))
    real[:3] = real[0]
    assert np.isfinite(knn_kl(real, generated, 5))


def test_too_few_points_are_refused():
    real, generated = np.random.default_rng(0).normal(size=(2, 5, 2))
    with pytest.raises(ValueError, match="k = 5 needs 6 real points, there are 5"):
        knn_kl(real, generated, 5)


def test_samples_of_different_dimension_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="real points have 2 dimensions, generated ones 3"):
        knn_kl(rng.normal(size=(9, 2)), rng.normal(size=(9, 3)), 1)


def two_clouds(scale=(1.0, 1.0, 1.0)):
    """A normal sample and one whose last column is shifted by 1.5, in chosen units."""
    rng = np.random.default_rng(4)
    real, generated = rng.normal(size=(4000, 3)), rng.normal((0, 0, 1.5), 1, (4000, 3))
    return real * np.array(scale), generated * np.array(scale)


@pytest.mark.parametrize("scale", [(1000.0, 1.0, 0.02), (3.0, 1e6, 1.0)], ids=str)
def test_the_unit_of_a_column_does_not_move_the_estimate_in_the_models_units(scale):
    (real, generated), (same, drawn) = two_clouds(), two_clouds(scale)
    expected = Reference.of(real, [5], standard_units(real)).kl(generated)
    again = Reference.of(same, [5], standard_units(same)).kl(drawn)
    assert again == pytest.approx(expected, abs=1e-4)
    assert again == pytest.approx(1.5**2 / 2 / np.log(2), abs=0.3)
    assert abs(knn_kl(same, drawn, 5) - again) > 1  # what the data's own units would say


def test_a_constant_column_says_nothing_about_the_kl():
    real, generated = two_clouds()
    expected = Reference.of(real, [5], standard_units(real)).kl(generated)
    wide, drawn = (np.insert(points, 1, 7.0, axis=1) for points in (real, generated))
    assert Reference.of(wide, [5], standard_units(wide)).kl(drawn) == expected


def test_a_reference_that_was_saved_gives_the_same_estimate(tmp_path):
    real, generated = two_clouds((1000.0, 1.0, 0.02))
    reference = Reference.of(real[:3000], [5], standard_units(real))
    with (tmp_path / "5.npz").open("wb") as file:
        reference.save(file)
    loaded = Reference.load(tmp_path / "5.npz", real)
    assert len(loaded.points) == 3000
    assert loaded.kl(generated) == reference.kl(generated)


def test_one_search_for_several_k_gives_the_figures_of_a_search_for_each():
    real, generated = two_clouds()
    reference = Reference.of(real, [1, 5, 20])
    assert reference.kls(generated) == [knn_kl(real, generated, k) for k in (1, 5, 20)]
    assert reference.kl(generated) == knn_kl(real, generated, 1)


def test_an_estimate_that_is_undefined_leaves_the_others_of_its_search(caplog):
    real, generated = two_clouds()
    found = Reference.of(np.repeat(real, 2, axis=0), [1, 5, 20]).kls(generated[:16])
    assert found[0] is None is found[2]  # every real point is there twice
    assert np.isfinite(found[1])
    assert "left out: k = 20 needs 20 generated points, there are 16" in caplog.text


def test_the_datas_own_units_change_no_bit():
    real, generated = two_clouds()
    own = Units(np.zeros(3, np.float32), np.ones(3, np.float32))
    assert Reference.of(real, [5], own).kl(generated) == knn_kl(real, generated, 5)


@pytest.mark.parametrize("k", [1, 7])
@pytest.mark.parametrize("times", [(1.0, 2.0), (2.0, 1.0)], ids=["tree", "every pair"])
def test_either_search_of_many_dimensions_finds_the_same_distances(times, k, monkeypatch):
    rng = np.random.default_rng(2)
    points, others = rng.normal(size=(60, EVERY_PAIR_FROM)), rng.normal(size=(900, EVERY_PAIR_FROM))
    every = np.sort(np.abs(points[:, None] - others).max(axis=2), axis=1)
    left = list(times)
    monkeypatch.setattr("dualscale.metrics.kl.PAIRS", 5000)
    monkeypatch.setattr("dualscale.metrics.kl._seconds_a_point", lambda *_: left.pop(0))
    assert (kth_distances(points, others, [1, k]) == every[:, [0, k - 1]]).all()
    assert left == []  # both were timed


@pytest.fixture
def searched(monkeypatch):
    """The points that k-d trees are asked for, in the order of the questions."""
    asked = []

    class Tree(cKDTree):
        def query(self, points, *arguments, **options):
            asked.append(points)
            return super().query(points, *arguments, **options)

    monkeypatch.setattr("scipy.spatial.cKDTree", Tree)
    return asked


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_close_points_are_searched_one_after_another(dimensions, searched):
    points = np.random.default_rng(0).uniform(size=(2000, dimensions))
    kth_distances(points, points, [6])
    *_, asked = searched
    assert sorted(asked.tolist()) == sorted(points.tolist())

    def mean_step(points):
        return np.abs(np.diff(points, axis=0)).max(axis=1).mean()

    assert mean_step(asked) < mean_step(points) / 4


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("spread", ["normal", "standard_cauchy"])
def test_the_order_of_the_search_changes_no_bit(spread, workers):
    draw = getattr(np.random.default_rng(3), spread)
    points, others = draw(size=(3000, 2)), draw(size=(2000, 2))
    points[::3] = points[0]
    expected = cKDTree(others).query(points, [4], p=np.inf)[0]
    assert (kth_distances(points, others, [4], workers) == expected).all()


def test_a_search_says_beforehand_how_long_it_will_take():
    points = np.random.default_rng(0).normal(size=(3000, 3))
    said = []

    def refuse(seconds):
        said.append(seconds)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Reference.of(points, [5], expect=refuse)
    assert 0 < said[0] < 60
