"""Panels into space, for points of three coordinates."""

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Path3DCollection

from dualscale.reporting.figures import COLOURS, INK

ELEVATION, AZIMUTH = 32.0, -65.0  # of the view, in degrees
HEIGHT = LinearSegmentedColormap.from_list("height", [INK, COLOURS[0], COLOURS[4]])
"""Colours of points by their third coordinate, dark below."""


def in_space(panel: Axes) -> Axes3D:
    """Replace a panel by one into space, and return that."""
    figure, place = panel.figure, panel.get_subplotspec()
    panel.remove()
    with mpl.rc_context({"grid.linewidth": 0.3}):
        axis: Axes3D = figure.add_subplot(place, projection="3d")
    axis.view_init(ELEVATION, AZIMUTH)
    for side in (axis.xaxis, axis.yaxis, axis.zaxis):
        side.set_ticklabels([])
        side.set_pane_color("white")
    return axis


def frame_space(axes: Iterable[Axes3D], points: np.ndarray, margin: float) -> None:
    """Set panels to one box that contains all points (n, 3).

    All axes have the same scale, unless one coordinate spreads at least five times as far as
    another; then the box is a cube.

    Args:
        margin: added on each side, as a share of the range.
    """
    spread = np.ptp(points, axis=0)
    if spread.min() == 0:
        spread[:] = spread.max()
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    low, high = middle - (0.5 + margin) * spread, middle + (0.5 + margin) * spread
    sides = spread if spread.max() < 5 * spread.min() else np.ones(3)
    for axis in axes:
        axis.set_box_aspect(sides, zoom=1.15)
        axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))


def scatter_in_space(axis: Axes3D, cloud: np.ndarray, size: float) -> Path3DCollection:
    """Draw those points (n, 3) that lie in the panel's box, coloured by their third coordinate."""
    low, high = np.transpose([axis.get_xlim(), axis.get_ylim(), axis.get_zlim()])
    inside = cloud[((cloud >= low) & (cloud <= high)).all(axis=1)]
    style = {"s": size, "linewidths": 0, "alpha": 0.6, "depthshade": False, "rasterized": True}
    colours = {"c": inside[:, 2], "cmap": HEIGHT, "vmin": low[2], "vmax": high[2]}
    return axis.scatter(*inside.T, **colours, **style)
