"""Figure 1: generated samples, one row per variant and one column per dataset."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d import Axes3D
from scipy.ndimage import gaussian_filter

from dualscale.data.columns import Category
from dualscale.data.encoding import Encoding, read_encoding
from dualscale.reporting.figures import INK, frame_cloud, use_style, write_figure
from dualscale.reporting.space import frame_space, in_space, scatter_in_space
from dualscale.runtime.records import run_of
from dualscale.runtime.streams import stream_seed
from execution.job import run

CELLS, SMOOTHED = 80, 1.5  # along each side of a map of densities; cells that it is smoothed by
NAME_WIDTH = 0.3  # inches, of a row's name beside a panel into space
FULL = 0.5  # share of the largest difference at which the colours end


def main(
    samples: list[Path],
    real: list[Path],
    encodings: list[Path],
    figures: list[Path],
    *,
    settings: Mapping,
) -> None:
    """Draw the samples, and beside them where they are more or less dense than real points.

    Args:
        samples: one file per (variant, dataset).
        real: one file per dataset; none: the samples alone.
        encodings: of the datasets from files. Of tables, columns are drawn, numbers before
            categories, equal cells spread.
        settings: labels by variant; datasets.
    """
    use_style()
    labels, datasets = settings["labels"], settings["datasets"]
    tables = {path.stem: read_encoding(path) for path in encodings}
    points = {}
    for path in samples:
        variant, dataset, _ = run_of(path).values()
        points[variant, dataset] = coordinates(path, tables.get(dataset))
    truth = {path.stem: coordinates(path, tables.get(path.stem)) for path in real}
    columns, rows = len(datasets), len(labels)
    widths, heights = [1.0] * columns, [1.0] * rows
    if truth:
        widths += [0.1, *widths]  # the gap is a column of its own, the colour bars a row
        heights.append(0.04)
    figure, axes = plt.subplots(
        len(heights),
        len(widths),
        figsize=(1.75 * sum(widths) + 0.4, 1.75 * rows + (0.6 if truth else 0.3)),
        squeeze=False,
        sharex=not truth and "col",
        sharey=not truth and "col",
        width_ratios=widths,
        height_ratios=heights,
    )
    if truth:  # all but the colour bars
        for first, *others in axes[:rows].T:
            for axis in others:
                axis.sharex(first)
                axis.sharey(first)
    clouds = {name: [points[variant, name] for variant in labels] for name in datasets}
    for column, dataset in zip(axes[:rows].T, datasets, strict=False):
        names = names_of(tables.get(dataset))
        draw_column(column, clouds[dataset], one_unit=not names)
        title = f"{dataset}: {' and '.join(names[:2])}" if names else dataset
        column[0].set_title(textwrap.fill(title, 18) if names else dataset, parse_math=False)
    for panel, label in zip(axes[:rows, 0], labels.values(), strict=True):
        name_row(panel, textwrap.fill(label, 18))
    if isinstance(axes[0, 0], Axes3D):  # whose rows' names the layout does not count
        left = NAME_WIDTH / figure.get_figwidth()
        figure.get_layout_engine().set(rect=(left, 0, 1 - left, 1))
    if truth:
        for axis in [*axes[:, columns], *axes[rows, :columns]]:
            axis.axis("off")
        for axis in axes[: rows - 1, :columns].flat:
            axis.tick_params(labelbottom=False)
        for beside, column, dataset in zip(axes.T, axes.T[columns + 1 :], datasets, strict=False):
            column[0].set_title(f"{dataset}: generated − real")
            draw_differences(column, beside[0], clouds[dataset], truth[dataset])
    write_figure(figure, figures)


def coordinates(path: Path, table: Encoding | None) -> np.ndarray:
    """Return points of a file, (n, d); of a table, a number per column, in the order of `drawn`."""
    points = np.load(path, allow_pickle=False)
    if table is None or table.plain:
        return points
    spread = table.spread(points, np.random.default_rng(stream_seed("plot samples")))
    return spread[:, drawn(table)]


def drawn(table: Encoding) -> list[int]:
    """Return the columns of a table with numbers and dates before categories."""
    return sorted(
        range(len(table.columns)), key=lambda place: isinstance(table.columns[place], Category)
    )


def names_of(table: Encoding | None) -> list[str]:
    """Return the names of a table's columns in the order of `drawn`; none for points."""
    if table is None or table.plain:
        return []
    return [table.columns[place].name for place in drawn(table)]


def draw_column(panels: np.ndarray, clouds: list[np.ndarray], one_unit: bool = True) -> None:
    """Draw points in panels of one range: a histogram, the plane, or space.

    Of more than three coordinates, the first two are drawn.

    Args:
        panels: (rows,); those into space take the place of the given ones.
        clouds: one per panel, each (n, d).
        one_unit: whether the coordinates have it.
    """
    dimensions, every = clouds[0].shape[1], np.concatenate(clouds)
    if dimensions == 3:
        panels[:] = [in_space(panel) for panel in panels]
        frame_space(panels, every, margin=0.03)
    for panel, cloud in zip(panels, clouds, strict=True):
        draw_cloud(panel, cloud)
    if dimensions not in (1, 3):
        frame_cloud(panels, every[:, :2], 0.03, one_unit)


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


def draw_differences(
    column: Sequence[Axes], beside: Axes, clouds: Sequence[np.ndarray], real: np.ndarray
) -> None:
    """Draw the density of each cloud less that of real points, as a share of the latter's highest.

    Args:
        column: a panel for each cloud, and the place of the colour bar.
        beside: panel of a cloud, whose range the maps have.
    """
    ranges = [beside.get_xlim(), beside.get_ylim()][: min(2, real.shape[1])]
    edges = [np.linspace(*ends, CELLS + 1) for ends in ranges]
    exact = density(real, edges)
    maps = [(density(cloud, edges) - exact) / exact.max() for cloud in clouds]
    *panels, bar = column
    if len(edges) == 1:
        bar.axis("off")
        for axis, values in zip(panels, maps, strict=True):
            axis.stairs(values, edges[0], fill=True, color=INK)
        return
    most = FULL * np.abs(maps).max()
    for axis, values in zip(panels, maps, strict=True):
        axis.set_box_aspect(1)
        axis.set_xticks([])
        axis.set_yticks([])
        image = axis.pcolormesh(
            *edges, values.T, cmap="RdBu_r", vmin=-most, vmax=most, rasterized=True
        )
    legend = axis.figure.colorbar(
        image, cax=bar, orientation="horizontal", ticks=[-most, 0, most], extend="both"
    )
    legend.set_ticklabels([f"−{most:.2f}\ntoo few", "0", f"{most:.2f}\ntoo many"])


def density(points: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
    """Return the share of points (n, d) in each cell of their first coordinates, smoothed."""
    counts, _ = np.histogramdd(points[:, : len(edges)], edges)
    return gaussian_filter(counts / len(points), SMOOTHED)


run(main, globals())
