"""Figure 1: generated samples, one row per variant and one column per dataset."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from dualscale.reporting.figures import INK, frame_cloud, save_figure, use_style
from job import job, whole_group


def main(samples: Sequence[str | Path], outputs: Sequence[str | Path], settings: Mapping) -> None:
    """Draw the samples and save the figure.

    Args:
        samples: one file per (variant, dataset), the datasets varying fastest.
        outputs: one path per format.
    """
    use_style()
    labels, datasets = list(settings["labels"].values()), settings["datasets"]
    rows, columns = len(labels), len(datasets)
    points = [np.load(path, allow_pickle=False) for path in samples]
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(1.75 * columns + 0.4, 1.75 * rows + 0.3),
        squeeze=False,
        sharex="col",
        sharey="col",
    )
    for index, (axis, cloud) in enumerate(zip(axes.flat, points, strict=True)):
        draw_cloud(axis, cloud)
        row, column = divmod(index, columns)
        if column == 0:
            axis.set_ylabel(textwrap.fill(labels[row], 18), parse_math=False)
        if row == 0:
            axis.set_title(datasets[column])
    for column in range(columns):
        clouds = np.concatenate(points[column::columns])
        if clouds.shape[1] > 1:
            frame_cloud(axes[:, column], clouds[:, :2], margin=0.03)
    with whole_group(outputs) as parts:
        save_figure(figure, parts)
    plt.close(figure)


def draw_cloud(axis: Axes, cloud: np.ndarray) -> None:
    """Draw the first two coordinates of points, or a histogram in one dimension."""
    if cloud.shape[1] == 1:
        axis.hist(cloud[:, 0], bins=100, density=True, color=INK)
    else:
        axis.scatter(*cloud[:, :2].T, s=0.5, linewidths=0, color=INK, alpha=0.5, rasterized=True)


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(snakemake.input, snakemake.output, snakemake.params.settings)
