"""Figure 10: distance from the floor by round, and in the first round by each setting."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dualscale.reporting.figures import COLOURS, INK, use_style, write_figure
from dualscale.reporting.tables import read_records
from execution.job import run

ACROSS = 4
"""Most panels in a row."""


def main(rounds: list[Path], figures: list[Path], *, settings: Mapping) -> None:
    """Draw the figure and save it in every format.

    Args:
        rounds: candidates as they were judged, one file per round.
        settings: tried, the settings that differ by candidate; variant, the unchanged one.
    """
    write_figure(draw(read_records(rounds, []), settings["tried"], settings["variant"]), figures)


def draw(judged: pd.DataFrame, tried: Mapping[str, Mapping[str, Any]], unchanged: str) -> Figure:
    """Return the figure: one panel of all rounds, then one per setting of the first round."""
    use_style()
    last = judged[judged["round"] == judged["round"].max()]
    best = last.loc[last["distance_bits"].idxmin(), "candidate"]
    looks = {
        name: {"color": "0.7", "linewidth": 0.8, "label": "other candidates"} for name in tried
    }
    looks[unchanged] = {"color": INK, "zorder": 3, "label": "unchanged"}
    looks[best] = {"color": COLOURS[1], "zorder": 4, "label": "best"}
    if best == unchanged:
        looks[best]["label"] = "unchanged, and the best"
    keys = list(tried[unchanged])
    rows, columns = math.ceil((len(keys) + 1) / ACROSS), min(len(keys) + 1, ACROSS)
    size = (2.4 * columns + 0.4, 2.2 * rows + 0.4)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    first, *others = axes.flat
    draw_rounds(first, judged, looks)
    beginning = judged[judged["round"] == 1].set_index("candidate")["distance_bits"]
    for axis, key in zip(others, keys, strict=False):
        axis.sharey(others[0])
        draw_setting(axis, beginning, {name: tried[name][key] for name in tried}, looks)
        axis.set_xlabel(key, parse_math=False)
    for axis in others[len(keys) :]:
        axis.remove()
    for row in axes:
        row[0].set_ylabel("distance from the floor (bits)")
    handles = dict(zip(*reversed(first.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    return figure


def draw_rounds(axis: Axes, judged: pd.DataFrame, looks: Mapping[str, Mapping]) -> None:
    """Draw a line per candidate through the rounds that it took part in."""
    for name, own in judged.groupby("candidate", sort=False):
        axis.plot(own["round"], own["distance_bits"], marker="o", markersize=3, **looks[name])
    axis.set_title("all rounds")
    axis.set_yscale("log")
    axis.set_xlabel("round")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_setting(
    axis: Axes, distances: pd.Series, values: Mapping[str, Any], looks: Mapping[str, Mapping]
) -> None:
    """Draw a mark per candidate in the first round, by its value of a setting."""
    kinds = {str(value): value for value in values.values()}
    places = {
        text: place for place, text in enumerate(sorted(kinds, key=lambda t: order(kinds[t])))
    }
    for name, value in values.items():
        axis.plot(places[str(value)], distances[name], marker="o", markersize=3, **looks[name])
    axis.set_title("round 1")
    axis.set_yscale("log")
    axis.set_xticks(range(len(places)), places, parse_math=False)
    axis.set_xlim(-0.5, len(places) - 0.5)


def order(value: Any) -> tuple[bool, Any]:
    """Return what sorts numbers by size, before everything else."""
    is_number = isinstance(value, int | float)
    return not is_number, value if is_number else str(value)


run(main, globals())
