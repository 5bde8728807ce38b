"""Plot every column of a table: histograms of real rows, and of each variant's generated ones."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from dualscale.data.columns import Category, ColumnType, Date
from dualscale.data.encoding import Encoding
from dualscale.reporting.figures import COLOURS, DASHES, use_style, write_figure
from dualscale.runtime.records import run_of
from execution.job import run

ACROSS = 4  # panels
BINS = 30
CATEGORIES = 10  # that have a bar of their own, the most frequent
LONGEST = 12  # characters of a category
GREY, REAL_ROWS = "0.8", "Real rows"


def main(
    samples: list[Path], training: Path, encoding: Path, figures: list[Path], *, settings: Mapping
) -> None:
    """Draw a panel per column: real rows as grey bars, generated ones as lines or marks.

    Args:
        samples: one file per variant.
        training: the real rows.
        settings: labels by variant.
    """
    use_style()
    table = Encoding.read(encoding)
    real = table.numbers(np.load(training, allow_pickle=False))
    generated = {
        settings["labels"][run_of(path)["variant"]]: table.numbers(
            np.load(path, allow_pickle=False)
        )
        for path in samples
    }
    count = len(table.columns)
    across = min(ACROSS, count)
    down = -(-count // across)
    named = -(-(1 + len(generated)) // across)  # lines of the legend, as wide as the panels
    size = (2.1 * across + 0.3, 1.75 * down + 0.2 + 0.15 * named)
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False)
    for axis in axes.flat[count:]:
        axis.axis("off")
    for place, (axis, column) in enumerate(zip(axes.flat, table.columns, strict=False)):
        cells = {label: rows[:, place] for label, rows in generated.items()}
        draw = draw_category if isinstance(column, Category) else draw_numbers
        draw(axis, column, real[:, place], cells)
        axis.set_title(column.name, parse_math=False)
        axis.set_yscale("function", functions=(np.sqrt, np.square))
        axis.set_ylim(bottom=0)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
    figure.supylabel("share of rows, by its square root")
    drawn, names = axes.flat[0].get_legend_handles_labels()
    entries = sorted(zip(drawn, names, strict=True), key=lambda entry: entry[1] != REAL_ROWS)
    legend = figure.legend(*zip(*entries, strict=True), loc="outside lower center", ncols=across)
    for text in legend.get_texts():
        text.set_parse_math(False)
    write_figure(figure, figures)


def draw_numbers(
    axis: Axes, column: ColumnType, real: NDArray, generated: Mapping[str, NDArray]
) -> None:
    """Draw the share of rows in bins of a number or date; missing cells in one to the right."""
    edges = bins_of(column, real)
    lines = product(DASHES, COLOURS)
    axis.stairs(shares(real, edges), edges, fill=True, color=GREY, label=REAL_ROWS)
    for number, (label, cells) in enumerate(generated.items()):
        dashes, colour = next(lines)
        style = {"color": colour, "linestyle": dashes, "linewidth": 0.8, "zorder": 3 - number / 100}
        axis.stairs(shares(cells, edges), edges, label=label, **style)
    axis.locator_params(axis="x", nbins=4)
    if isinstance(column, Date):
        ticks = [tick for tick in axis.get_xticks() if edges[0] <= tick <= edges[-1]]
        axis.set_xticks(ticks, [str(np.datetime64(int(tick), "D")) for tick in ticks], fontsize=6)
    if column.missing:
        axis.text(edges[-1], axis.get_ylim()[1], "missing", ha="right", va="top", fontsize=6)


def bins_of(column: ColumnType, real: NDArray) -> NDArray:
    """Return the edges of bins: of whole numbers each its own, where they are few.

    Missing cells have two further bins to the right, of which the first stays empty.
    """
    values = real[~np.isnan(real)]
    low, high, step = values.min(), values.max(), getattr(column, "step", 0.0)
    if step and high - low < BINS:
        edges = np.arange(low, high + 2) - 0.5
    else:
        edges = np.histogram_bin_edges(values, BINS)
    width = edges[-1] - edges[-2]
    return np.append(edges, edges[-1] + width * np.array([1, 2])) if column.missing else edges


def shares(cells: NDArray, edges: NDArray) -> NDArray:
    """Return the share of cells in each bin; missing ones are in the last."""
    placed = np.where(np.isnan(cells), (edges[-2] + edges[-1]) / 2, cells)
    return np.histogram(placed, edges)[0] / len(cells)


def draw_category(
    axis: Axes, column: ColumnType, real: NDArray, generated: Mapping[str, NDArray]
) -> None:
    """Draw the share of rows of each value, of the most frequent; of missing cells if there are."""
    assert isinstance(column, Category)
    names = [*map(str, column.categories), *["missing"] * column.missing]
    exact = counted(real, len(names))
    shown = sorted(np.argsort(-exact, kind="stable")[:CATEGORIES])
    axis.bar(range(len(shown)), exact[shown], width=0.9, color=GREY, label=REAL_ROWS)
    offsets = np.linspace(-0.33, 0.33, len(generated)) if len(generated) > 1 else [0.0]
    marks = zip(offsets, product("os^v", COLOURS), strict=False)
    for (label, cells), (offset, (marker, colour)) in zip(generated.items(), marks, strict=False):
        found = counted(cells, len(names))[shown]
        axis.plot(np.arange(len(shown)) + offset, found, marker, ms=2.5, c=colour, label=label)
    ticks = (names[place] for place in shown)
    ticks = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in ticks]
    axis.set_xticks(range(len(shown)), ticks)
    axis.tick_params(axis="x", rotation=30, labelsize=6)
    for text in axis.get_xticklabels():
        text.set(ha="right", rotation_mode="anchor", parse_math=False)


def counted(cells: NDArray, count: int) -> NDArray:
    """Return the share of each category; the last is that of missing cells where there are some."""
    places = np.where(np.isnan(cells), count - 1, cells).astype(int)
    return np.bincount(places, minlength=count) / len(cells)


run(main, globals())
