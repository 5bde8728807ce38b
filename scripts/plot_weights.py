"""Figure 2: branch weights over the timesteps, one panel per variant."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dualscale.reporting.figures import (
    COLOURS,
    DASHES,
    label_timesteps,
    use_style,
    write_figure,
)
from dualscale.reporting.tables import read_records
from dualscale.runtime.records import RUN
from execution.job import run


def main(weights: list[Path], figures: list[Path], *, settings: Mapping) -> None:
    """Draw the branch weights and save the figure.

    Args:
        weights: one file per run.
        settings: labels by variant; datasets.
    """
    use_style()
    labels, datasets = settings["labels"], settings["datasets"]
    table = read_records(weights)
    branches = table.columns.drop([*RUN, "timestep"])
    dashes = {name: DASHES[i % len(DASHES)] for i, name in enumerate(branches)}
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(datasets)}
    figure, axes = plt.subplots(
        1, len(labels), figsize=(2.4 * len(labels) + 0.3, 2.9), squeeze=False, sharey=True
    )
    for axis, (variant, label) in zip(axes[0], labels.items(), strict=True):
        axis.set_title(label, parse_math=False)
        for dataset, colour in colours.items():
            cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
            draw(axis, cell, colour, dashes)
    label_timesteps(axes[0], table["timestep"].max())
    axes[0, 0].set_ylabel("weight")
    handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()] + [
        Line2D([], [], color="0.35", linestyle=style, label=name) for name, style in dashes.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 * len(labels))
    write_figure(figure, figures)


def draw(axis: Axes, cell: pd.DataFrame, colour: str, dashes: Mapping[str, str]) -> None:
    """Draw the mean weight of each branch that a cell has over the seeds, its range as a band."""
    for branch, style in dashes.items():
        weights = cell.pivot(index="timestep", columns="seed", values=branch).dropna()
        axis.plot(weights.index, weights.mean(axis=1), color=colour, linestyle=style)
        if weights.shape[1] > 1:
            low, high = weights.min(axis=1), weights.max(axis=1)
            axis.fill_between(weights.index, low, high, color=colour, alpha=0.15, lw=0)


run(main, globals())
