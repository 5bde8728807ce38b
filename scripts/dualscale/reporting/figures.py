"""Style of all figures, readable in print and with colour blindness, and how they are saved."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dualscale.runtime.files import atomic_writes

# Okabe and Ito (2008): distinguishable with common colour blindness, and by lightness in grey.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
DASHES = ["-", "--", ":", "-."]
INK = "#1b2a41"

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 220,
    "svg.fonttype": "none",
    "svg.hashsalt": "dualscale",  # deterministic ids: same figure, same bytes
    "pdf.fonttype": 42,
}


def use_style() -> None:
    mpl.use("agg")
    mpl.rcParams.update(STYLE)


def planar(points: np.ndarray) -> np.ndarray:
    """Return the first two coordinates of points, (n, 2); in one dimension, the second is 0."""
    return np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))


def frame(
    points: np.ndarray, margin: float, one_unit: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper corner of a panel that contains all points (n, 2).

    Both sides have the same length, unless one coordinate spreads at least five times as far.

    Args:
        margin: added on each side, as a share of the range.
        one_unit: whether both coordinates have it; else each side has its own length.
    """
    spread = np.ptp(points, axis=0)
    if (one_unit and spread.max() < 5 * spread.min()) or spread.min() == 0:
        spread[:] = spread.max()
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return middle - (0.5 + margin) * spread, middle + (0.5 + margin) * spread


def frame_cloud(
    axes: Iterable[Axes], points: np.ndarray, margin: float, one_unit: bool = True
) -> None:
    """Set square panels to the one frame of all points (n, 2), as `frame` gives it."""
    low, high = frame(points, margin, one_unit)
    for axis in axes:
        axis.set_box_aspect(1)
        axis.set_xlim(low[0], high[0])
        axis.set_ylim(low[1], high[1])


def label_timesteps(axes: Iterable[Axes], last: int) -> None:
    """Label the x axes of panels as timesteps, from the last one, noise, to 0, data."""
    for axis in axes:
        axis.set_xlabel("timestep t (noise → data)")
        axis.set_xlim(last, 0)


def save_figure(figure: Figure, paths: Iterable[Path]) -> None:
    """Save in the format of each path's extension, without a creation date."""
    dated = {".svg": "Date", ".pdf": "CreationDate"}
    for path in paths:
        key = dated.get(path.suffix)
        figure.savefig(path, metadata={key: None} if key else None)


def write_figure(figure: Figure, paths: Iterable[Path]) -> None:
    """Save a figure atomically in the format of each path's extension, and close it."""
    with atomic_writes(paths) as parts:
        save_figure(figure, parts)
    plt.close(figure)
