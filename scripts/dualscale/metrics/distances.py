"""Distances between samples, which complement the paper's KL: each has other blind spots.

Samples are (n, d) and (m, d). If both come from one distribution, the energy and Wasserstein
distances are 0 up to sampling error; the docstrings of the others give their values.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingClassifier

from dualscale.data.distributions import Distribution

Array = NDArray[np.floating]


def energy_distance(x: Array, y: Array) -> float:
    """Unbiased energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'|, in the data's units.

    Székely and Rizzo (2013), equation 2, without pairs of a point with itself.
    """
    within_x, within_y = _sum_of_distances(x, x), _sum_of_distances(y, y)
    n, m = len(x), len(y)
    between = _sum_of_distances(x, y) / (n * m)
    return 2 * between - within_x / (n * (n - 1)) - within_y / (m * (m - 1))


def _sum_of_distances(x: Array, y: Array, rows: int = 500) -> float:
    """Sum of all pairwise distances, in blocks that bound the memory."""
    return float(sum(cdist(x[i : i + rows], y).sum() for i in range(0, len(x), rows)))


def sliced_wasserstein(
    x: Array, y: Array, rng: np.random.Generator, directions: int = 100
) -> float:
    """Sliced 1-Wasserstein distance, in the data's units (Bonneel et al. 2015).

    Mean over random directions, uniform on the sphere, of the distance of the projections.
    """
    normals = rng.standard_normal((directions, x.shape[1]))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return float(np.mean([stats.wasserstein_distance(x @ v, y @ v) for v in normals]))


def coverage(real: Array, generated: Array, k: int = 5) -> float:
    """Share of real points with a generated point within the distance of their k-th real neighbour.

    Naeem et al. (2020), equation 5. For two samples of one distribution and size n its expectation
    is 1 - prod_{i = 1…k} (n - i) / (2 n - i), about 1 - 2^-k.
    """
    radius = cKDTree(real).query(real, [k + 1])[0][:, 0]
    nearest = cKDTree(generated).query(real, [1])[0][:, 0]
    return float(np.mean(nearest <= radius))


def off_support(distribution: Distribution, generated: Array, real: Array) -> float:
    """Share of generated points below the 0.1 % quantile of the real points' density.

    0.001 if both come from one distribution; less at a hard edge.
    """
    lowest = np.quantile(distribution.log_density(real.astype(np.float64)), 0.001)
    return float(np.mean(distribution.log_density(generated.astype(np.float64)) < lowest))


def classifier_test(real: Array, generated: Array, seed: int) -> tuple[float, float]:
    """Classifier two-sample test (C2ST) with boosted trees: accuracy and p-value.

    Trained on one half and tested on the other (Lopez-Paz and Oquab 2017); accuracy 0.5 means
    indistinguishable. The p-value is from a one-sided binomial test.
    """
    rng = np.random.default_rng(seed)
    points = np.concatenate([real, generated])
    labels = np.concatenate([np.zeros(len(real)), np.ones(len(generated))])
    order = rng.permutation(len(points))
    train, judge = order[: len(order) // 2], order[len(order) // 2 :]
    trees = HistGradientBoostingClassifier(random_state=seed)
    right = trees.fit(points[train], labels[train]).predict(points[judge]) == labels[judge]
    # Accuracy of always guessing the larger class; 0.5 for samples of equal size.
    chance = max(labels.mean(), 1 - labels.mean())
    test = stats.binomtest(int(right.sum()), len(right), chance, alternative="greater")
    return float(right.mean()), float(test.pvalue)
