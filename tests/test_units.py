import tracemalloc

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from dualscale.data.normalisations import Quantile
from dualscale.data.units import BLOCK, own_units, quantile_units, standard_units, whitened_units

DATA = np.random.default_rng(0).normal([3, 0.1, -5], [10, 0, 0.1], (500, 3)).astype(np.float32)


def test_standard_units_have_mean_0_and_variance_1_and_are_undone():
    units = standard_units(DATA)
    inside = units.into_model(DATA)
    assert inside.dtype == np.float32
    np.testing.assert_allclose(inside.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(inside.std(axis=0, ddof=1), 1, rtol=1e-4)
    np.testing.assert_allclose(units.into_data(inside), DATA, rtol=1e-5)


def test_a_constant_column_is_kept_from_the_model_and_given_back_exactly():
    units = standard_units(DATA)
    assert units.varying.tolist() == [True, False, True]
    assert units.into_model(DATA).shape == (500, 2)
    given = units.into_data(np.random.default_rng(1).normal(size=(7, 2)).astype(np.float32))
    assert (given[:, 1] == np.float32(0.1)).all()


@pytest.mark.parametrize("value", [0.1, 1e-38, 16777217.0, -3e37])
def test_any_constant_is_found(value):
    data = np.column_stack([DATA[:, 0], np.full(500, value, np.float32)])
    assert standard_units(data).varying.tolist() == [True, False]


def test_the_datas_own_units_change_no_bit():
    units = own_units(3)
    np.testing.assert_array_equal(units.into_model(DATA), DATA)
    np.testing.assert_array_equal(units.into_data(DATA), DATA)


def test_a_large_dataset_is_not_copied_to_float64_whole():
    data = np.random.default_rng(0).normal(size=(8 * BLOCK, 1)).astype(np.float32)
    tracemalloc.start()
    units = standard_units(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < data.nbytes  # float64 would be twice as large
    exact = data.astype(np.float64)
    np.testing.assert_allclose(units.shift, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(units.scale, exact.std(axis=0, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("decimals", [6, 0])  # without ties and with many
def test_quantile_units_are_those_of_scikit_learn(decimals):
    data = (DATA * np.float32(20)).round(decimals)[:, [0, 2]]
    oracle = QuantileTransformer(n_quantiles=50, output_distribution="normal", subsample=None)
    expected = oracle.fit_transform(data.astype(np.float64))
    units = quantile_units(data, 50)
    inside = units.into_model(data)
    assert inside.dtype == np.float32
    np.testing.assert_allclose(inside, expected, rtol=1e-3, atol=1e-3)
    drawn = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)
    back = oracle.inverse_transform(drawn.astype(np.float64))
    np.testing.assert_allclose(units.into_data(drawn), back, rtol=1e-4, atol=1e-4)


def test_quantile_units_make_columns_normal_and_are_undone():
    data = np.random.default_rng(0).exponential(size=(3000, 2)).astype(np.float32)
    units = Quantile().units(data)
    assert units.quantiles.shape == (100, 2)
    inside = units.into_model(data)
    np.testing.assert_allclose(inside.mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(inside.std(axis=0), 1, atol=0.02)
    np.testing.assert_allclose(units.into_data(inside), data, atol=1e-3)


def test_quantile_units_restore_constant_columns_and_keep_to_the_range_of_the_data():
    units = quantile_units(DATA, 10)
    far = np.array([[-9, -9], [9, 9]], np.float32)
    drawn = units.into_data(far)
    assert (drawn[:, 1] == np.float32(0.1)).all()
    np.testing.assert_array_equal(drawn[0], DATA.min(axis=0))
    np.testing.assert_array_equal(drawn[1], DATA.max(axis=0))


@pytest.mark.parametrize(("points", "quantiles"), [(100, 10), (3000, 100), (50_000, 1000)])
def test_there_is_a_quantile_per_thirty_points_from_ten_to_a_thousand(points, quantiles):
    data = np.linspace(0, 1, points, dtype=np.float32)[:, None]
    assert len(Quantile().units(data).quantiles) == quantiles


def test_the_slope_of_quantile_units_is_that_of_the_map_beside_columns_of_flags():
    rng = np.random.default_rng(0)
    data = np.column_stack([rng.normal(size=500), rng.random(500) < 0.3, rng.exponential(size=500)])
    units = quantile_units(data, 20, np.array([False, True, False]))
    x = np.array([[0.1, 1.0, 0.7], [-0.4, 0.0, 1.3]])
    step = 1e-5
    slopes = [
        np.diff(units.into_model(x + step * np.array([[[-1]], [[1]]]) * axis), axis=0)[0]
        for axis in np.eye(3)
    ]
    numerical = np.log([slopes[j][:, j] / (2 * step) for j in range(3)]).sum(axis=0)
    np.testing.assert_allclose(units.log_slope(x), numerical, rtol=1e-3)


def correlated(n=4000):
    """Points of three correlated columns, and a constant one between them."""
    mixed = np.random.default_rng(0).normal(size=(n, 3)) @ [[3, 1, 0], [0, 0.1, 2], [0, 0, 0.1]]
    return np.insert(mixed + np.array([5, 0, -7]), 1, 0.1, axis=1).astype(np.float32)


def test_whitened_units_have_covariance_one_and_are_undone():
    data = correlated()
    units = whitened_units(data)
    inside = units.into_model(data)
    assert inside.dtype == np.float32
    np.testing.assert_allclose(inside.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(inside.T), np.eye(3), atol=1e-3)
    np.testing.assert_allclose(units.into_data(inside), data, atol=1e-4)
    assert (units.into_data(inside)[:, 1] == np.float32(0.1)).all()


def test_whitened_units_do_not_blow_up_the_rounding_of_columns_that_depend_on_others():
    kinds = np.random.default_rng(0).integers(3, size=500)
    flags = np.eye(3, dtype=np.float32)[kinds]  # whose sum is 1
    units = whitened_units(flags)
    assert units.into_model(flags).std(axis=0).min() < 0.01
    np.testing.assert_allclose(units.into_data(units.into_model(flags)), flags, atol=1e-3)


def test_the_slope_of_whitened_units_is_that_of_the_map():
    data = correlated()
    units, varying = whitened_units(data), [0, 2, 3]
    start = data[:1].astype(np.float64)
    steps = start + np.eye(4)[varying]
    jacobian = units.into_model(steps) - units.into_model(start)
    expected = np.log(abs(np.linalg.det(jacobian)))
    np.testing.assert_allclose(units.log_slope(data[:2]), expected, rtol=1e-4)
