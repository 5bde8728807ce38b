"""Scales of an error: how much of it varies over large distances, and how much over small ones."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIZES = (4.0, 1.0, 0.25)
"""Edges of the cells, each a whole number of times the next."""
SCALES = (
    f"above {SIZES[0]:g}",
    *(f"{smaller:g} to {larger:g}" for larger, smaller in pairwise(SIZES)),
    f"below {SIZES[-1]:g}",
)
"""Scales that the cells tell apart, in the units of the points."""

Values = NDArray[np.floating]


def by_scale(x: Values, errors: Values) -> Values:
    """Return the mean square of errors at points, over coordinates, split by scale, (…, scales).

    The parts are those of Haar wavelets under the points' own distribution: the mean square of the
    errors' means over cells, less that over the cells one size larger. Their sum is the mean
    square. A mean over a cell leaves out the point it is multiplied with, so that few points per
    cell cause no bias; a part can therefore fall below 0. A point alone in its cell counts as
    smaller scales.

    Args:
        x: (n, d).
        errors: (…, n, d), of several predictors at the same points.
    """
    square = np.square(errors).mean(axis=(-2, -1))
    means = [np.zeros_like(square), *(_of_means(x, errors, size) for size in SIZES), square]
    return np.diff(np.stack(means, axis=-1), axis=-1)


def _of_means(x: Values, errors: Values, size: float) -> Values:
    """Mean square of the errors' means over cells of a size, (…,)."""
    _, cell, count = np.unique(np.floor(x / size), axis=0, return_inverse=True, return_counts=True)
    order, alone = np.argsort(cell.ravel(), kind="stable"), count == 1
    starts = np.cumsum(count) - count
    sums = np.add.reduceat(errors[..., order, :], starts, axis=-2)
    squares = np.add.reduceat(np.square(errors[..., order, :]).sum(axis=-1), starts, axis=-1)
    pairs = (np.square(sums).sum(axis=-1) - squares) / np.maximum(count - 1, 1)
    return np.where(alone, 0, pairs).sum(axis=-1) / x.size
