"""Figure 9: error of the predicted noise by scale, of the network and of each branch alone."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from dualscale.metrics.scales import SCALES
from dualscale.reporting.figures import COLOURS, label_timesteps, use_style, write_figure
from dualscale.reporting.tables import read_records
from execution.job import run


def main(scales: list[Path], figures: list[Path], *, settings: Mapping) -> None:
    """Draw the means over the seeds: a row per (dataset, weights), a column per variant.

    Args:
        scales: one file per run, from evaluate_weights.
        settings: labels by variant; datasets.
    """
    use_style()
    labels, datasets = settings["labels"], settings["datasets"]
    table = read_records(scales)
    choices = table["weights"].unique().tolist()
    rows = [(dataset, choice) for dataset in datasets for choice in choices]
    figure, axes = plt.subplots(
        len(rows),
        len(labels),
        figsize=(2.5 * len(labels) + 0.8, 1.7 * len(rows) + 0.7),
        squeeze=False,
        sharex=True,
        sharey="row",
    )
    for line, (dataset, choice) in zip(axes, rows, strict=True):
        for axis, variant in zip(line, labels, strict=True):
            cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
            draw(axis, cell[cell["weights"] == choice])
        of = "learned weights" if choice == "learned" else f"{choice.removeprefix('only ')} alone"
        line[0].set_ylabel(f"{dataset}, {of}\nsquared error", parse_math=False)
    for axis, label in zip(axes[0], labels.values(), strict=True):
        axis.set_title(label, parse_math=False)
    label_timesteps(axes[-1], table["timestep"].max())
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(texts))
    write_figure(figure, figures)


def draw(axis: Axes, cell: pd.DataFrame) -> None:
    """Draw the mean error over the seeds of each scale."""
    means = cell.groupby("timestep")[list(SCALES)].mean()
    for colour, scale in zip(COLOURS, SCALES, strict=False):
        axis.semilogy(means.index, means[scale], color=colour, linewidth=1, label=scale)


run(main, globals())
