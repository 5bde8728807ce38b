import tracemalloc

import numpy as np
import pytest

from dualscale.data.units import BLOCK, own_units, standard_units

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
