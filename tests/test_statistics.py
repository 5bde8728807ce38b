import math

import pytest

from dualscale.statistics import mean_interval


def test_interval_is_students():
    # mean 2, standard error 1 / sqrt(3), t quantile 4.3027 with two degrees of freedom
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert (low, high) == (pytest.approx(-0.4841, abs=1e-4), pytest.approx(4.4841, abs=1e-4))


def test_one_value_has_no_interval():
    mean, low, high = mean_interval([5.0])
    assert mean == 5
    assert math.isnan(low)
    assert math.isnan(high)
