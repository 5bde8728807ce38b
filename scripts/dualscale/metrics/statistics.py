"""Summaries over seeds, and tests of the difference between two variants."""

import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

BOOTSTRAP_FROM = 20  # seeds; with fewer, bootstrap intervals undercover
INTERVAL = 0.95
"""Level of all intervals."""
SIGNIFICANCE = 0.05
"""Largest p of a significant difference."""
EQUIVALENCE = 0.95
"""Posterior probability within the margin from which on two variants are equivalent."""
POWER = 0.8
"""Power of the test that `seeds_needed` plans."""
MOST_SEEDS = 1_000_000  # largest sample size that `seeds_needed` reports


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean with its Student's t interval; NaN bounds for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan, math.nan
    half = stats.t.ppf(0.5 + INTERVAL / 2, len(values) - 1) * stats.sem(values)
    return mean, mean - half, mean + half


def best_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean with its interval: BCa bootstrap (Efron 1987) from 20 values, else Student's t."""
    if len(values) < BOOTSTRAP_FROM or np.ptp(values) == 0:
        return mean_interval(values)
    interval = stats.bootstrap(
        (np.asarray(values),), np.mean, confidence_level=INTERVAL, method="BCa", rng=0
    ).confidence_interval
    return float(np.mean(values)), float(interval.low), float(interval.high)


def welch_interval(values: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Difference of the means of two independent samples, with Welch's interval (1947).

    The degrees of freedom are Welch and Satterthwaite's. The bounds are NaN if a sample has fewer
    than two values; with two values each, a 95 % interval would cover the true difference only
    about 90 % of the time.
    """
    difference = float(np.mean(values) - np.mean(others))
    if min(len(values), len(others)) < 2:
        return difference, math.nan, math.nan
    interval = stats.ttest_ind(values, others, equal_var=False).confidence_interval(INTERVAL)
    return difference, float(interval.low), float(interval.high)


def share_interval(
    values: Sequence[float], floors: Sequence[float], reference: float
) -> tuple[float, float, float]:
    """Share of the reference's excess over the floor, with Fieller's interval (1954).

    share = (mean(values) - mean(floors)) / (reference - mean(floors)). The estimated floor is in
    both numerator and denominator, so the interval consists of the shares s for which a t test does
    not reject mean(values) = s reference + (1 - s) mean(floors): a quadratic inequality in s, with
    Welch and Satterthwaite's degrees of freedom at the estimate. The reference is taken as exact.
    The bounds are NaN if a sample has fewer than two values or the reference does not differ from
    the floor.
    """
    above, whole = np.mean(values) - np.mean(floors), reference - np.mean(floors)
    share = float(above / whole)
    if min(len(values), len(floors)) < 2:
        return share, math.nan, math.nan
    own, floor = stats.sem(values) ** 2, stats.sem(floors) ** 2
    freedom = stats.ttest_ind(values, (1 - share) * np.asarray(floors), equal_var=False).df
    t2 = stats.t.ppf(0.5 + INTERVAL / 2, freedom) ** 2
    # (above - s whole)^2 <= t^2 (own + (1 - s)^2 floor)
    a, b, c = whole**2 - t2 * floor, above * whole - t2 * floor, above**2 - t2 * (own + floor)
    if a <= 0:
        return share, math.nan, math.nan
    root = math.sqrt(max(b**2 - a * c, 0.0))
    return share, float((b - root) / a), float((b + root) / a)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired sign-flip permutation test of a zero mean difference."""
    return float(
        stats.permutation_test(
            (np.asarray(differences),), np.mean, permutation_type="samples", rng=0
        ).pvalue
    )


def smallest_p(seeds: int, family: int) -> float:
    """Smallest attainable Holm-adjusted sign-flip p-value, family * 2 / 2^seeds, at most 1."""
    return min(1.0, family * 2 / 2**seeds)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of one family of tests (Holm 1979)."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def probabilities(differences: Sequence[float], margin: float) -> tuple[float, float, float]:
    """Posterior probabilities of a mean difference below -margin, within ±margin and above margin.

    The posterior of the mean of a normal sample under the prior p(mu, sigma²) ∝ 1 / sigma² is
    Student's t. All three are NaN for fewer than two differences.
    """
    if len(differences) < 2:
        return math.nan, math.nan, math.nan
    mean, error = np.mean(differences), stats.sem(differences)
    if error == 0:
        below, above = float(mean < -margin), float(mean > margin)
    else:
        posterior = stats.t(len(differences) - 1, mean, error)
        below, above = float(posterior.cdf(-margin)), float(posterior.sf(margin))
    return below, 1 - below - above, above


def probabilities_of_best(
    groups: Sequence[Sequence[float]], margin: float, seed: int, draws: int = 100_000
) -> list[float]:
    """Posterior probability of each group's mean to be within the margin of the lowest one.

    The posteriors of the means are those of `probabilities`, independent of each other; by Monte
    Carlo. A group with fewer than two values has none: it is NaN, and the others are compared.

    Args:
        seed: of the draws from the posteriors.
    """
    best = np.full(len(groups), math.nan)
    repeated = [number for number, values in enumerate(groups) if len(values) > 1]
    if len(repeated) > 1:
        rng = np.random.default_rng(seed)
        means = np.array(
            [
                np.mean(values) + stats.sem(values) * rng.standard_t(len(values) - 1, draws)
                for values in (groups[number] for number in repeated)
            ]
        )
        best[repeated] = (means <= means.min(axis=0) + margin).mean(axis=1)
    return best.tolist()


def seeds_needed(differences: Sequence[float], power: float = POWER) -> float:
    """Fewest seeds for a paired t test to detect the observed effect with this power.

    Infinite above a million seeds; NaN for fewer than two differences.
    """
    if len(differences) < 2:
        return math.nan
    mean, deviation = abs(float(np.mean(differences))), float(np.std(differences, ddof=1))
    if mean == 0:
        return math.inf
    effect = min(mean / deviation, 1e3) if deviation > 0 else 1e3  # from 100 on, two seeds suffice
    seeds = range(2, MOST_SEEDS + 1)
    index = bisect_left(seeds, power, key=lambda n: t_test_power(effect, n))
    return seeds[index] if index < len(seeds) else math.inf


def t_test_power(effect: float, n: int) -> float:
    """Power of a two-sided one-sample t test, from the noncentral t distribution."""
    edge, shift = stats.t.ppf(1 - SIGNIFICANCE / 2, n - 1), effect * math.sqrt(n)
    above, below = stats.nct.sf(edge, n - 1, shift), stats.nct.cdf(-edge, n - 1, shift)
    return float(above + np.nan_to_num(below))  # SciPy returns NaN for tails below 1e-14


def variance_parts(values: NDArray[np.floating]) -> tuple[float, float]:
    """Variance components between and within the rows of `values` (models, draws).

    Method of moments for one-way random effects; the variance between models is at least 0.
    """
    draws = values.shape[1]
    within = float(values.var(axis=1, ddof=1).mean())
    between = float(values.mean(axis=1).var(ddof=1)) - within / draws
    return max(between, 0.0), within
