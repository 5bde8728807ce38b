"""Figure 4: error of the networks' score by noise level, one panel per dataset."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from dualscale.reporting.figures import COLOURS, DASHES, use_style, write_figure
from dualscale.reporting.tables import read_records
from execution.job import run


def main(scores: list[Path], figures: list[Path], *, settings: Mapping) -> None:
    """Draw the score errors and save the figure.

    Args:
        scores: one file per run.
        settings: labels by variant; datasets.
    """
    use_style()
    labels, datasets = settings["labels"], settings["datasets"]
    table = read_records(scores)
    # Where alpha is 0 the noise can be read off: there is nothing to predict.
    table = table[np.isfinite(table["sigma"])]
    figure, axes = plt.subplots(
        1, len(datasets), figsize=(2.3 * len(datasets) + 0.5, 2.8), squeeze=False, sharey=True
    )
    for index, (variant, label) in enumerate(labels.items()):
        style = {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
        }
        for axis, dataset in zip(axes[0], datasets, strict=True):
            cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
            mean = cell.groupby("sigma")["squared_error"].mean()
            axis.loglog(mean.index, mean, label=label, linewidth=1, **style)
    for axis, dataset in zip(axes[0], datasets, strict=True):
        axis.set_title(dataset, parse_math=False)
        axis.set_xlabel("noise level sigma")
    axes[0, 0].set_ylabel("squared error of the predicted noise\nagainst the optimal denoiser's")
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=min(len(labels), 3))
    write_figure(figure, figures)


run(main, globals())
