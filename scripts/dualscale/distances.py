"""Distances between samples, beside the paper's KL: each is blind to something else.

Samples are (n, d) and (m, d). Every distance but the classifier's is 0, and the coverage 1, where
both come from one distribution, up to the scatter of finite samples.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.ensemble import HistGradientBoostingClassifier

from dualscale.distributions import Distribution

Array = NDArray[np.floating]


def energy_distance(x: Array, y: Array) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| in the data's units, without bias.

    Székely and Rizzo (2013), equation 2; pairs of a point with itself are left out.
    """
    within_x, within_y = _sum_of_distances(x, x), _sum_of_distances(y, y)
    n, m = len(x), len(y)
    between = _sum_of_distances(x, y) / (n * m)
    return 2 * between - within_x / (n * (n - 1)) - within_y / (m * (m - 1))


def _sum_of_distances(x: Array, y: Array, rows: int = 500) -> float:
    """Of all pairs, in blocks: the table of distances is never held whole."""
    return float(sum(cdist(x[i : i + rows], y).sum() for i in range(0, len(x), rows)))


def sliced_wasserstein(
    x: Array, y: Array, rng: np.random.Generator, directions: int = 100
) -> float:
    """Mean over random directions of the 1-Wasserstein distance of the projections.

    Bonneel et al. (2015). In the data's units; directions uniform on the sphere.
    """
    normals = rng.standard_normal((directions, x.shape[1]))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return float(np.mean([stats.wasserstein_distance(x @ v, y @ v) for v in normals]))


def coverage(real: Array, generated: Array, k: int = 5) -> float:
    """Share of real points with a generated one no farther than their k-th real neighbour.

    Naeem et al. (2020), equation 5. Two samples of one distribution and size have
    1 - prod_{i = 1…k} (n - i) / (2 n - i), about 1 - 2^-k.
    """
    radius = cKDTree(real).query(real, [k + 1])[0][:, 0]
    nearest = cKDTree(generated).query(real, [1])[0][:, 0]
    return float(np.mean(nearest <= radius))


def off_support(distribution: Distribution, generated: Array, real: Array) -> float:
    """Share of generated points where the real density is below that of 99.9 % of real points.

    0.001 where both come from one distribution; at a hard edge, less.
    """
    lowest = np.quantile(distribution.log_density(real.astype(np.float64)), 0.001)
    return float(np.mean(distribution.log_density(generated.astype(np.float64)) < lowest))


def classifier_test(real: Array, generated: Array, seed: int) -> tuple[float, float]:
    """Accuracy with which boosted trees tell real from generated, and its p-value.

    Trained on one half, judged on the other (Lopez-Paz and Oquab 2017); 0.5 where there is
    nothing to tell. The p-value is the binomial one, against accuracy above 0.5.
    """
    rng = np.random.default_rng(seed)
    points = np.concatenate([real, generated])
    labels = np.concatenate([np.zeros(len(real)), np.ones(len(generated))])
    order = rng.permutation(len(points))
    train, judge = order[: len(order) // 2], order[len(order) // 2 :]
    trees = HistGradientBoostingClassifier(random_state=seed)
    right = trees.fit(points[train], labels[train]).predict(points[judge]) == labels[judge]
    # Classes of unequal size would reward guessing the larger one.
    chance = max(labels.mean(), 1 - labels.mean())
    test = stats.binomtest(int(right.sum()), len(right), chance, alternative="greater")
    return float(right.mean()), float(test.pvalue)
