"""Figure 2: branch weights over the timesteps, one panel per variant."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dualscale.reporting.figures import COLOURS, DASHES, save_figure, use_style
from dualscale.reporting.tables import read_table
from job import job, whole_group


def main(weights: Sequence[str | Path], outputs: Sequence[str | Path], settings: Mapping) -> None:
    """Draw the branch weights and save the figure.

    Args:
        weights: one file per (variant, dataset, seed), the seeds varying fastest.
        outputs: one path per format.
    """
    use_style()
    labels, datasets = list(settings["labels"].values()), settings["datasets"]
    seeds = len(settings["seeds"])
    tables = [read_table(path).set_index("timestep") for path in weights]
    figure, axes = plt.subplots(
        1, len(labels), figsize=(2.4 * len(labels) + 0.3, 2.9), squeeze=False, sharey=True
    )
    branches = dict.fromkeys(name for table in tables for name in table)
    dashes = {name: DASHES[i % len(DASHES)] for i, name in enumerate(branches)}
    for panel, (axis, label) in enumerate(zip(axes[0], labels, strict=True)):
        axis.set_title(label, parse_math=False)
        for column in range(len(datasets)):
            start = (panel * len(datasets) + column) * seeds
            runs = tables[start : start + seeds]
            draw(axis, runs, COLOURS[column % len(COLOURS)], dashes)
        axis.set_xlim(max(table.index[-1] for table in tables), 0)
        axis.set_xlabel("timestep t (noise → data)")
    axes[0, 0].set_ylabel("weight")
    handles = [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], label=name)
        for i, name in enumerate(datasets)
    ] + [
        Line2D([], [], color="0.35", linestyle=style, label=name) for name, style in dashes.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 * len(labels))
    with whole_group(outputs) as parts:
        save_figure(figure, parts)
    plt.close(figure)


def draw(axis: Axes, runs: Sequence[pd.DataFrame], colour: str, dashes: Mapping[str, str]) -> None:
    """Draw each branch's mean weight over the seeds, with its range as a band."""
    for branch in runs[0]:
        values = np.stack([run[branch].to_numpy() for run in runs])
        steps = runs[0].index
        axis.plot(steps, values.mean(axis=0), color=colour, linestyle=dashes[branch])
        if len(runs) > 1:
            axis.fill_between(
                steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0
            )


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(snakemake.input, snakemake.output, snakemake.params.settings)
