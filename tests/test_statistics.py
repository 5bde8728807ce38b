import math

import numpy as np
import pytest
from scipy import stats

from dualscale.metrics import statistics
from dualscale.metrics.statistics import (
    best_interval,
    holm,
    mean_interval,
    probabilities,
    seeds_needed,
    share_interval,
    sign_flip_p,
    smallest_p,
    variance_parts,
    welch_interval,
)


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


def test_few_seeds_get_students_interval_and_many_a_bootstraps():
    values = np.random.default_rng(0).exponential(size=40)
    assert best_interval(values[:19]) == mean_interval(values[:19])
    mean, low, high = best_interval(values)
    assert low < mean < high
    assert high - mean > mean - low, "a bootstrap follows the skew of the data"


def test_the_sign_flip_p_counts_the_signs():
    # Of the 2^4 sign patterns only all + and all - give a mean as far from 0.
    assert sign_flip_p([1.0, 2.0, 3.0, 4.0]) == pytest.approx(2 / 16)
    assert smallest_p(4, 1) == 2 / 16


def test_an_a_a_comparison_rejects_at_its_nominal_rate():
    rng = np.random.default_rng(0)
    p = [sign_flip_p(rng.standard_normal(8)) for _ in range(400)]
    rejected = int(np.sum(np.array(p) <= 0.05))
    assert stats.binomtest(rejected, 400, 0.05).pvalue > 0.01


def test_holm_is_the_step_down_of_the_definition():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_probabilities_share_one_between_worse_same_and_better():
    better, same, worse = probabilities([-0.3, -0.31, -0.29, -0.3], 0.02)
    assert better > 0.999
    assert better + same + worse == pytest.approx(1)
    assert probabilities([0.01, -0.01, 0.005, -0.005], 0.05)[1] > 0.99
    assert all(math.isnan(p) for p in probabilities([0.1], 0.05))


def test_the_seeds_needed_give_that_power():
    differences = np.array([0.1, 0.3, -0.1, 0.2, 0.1, 0.0])
    n = seeds_needed(differences)
    effect = differences.mean() / differences.std(ddof=1)

    def power(n):
        far = stats.nct(n - 1, effect * math.sqrt(n))
        edge = stats.t.ppf(0.975, n - 1)
        return far.sf(edge) + far.cdf(-edge)

    assert power(n) >= 0.8 > power(n - 1)
    assert seeds_needed([1.0, 1.0, 1.0]) == 2
    assert math.isinf(seeds_needed([1.0, -1.0]))


@pytest.mark.parametrize(
    ("effect", "least", "most"),
    [
        (1e300, 2, 2),
        (20.0, 2, 2),  # SciPy returns NaN for the lower tail
        (10.0, 3, 3),
        (0.1, 787, 787),
        (3e-3, 872_000, 873_000),
        (1e-3, math.inf, math.inf),
        (1e-9, math.inf, math.inf),
        (1e-300, math.inf, math.inf),
        (0.0, math.inf, math.inf),
    ],
)
def test_the_seeds_needed_are_told_however_small_or_large_the_effect(effect, least, most):
    half = math.sqrt(0.5)  # -half and half have standard deviation 1
    assert least <= seeds_needed([effect - half, effect + half]) <= most


def test_differences_that_are_all_zero_need_more_seeds_than_there_are():
    assert seeds_needed([0.0, 0.0, 0.0]) == math.inf


def test_variances_of_training_and_sampling_come_apart():
    rng = np.random.default_rng(0)
    table = rng.normal(0, 0.3, (4000, 1)) + rng.normal(0, 0.1, (4000, 2))
    between, within = variance_parts(table)
    assert between == pytest.approx(0.09, rel=0.1)
    assert within == pytest.approx(0.01, rel=0.1)


def test_welchs_interval_is_that_of_the_formula():
    values, others = [1.0, 2.0, 3.0], [0.0, 0.1, 0.2, 0.1]
    own, other = 1 / 3, np.var(others, ddof=1) / 4
    freedom = (own + other) ** 2 / (own**2 / 2 + other**2 / 3)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(own + other)
    assert welch_interval(values, others) == pytest.approx((1.9, 1.9 - half, 1.9 + half))


def test_the_scatter_of_the_floor_widens_the_interval():
    values = [0.1, 0.11, 0.12, 0.1]
    _, low, high = welch_interval(values, [0.0, 0.02, -0.02, 0.01, -0.01])
    _, least, most = mean_interval(values)
    assert high - low > most - least


@pytest.mark.parametrize(("values", "covered"), [(2, 0.9), (5, 0.95)])
def test_welchs_interval_covers_as_often_as_said(values, covered):
    rng = np.random.default_rng(0)
    intervals = [welch_interval(rng.normal(0, 1, values), rng.normal(0, 1, 10)) for _ in range(400)]
    times = sum(low <= 0 <= high for _, low, high in intervals)
    assert stats.binomtest(times, 400, covered).pvalue > 0.01


@pytest.mark.parametrize(("values", "floors"), [([0.1], [0.0, 0.1]), ([0.1, 0.2], [0.0])])
def test_one_seed_or_one_floor_has_no_interval(values, floors):
    for interval in (welch_interval(values, floors), share_interval(values, floors, 1.0)):
        assert math.isfinite(interval[0])
        assert np.isnan(interval[1:]).all()


def test_the_interval_of_a_share_covers_it_at_its_nominal_rate():
    rng = np.random.default_rng(0)
    # True floor 0, true share 0.3 of a reference at 1.
    shares = [
        share_interval(rng.normal(0.3, 0.05, 5), rng.normal(0, 0.1, 10), 1) for _ in range(600)
    ]
    covered = sum(low <= 0.3 <= high for _, low, high in shares)
    assert stats.binomtest(covered, 600, 0.95).pvalue > 0.01


def test_there_is_no_share_of_a_reference_that_cannot_be_told_from_the_floor():
    share, low, high = share_interval([0.5, 0.6, 0.4], [0.0, 0.4, -0.4], 0.1)
    assert math.isfinite(share)
    assert math.isnan(low) and math.isnan(high)


def test_intervals_significance_and_power_are_settings_of_their_own(monkeypatch):
    values = [1.0, 2.0, 3.0, 2.5]
    power = statistics.t_test_power(0.5, 10)
    monkeypatch.setattr(statistics, "INTERVAL", 0.5)
    for interval in (mean_interval(values), welch_interval(values, [0.0] * 4)):
        mean, _, high = interval
        half = stats.t.ppf(0.75, 3) * stats.sem(values)
        assert high - mean == pytest.approx(half)
    assert statistics.t_test_power(0.5, 10) == power
    monkeypatch.setattr(statistics, "SIGNIFICANCE", 0.01)
    assert statistics.t_test_power(0.5, 10) < power
