"""Figure 1: generated samples, one row per variant and one column per dataset."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D

from dualscale.reporting.figures import INK, frame_cloud, use_style, write_figure
from dualscale.reporting.space import frame_space, in_space, scatter_in_space
from dualscale.runtime.records import run_of
from execution.job import run


def main(samples: list[Path], figures: list[Path], *, settings: Mapping) -> None:
    """Draw the samples and save the figure.

    Args:
        samples: one file per (variant, dataset).
        settings: labels by variant; datasets.
    """
    use_style()
    labels, datasets = settings["labels"], settings["datasets"]
    points = {
        tuple(run_of(path).values())[:2]: np.load(path, allow_pickle=False) for path in samples
    }
    figure, axes = plt.subplots(
        len(labels),
        len(datasets),
        figsize=(1.75 * len(datasets) + 0.4, 1.75 * len(labels) + 0.3),
        squeeze=False,
        sharex="col",
        sharey="col",
    )
    for column, dataset in zip(axes.T, datasets, strict=True):
        draw_column(column, [points[variant, dataset] for variant in labels])
        column[0].set_title(dataset)
    for panel, label in zip(axes[:, 0], labels.values(), strict=True):
        name_row(panel, textwrap.fill(label, 18))
    write_figure(figure, figures)


def draw_column(panels: np.ndarray, clouds: list[np.ndarray]) -> None:
    """Draw points in panels of one range: a histogram, the plane, or space.

    Of more than three coordinates, the first two are drawn.

    Args:
        panels: (rows,); those into space take the place of the given ones.
        clouds: one per panel, each (n, d).
    """
    dimensions, every = clouds[0].shape[1], np.concatenate(clouds)
    if dimensions == 3:
        panels[:] = [in_space(panel) for panel in panels]
        frame_space(panels, every, margin=0.03)
    for panel, cloud in zip(panels, clouds, strict=True):
        draw_cloud(panel, cloud)
    if dimensions not in (1, 3):
        frame_cloud(panels, every[:, :2], margin=0.03)


def draw_cloud(axis: Axes, cloud: np.ndarray) -> None:
    """Draw a histogram of points, their place in space, or their first two coordinates."""
    if isinstance(axis, Axes3D):
        scatter_in_space(axis, cloud, size=0.5)
    elif cloud.shape[1] == 1:
        axis.hist(cloud[:, 0], bins=100, density=True, color=INK)
    else:
        axis.scatter(*cloud[:, :2].T, s=0.5, linewidths=0, color=INK, alpha=0.5, rasterized=True)


def name_row(panel: Axes, label: str) -> None:
    """Write a label to the left of a panel."""
    if isinstance(panel, Axes3D):
        place = {"rotation": 90, "ha": "right", "va": "center", "transform": panel.transAxes}
        panel.text2D(-0.12, 0.5, label, parse_math=False, **place)
    else:
        panel.set_ylabel(label, parse_math=False)


run(main, globals())
