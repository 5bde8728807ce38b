"""Figure 8: KL against the smallest singular value of the up-projection, every run a point."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from dualscale.reporting.figures import COLOURS, use_style, write_figure
from dualscale.reporting.tables import read_table
from execution.job import run

MARKERS = "os^Dv<>P"


def main(upscales: Path, figures: list[Path], *, settings: Mapping) -> None:
    """Draw the figure and save it in every format.

    Args:
        upscales: CSV from tabulate_upscales.
        settings: labels by variant; datasets.
    """
    write_figure(draw(read_table(upscales), settings["labels"], settings["datasets"]), figures)


def draw(table: pd.DataFrame, labels: Mapping[str, str], datasets: list[str]) -> Figure:
    """Return the figure, one panel per dataset."""
    use_style()
    figure, axes = plt.subplots(
        1, len(datasets), figsize=(2.4 * len(datasets) + 2.2, 3.2), squeeze=False
    )
    for index, (variant, label) in enumerate(labels.items()):
        style = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        for axis, dataset in zip(axes[0], datasets, strict=True):
            cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
            axis.plot(cell["smallest"], cell["kl_bits"], ls="", ms=3.5, label=label, **style)
    for axis, dataset in zip(axes[0], datasets, strict=True):
        axis.set_title(dataset, parse_math=False)
        axis.set_xlabel("smallest singular value")
    axes[0, 0].set_ylabel("KL (bits)")
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=2)
    return figure


run(main, globals())
