"""Split of a dataset into training and held-out points."""

import numpy as np
from numpy.typing import NDArray

from dualscale.runtime.streams import stream_seed


def split(count: int, held_out: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the training and of the held-out points, both in random order.

    Args:
        count: number of all points.
        held_out: share of the held-out points, which are rounded up.
    """
    order = np.random.default_rng(stream_seed(seed, "hold out")).permutation(count)
    first = int(np.ceil(held_out * count))
    return order[first:], order[:first]
