"""Figure 5: KL against NFE, one row per variant, one column per dataset."""

import math
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from dualscale.metrics.statistics import mean_interval
from dualscale.reporting.figures import COLOURS, use_style, write_figure
from dualscale.reporting.tables import read_table
from execution.job import run

FLOOR = "floor: fresh real points"


def main(steps: Path, floors: Path, figures: list[Path], *, labels: Mapping[str, str]) -> None:
    """Draw the figure and save it in every format.

    Args:
        steps: CSV of KL by variant, dataset, seed, sampling and evaluations.
        floors: CSV of the KL of fresh real points by dataset and seed.
    """
    write_figure(draw(read_table(steps), read_table(floors), labels), figures)


def draw(table: pd.DataFrame, floors: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Return the figure; only the datasets of the table are shown."""
    use_style()
    floors = floors[floors["dataset"].isin(table["dataset"])]
    floor = floors.groupby("dataset", sort=False)["kl_bits"].mean()
    columns = 2 * len(floor) - 1  # of the legend
    colours = dict(zip(table["sampling"].unique(), cycle(COLOURS), strict=False))
    lines = math.ceil((len(colours) + 1) / columns)
    figure, axes = plt.subplots(
        len(labels),
        len(floor),
        figsize=(2.2 * len(floor) + 0.5, 1.9 * len(labels) + 0.4 + 0.2 * lines),
        squeeze=False,
        sharex=True,
        sharey="col",
    )
    for row, (variant, label) in zip(axes, labels.items(), strict=True):
        for axis, (dataset, bits) in zip(row, floor.items(), strict=True):
            cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
            draw_panel(axis, cell, bits, colours)
        row[0].set_ylabel(f"{label}\nKL (bits)", parse_math=False)
    for axis, dataset in zip(axes[0], floor.index, strict=True):
        axis.set_title(dataset, parse_math=False)
    for axis in axes[-1]:
        axis.set_xlabel("NFE per sample")
    drawn: dict[str, Artist] = {}  # by way of sampling; not all variants are sampled in all ways
    for axis in axes.flat:
        handles, texts = axis.get_legend_handles_labels()
        drawn |= dict(zip(texts, handles, strict=True))
    drawn[FLOOR] = drawn.pop(FLOOR)  # last
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=columns)
    return figure


def draw_panel(axis: Axes, cell: pd.DataFrame, floor: float, colours: Mapping[str, str]) -> None:
    """Draw one line per way of sampling, mean and interval over the seeds, and the floor."""
    for way, line in cell.groupby("sampling", sort=False):
        colour = colours[str(way)]
        found = line.groupby("evaluations")["kl_bits"].apply(lambda bits: mean_interval(list(bits)))
        mean, low, high = zip(*found, strict=True)
        axis.plot(found.index, mean, color=colour, marker="o", markersize=2, label=way)
        axis.fill_between(found.index, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.axhline(floor, color="0.4", linewidth=0.8, label=FLOOR)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_yscale("symlog", linthresh=0.1)


run(main, globals())
