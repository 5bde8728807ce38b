"""Figure 7: branch weights as learned and best in hindsight, and the error with others."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from dualscale.reporting.figures import COLOURS, label_timesteps, use_style, write_figure
from dualscale.reporting.tables import read_records
from execution.job import run

NAMES = {
    "learned": "learned",
    "best": "best in hindsight",
    "mean": "frozen at the mean",
    "shuffled": "shuffled",
}


def main(errors: list[Path], figures: list[Path], *, settings: Mapping) -> None:
    """Draw the weights of the last branch and the errors, one column per variant.

    Args:
        errors: one file per run, from evaluate_weights.
        settings: labels by variant; datasets.
    """
    use_style()
    labels, datasets = settings["labels"], settings["datasets"]
    table = read_records(errors)
    rows = 2 * len(datasets)
    figure, axes = plt.subplots(
        rows,
        len(labels),
        figsize=(2.5 * len(labels) + 0.6, 1.8 * rows + 0.6),
        squeeze=False,
        sharex=True,
        sharey="row",
    )
    for index, dataset in enumerate(datasets):
        above, below = axes[2 * index], axes[2 * index + 1]
        for upper, lower, variant in zip(above, below, labels, strict=True):
            cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
            cell = cell.dropna(axis="columns", how="all")
            draw_weights(upper, cell)
            draw_errors(lower, cell)
            upper.set_title(last_branch(cell), fontsize="small", parse_math=False)
        above[0].set_ylabel(f"{dataset}\nweight of the branch", parse_math=False)
        below[0].set_ylabel("squared error")
    for axis, label in zip(axes[0], labels.values(), strict=True):
        axis.set_title(f"{label}\n{axis.get_title()}", parse_math=False)
    label_timesteps(axes[-1], table["timestep"].max())
    handles, texts = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=min(4, 2 * len(labels)))
    write_figure(figure, figures)


def last_branch(cell: pd.DataFrame) -> str:
    """Return the name of a variant's last branch."""
    columns = cell.dropna(axis="columns", how="all").columns
    return str(columns[columns.get_loc("squared_error") - 1])


def draw_weights(axis: Axes, cell: pd.DataFrame) -> None:
    """Draw one line per run for the learned weight and the best in hindsight."""
    for colour, choice in zip(COLOURS, ("learned", "best"), strict=False):
        lines = cell[cell["weights"] == choice]
        weights = lines.pivot(index="timestep", columns="seed", values=last_branch(cell))
        axis.plot(weights.index, weights, color=colour, linewidth=0.7)
    axis.set_ylim(-0.1, 1.2)


def draw_errors(axis: Axes, cell: pd.DataFrame) -> None:
    """Draw the mean error over the seeds of each choice of weights."""
    for colour, (choice, name) in zip(COLOURS, NAMES.items(), strict=False):
        lines = cell[cell["weights"] == choice]
        mean = lines.groupby("timestep")["squared_error"].mean()
        axis.semilogy(mean.index, mean, color=colour, linewidth=1, label=name)


run(main, globals())
