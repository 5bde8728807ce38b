"""Figures of generated images beside real ones: any of them, and a row for each class."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dualscale.data.images import flat
from dualscale.metrics.recogniser import Recogniser
from dualscale.reporting.figures import use_style, write_figure
from dualscale.runtime.records import run_of
from execution.job import run

SIDE = 10  # images along each side of a panel
MOST_CLASSES = 20


Panels = Mapping[str, Mapping[str, np.ndarray]]
"""Images, (n, height, width), by dataset and label."""


def main(
    real: list[Path],
    recognisers: list[Path],
    decoded: list[Path],
    samples: list[Path],
    classes: list[Path],
    *,
    settings: Mapping,
) -> None:
    """Draw a panel per dataset and variant, held-out images first.

    Args:
        real: npz of real images per dataset, from import_images.
        recognisers: classifier per dataset, whose word on the images of both kinds is taken.
        decoded: npz of generated images per (variant, dataset), the first seed's.
        samples, classes: the two figures, in several formats.
        settings: labels by variant; datasets.
    """
    use_style()
    held_out = {path.stem: read(path, "held_out") for path in real}
    drawn = {tuple(run_of(path).values())[:2]: read(path, "images") for path in decoded}
    panels = {
        dataset: {
            "Real": held_out[dataset],
            **{label: drawn[variant, dataset] for variant, label in settings["labels"].items()},
        }
        for dataset in settings["datasets"]
    }
    write_figure(of_samples(panels), samples)
    found = {path.stem: Recogniser.load(path) for path in recognisers}
    names = {path.stem: read(path, "classes") for path in real}
    write_figure(of_classes(panels, found, names), classes)


def read(path: Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        return file[name]


def of_samples(panels: Panels) -> Figure:
    """Draw the first hundred images of every panel."""
    figure, axes = sheet(panels, 1.0)
    for row, found in zip(axes, panels.values(), strict=True):
        for axis, pixels in zip(row, found.values(), strict=True):
            show(axis, mosaic(pixels[: SIDE**2], SIDE), found["Real"])
    return figure


def of_classes(
    panels: Panels, recognisers: Mapping[str, Recogniser], names: Mapping[str, np.ndarray]
) -> Figure:
    """Draw a row for each class in every panel, named with its share of the images.

    Args:
        names: of the classes, by dataset; none: their numbers.
    """
    counts = {name: found.count for name, found in recognisers.items()}
    figure, axes = sheet(panels, min(MOST_CLASSES, max(counts.values())) / SIDE)
    for row, (dataset, found) in zip(axes, panels.items(), strict=True):
        shown = range(min(MOST_CLASSES, counts[dataset]))
        for axis, pixels in zip(row, found.values(), strict=True):
            of = recognisers[dataset].classes(flat(pixels))
            blank = np.full((SIDE, *pixels.shape[1:]), np.nan)
            rows = [np.concatenate([pixels[of == place][:SIDE], blank])[:SIDE] for place in shown]
            show(axis, mosaic(np.concatenate(rows), len(shown)), found["Real"])
            called = names[dataset] if len(names[dataset]) else np.arange(counts[dataset])
            shares = [f"{called[place]}  {np.mean(of == place):.0%}" for place in shown]
            height = pixels.shape[1] + 1
            axis.set_yticks(height * np.arange(len(shown)) + height / 2 - 1, shares, fontsize=6)
            axis.tick_params(length=0)
    return figure


def sheet(panels: Panels, tall: float) -> tuple[Figure, np.ndarray]:
    """Return a figure with a row of panels per dataset, and its axes, each under its label.

    Args:
        tall: height of a panel, as a share of its width.
    """
    titles = [textwrap.fill(label, 26) for label in next(iter(panels.values()))]
    lines = 1 + max(title.count("\n") for title in titles)
    size = (2.3 * len(titles), (2.2 * tall + 0.2 * lines) * len(panels) + 0.2)
    figure, axes = plt.subplots(len(panels), len(titles), figsize=size, squeeze=False)
    for row, dataset in zip(axes, panels, strict=True):
        row[0].set_ylabel(dataset)
        for axis, title in zip(row, titles, strict=True):
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
            axis.set_title(title, parse_math=False)
    return figure, axes


def mosaic(pixels: np.ndarray, rows: int) -> np.ndarray:
    """Return images side by side in rows of ten, gaps of one pixel between them, NaN there."""
    n, height, width = pixels.shape
    sheet = np.full((rows * SIDE, height + 1, width + 1), np.nan)
    sheet[:n, :height, :width] = pixels
    rows_of = sheet.reshape(rows, SIDE, height + 1, width + 1).swapaxes(1, 2)
    return rows_of.reshape(rows * (height + 1), SIDE * (width + 1))[:-1, :-1]


def show(axis: Axes, pixels: np.ndarray, real: np.ndarray) -> None:
    """Draw in grey, high values dark, in the range of real images; what is NaN stays white."""
    ends = {"vmin": real.min(), "vmax": real.max()}
    axis.imshow(pixels, cmap="Greys", interpolation="nearest", **ends)


run(main, globals())
