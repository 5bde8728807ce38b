"""Panels of points, and lattices of places in them."""

import numpy as np

from dualscale.reporting.figures import frame, planar

ARROWS = 17
"""Arrows of a score field along each side of a panel."""
CELLS = 100
"""Places along each side of a panel where a density is known."""


def panel(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the panel in which points (n, d) are shown by two coordinates."""
    return frame(planar(points), margin=0.08)


def lattice(low: np.ndarray, high: np.ndarray, count: int) -> np.ndarray:
    """Return the places of a lattice from one corner to the other, (count², 2), row by row."""
    ticks = (np.linspace(low[axis], high[axis], count) for axis in (0, 1))
    return np.stack(np.meshgrid(*ticks), axis=-1).reshape(-1, 2)
