"""Figure 6: KL above the floor against cost, one row per dataset, one column per kind of cost."""

import math
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dualscale.metrics.table import COLUMNS
from dualscale.reporting.figures import COLOURS, INK, use_style, write_figure
from dualscale.reporting.tables import read_table
from execution.job import run

COST = ("train_seconds", "parameters", "sample_seconds")
MARKERS = "osD^vP"
LINEAR = 0.02  # bits around 0 in which the scale is linear
COLUMNS_OF_LEGEND = 4


def main(systems: Path, figures: list[Path], *, labels: Mapping[str, str]) -> None:
    """Draw the figure and save it in every format.

    Args:
        systems: systems.csv.
    """
    write_figure(draw(read_table(systems), labels), figures)


def draw(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Return the figure: a marker per system with its interval, and the Pareto front."""
    use_style()
    datasets = list(dict.fromkeys(table["dataset"]))
    below = 0.2 * (len(labels) + 3) / COLUMNS_OF_LEGEND + 0.5
    figure, axes = plt.subplots(
        len(datasets),
        len(COST),
        figsize=(10.5, 2.6 * len(datasets) + below),
        squeeze=False,
        sharex="col",
        sharey="row",
    )
    for row, dataset in zip(axes, datasets, strict=True):
        cell = table[table["dataset"] == dataset].set_index("variant")
        exact = cell[cell.index.str.endswith(".exact")]["excess_bits"].min()
        for axis, cost in zip(row, COST, strict=True):
            draw_panel(axis, cell.loc[list(labels)], cost, exact, labels)
        row[0].set_ylabel(f"{dataset}\nKL above the floor (bits)", parse_math=False)
    for axis, cost in zip(axes[-1], COST, strict=True):
        axis.set_xlabel(COLUMNS[cost].label)
        # Whole decades, without copies, which may cost next to nothing.
        costs = np.log10(table.loc[table["kind"].isin(["network", "classical"]), cost])
        axis.set_xlim(10.0 ** math.floor(costs.min()), 10.0 ** (math.floor(costs.max()) + 1))
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=COLUMNS_OF_LEGEND)
    return figure


def draw_panel(
    axis: Axes, cell: pd.DataFrame, cost: str, exact: float, labels: Mapping[str, str]
) -> None:
    """Draw the systems of a dataset; those on the front are named.

    Intervals are cut at the axis. Copies of the training points are hollow, and at the lower border
    if below it.
    """
    copies = cell["kind"] == "copy"
    bottom = min(-LINEAR, 2 * cell.loc[~copies, "excess_bits"].min())
    axis.set_xscale("log")
    axis.set_yscale("symlog", linthresh=LINEAR)
    axis.axhline(0, color="0.4", linewidth=0.8, label="floor: fresh real points")
    axis.axhline(exact, color="0.4", linewidth=0.8, linestyle=":", label="optimal denoiser")
    front = pareto(cell[~copies], cost)
    ends = [*front[cost], cell[cost].max()], [*front["excess_bits"], front["excess_bits"].min()]
    axis.plot(*ends, color=INK, alpha=0.25, lw=2, drawstyle="steps-post", label="Pareto front")
    for (name, label), (marker, colour) in zip(
        labels.items(), product(MARKERS, COLOURS), strict=False
    ):
        point = cell.loc[name]
        middle = max(point["excess_bits"], bottom) if copies[name] else point["excess_bits"]
        half = [[middle - point["low_bits"]], [point["high_bits"] - middle]]
        axis.errorbar(
            point[cost],
            middle,
            yerr=None if copies[name] else half,
            fmt=marker,
            color=colour,
            markerfacecolor="white" if copies[name] else colour,
            markersize=4,
            elinewidth=0.8,
            label=label,
        )
    for number, (name, point) in enumerate(front.iterrows()):
        place = (4, 5) if number % 2 == 0 else (4, -9)
        axis.annotate(
            labels[str(name)],
            (point[cost], point["excess_bits"]),
            xytext=place,
            textcoords="offset points",
            fontsize=6,
            parse_math=False,
        )
    axis.set_ylim(bottom=bottom)


def pareto(points: pd.DataFrame, cost: str) -> pd.DataFrame:
    """Return the points that no other one beats in both cost and KL, by rising cost."""
    points = points.sort_values([cost, "excess_bits"])
    lowest = points["excess_bits"].cummin()
    return points[points["excess_bits"] < lowest.shift(fill_value=math.inf)]


run(main, globals())
