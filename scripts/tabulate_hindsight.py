"""Tabulate the KL of samples with other branch weights than the learned ones."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from dualscale.metrics.statistics import INTERVAL, mean_interval
from dualscale.reporting.tables import Table, read_records, write_table
from dualscale.reporting.texts import counted_seeds, with_interval
from execution.job import run

CAPTION = (
    "KL in bits of samples drawn with the learned branch weights, and the paired difference with "
    "others in their place: for every timestep the best in hindsight, by least squares against the "
    "optimal denoiser's noise; the learned ones frozen at their mean over the timesteps; and the "
    "learned ones shuffled over the timesteps. Means over {seeds} with {level:g} % intervals."
)
OTHERS = {"best": "best in hindsight", "mean": "frozen at the mean", "shuffled": "shuffled"}


def main(kls: list[Path], tables: list[Path], *, settings: Mapping) -> None:
    """Write the table as CSV, Markdown and HTML.

    Args:
        kls: one file per run, from evaluate_weights.
        settings: labels by variant.
    """
    runs = read_records(kls)
    table, labels = compared(runs), settings["labels"]
    rows = [[labels[row[0]], row[1], *row[2:]] for row in printed(table)]
    caption = CAPTION.format(seeds=counted_seeds(runs["seed"].nunique()), level=100 * INTERVAL)
    header = ["variant", "dataset", "learned", *OTHERS.values()]
    write_table(tables, table, Table("What the weights do", header, rows, caption, (), 2))


def compared(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean and interval of every (variant, dataset, weights): KL, or difference from it."""
    rows = []
    for (variant, dataset), cell in runs.groupby(["variant", "dataset"], sort=False):
        bits = cell.pivot(index="seed", columns="weights", values="kl_bits")
        for choice in ("learned", *OTHERS):
            values = bits[choice] - (0 if choice == "learned" else bits["learned"])
            mean, low, high = mean_interval(values.tolist())
            rows.append([variant, dataset, choice, len(values), mean, low, high])
    names = ["variant", "dataset", "weights", "seeds", "mean_bits", "low_bits", "high_bits"]
    return pd.DataFrame(rows, columns=names)


def printed(table: pd.DataFrame) -> list[list[str]]:
    """Return one row of text per (variant, dataset)."""
    rows = []
    for (variant, dataset), cell in table.groupby(["variant", "dataset"], sort=False):
        found = cell.set_index("weights")[["mean_bits", "low_bits", "high_bits"]]
        texts = [with_interval(*found.loc["learned"], ".3f")]
        texts += [with_interval(*found.loc[choice], "+.3f") for choice in OTHERS]
        rows.append([str(variant), str(dataset), *texts])
    return rows


run(main, globals())
