"""Figure 3: the parts of the KL, one panel per dataset, one bar per variant."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dualscale.reporting.figures import COLOURS, use_style, write_figure
from dualscale.reporting.tables import read_table
from execution.job import run

PARTS = {
    "floor_bits": "floor: bias of the estimator",
    "start_bits": "prior: mismatch with the perturbed data",
    "steps_bits": "discretisation",
    "network_bits": "network: error of the model",
}


def main(decomposition: Path, figures: list[Path], *, labels: Mapping[str, str]) -> None:
    """Draw the figure and save it in every format.

    Args:
        decomposition: CSV of the parts of each KL by variant and dataset.
    """
    write_figure(draw(read_table(decomposition), labels), figures)


def draw(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Return the figure: positive parts stack to the right of zero, negative ones to the left."""
    use_style()
    datasets = list(dict.fromkeys(table["dataset"]))
    figure, axes = plt.subplots(
        1, len(datasets), figsize=(2.3 * len(datasets) + 1.2, 2.6), squeeze=False, sharey=True
    )
    for axis, dataset in zip(axes[0], datasets, strict=True):
        rows = table[table["dataset"] == dataset]
        names = [labels[name] for name in rows["variant"]]
        up, down = np.zeros(len(rows)), np.zeros(len(rows))
        for colour, (part, label) in zip(COLOURS, PARTS.items(), strict=False):
            values = rows[part].to_numpy()
            start = np.where(values >= 0, up, down)
            axis.barh(names, values, left=start, color=colour, label=label, height=0.7)
            up, down = up + np.maximum(values, 0), down + np.minimum(values, 0)
        axis.plot(rows["kl_bits"], names, "k|", markersize=9, label="KL: the sum")
        axis.axvline(0, color="0.3", linewidth=0.6)
        axis.set_title(dataset, parse_math=False)
        axis.set_xlabel("bits")
    axes[0, 0].invert_yaxis()
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=3)
    return figure


run(main, globals())
