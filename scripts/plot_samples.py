"""Figure 1: generated samples, one row per variant and one column per dataset."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from dualscale.reporting.figures import INK, frame_cloud, use_style, write_figure
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
    for row, variant in zip(axes, labels, strict=True):
        row[0].set_ylabel(textwrap.fill(labels[variant], 18), parse_math=False)
        for axis, dataset in zip(row, datasets, strict=True):
            draw_cloud(axis, points[variant, dataset])
    for column, dataset in zip(axes.T, datasets, strict=True):
        column[0].set_title(dataset)
        clouds = np.concatenate([points[variant, dataset] for variant in labels])
        if clouds.shape[1] > 1:
            frame_cloud(column, clouds[:, :2], margin=0.03)
    write_figure(figure, figures)


def draw_cloud(axis: Axes, cloud: np.ndarray) -> None:
    """Draw the first two coordinates of points, or a histogram in one dimension."""
    if cloud.shape[1] == 1:
        axis.hist(cloud[:, 0], bins=100, density=True, color=INK)
    else:
        axis.scatter(*cloud[:, :2].T, s=0.5, linewidths=0, color=INK, alpha=0.5, rasterized=True)


run(main, globals())
