"""Tabulate the fewest evaluations of each way of sampling whose KL is within the margin."""

from pathlib import Path

import pandas as pd

from dualscale.reporting.tables import read_table, write_table
from execution.job import run


def main(steps: Path, metrics: Path, tables: list[Path], *, margin_bits: float) -> None:
    """Write the fewest evaluations per (variant, dataset, sampling).

    Args:
        steps: KL of every run by way of sampling and number of steps.
        metrics: KL of the runs' own full sampling.
        margin_bits: largest increase allowed.
    """
    write_table(tables, fewest(read_table(steps), read_table(metrics), margin_bits))


def fewest(table: pd.DataFrame, full: pd.DataFrame, margin: float) -> pd.DataFrame:
    """Find the smallest NFE from which on the mean KL stays within the margin of the full run's.

    The mean is over seeds. Cells are empty where even the largest NFE does not suffice.

    Args:
        table: variant, dataset, seed, sampling, evaluations, kl_bits.
        full: variant, dataset, seed and kl_bits of the runs with the variants' own sampler and
            steps; only the table's seeds are used.
    """
    by = ["variant", "dataset", "sampling", "evaluations"]
    mean = table.groupby(by, sort=False)["kl_bits"].mean().reset_index()
    rows = []
    keys = ["variant", "dataset", "seed"]
    own = table[keys].drop_duplicates().merge(full, on=keys)
    targets = own.groupby(["variant", "dataset"])["kl_bits"].mean()
    for (variant, dataset), cell in mean.groupby(["variant", "dataset"], sort=False):
        target = targets[variant, dataset]
        for way, line in cell.groupby("sampling", sort=False):
            line = line.sort_values("evaluations", ascending=False)
            good = line[(line["kl_bits"] <= target + margin).cummin()]
            rows.append(
                {
                    "variant": variant,
                    "dataset": dataset,
                    "sampling": way,
                    "full_kl_bits": target,
                    "fewest_evaluations": None if good.empty else good["evaluations"].iloc[-1],
                    "kl_bits": None if good.empty else good["kl_bits"].iloc[-1],
                }
            )
    return pd.DataFrame(rows).astype({"fewest_evaluations": "Int64"})


run(main, globals())
