import math

import numpy as np
import pytest
from scipy import stats

from dualscale.statistics import (
    best_interval,
    holm,
    mean_interval,
    probabilities,
    seeds_needed,
    sign_flip_p,
    smallest_p,
    variance_parts,
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
    # Of the 2^4 ways to sign them only all + and all - are as far from 0.
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


def test_variances_of_training_and_sampling_come_apart():
    rng = np.random.default_rng(0)
    table = rng.normal(0, 0.3, (4000, 1)) + rng.normal(0, 0.1, (4000, 2))
    between, within = variance_parts(table)
    assert between == pytest.approx(0.09, rel=0.1)
    assert within == pytest.approx(0.01, rel=0.1)
