"""Figure 5: KL against the number of network evaluations, a row a variant, a column a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from dualscale.figures import COLOURS, save_figure, use_style
from dualscale.tables import read_table
from job import job, whole_group


def main(
    steps: str | Path,
    floors: str | Path,
    outputs: Sequence[str | Path],
    labels: Mapping[str, str],
) -> None:
    """
    Args:
        steps: the table of all KLs.
        floors: the KL of fresh real points.
    """
    use_style()
    table = read_table(steps)
    floor = read_table(floors).groupby("dataset", sort=False)["kl_bits"].mean()
    figure, axes = plt.subplots(
        len(labels),
        len(floor),
        figsize=(2.2 * len(floor) + 0.5, 1.9 * len(labels) + 0.6),
        squeeze=False,
        sharex=True,
        sharey="col",
    )
    for row, (variant, label) in zip(axes, labels.items(), strict=True):
        for axis, (dataset, bits) in zip(row, floor.items(), strict=True):
            cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
            draw(axis, cell, bits)
        row[0].set_ylabel(f"{label}\nKL (bits)", parse_math=False)
    for axis, dataset in zip(axes[0], floor.index, strict=True):
        axis.set_title(dataset, parse_math=False)
    for axis in axes[-1]:
        axis.set_xlabel("network evaluations")
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=len(texts))
    with whole_group(outputs) as parts:
        save_figure(figure, parts)
    plt.close(figure)


def draw(axis: plt.Axes, cell: pd.DataFrame, floor: float) -> None:
    """A line a sampler, mean over the seeds, and the floor."""
    for colour, (sampler, line) in zip(COLOURS, cell.groupby("sampler", sort=False), strict=False):
        mean = line.groupby("evaluations")["kl_bits"].mean()
        axis.plot(mean.index, mean, color=colour, marker="o", markersize=2, label=sampler)
    axis.axhline(floor, color="0.4", linewidth=0.8, label="fresh real points")
    axis.set_xscale("log")
    axis.set_yscale("symlog", linthresh=0.1)


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.steps,
            snakemake.input.floors,
            snakemake.output,
            snakemake.params.labels,
        )
