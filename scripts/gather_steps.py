"""Collect the KL at few steps, and find the fewest evaluations within the margin."""

from collections.abc import Mapping, Sequence

import pandas as pd

from dualscale.reporting.tables import read_table
from job import job, whole


def main(
    records: Sequence[str], runs: Sequence[str], outputs: Mapping[str, str], settings: Mapping
) -> None:
    """Write the KL of all runs, and the fewest evaluations per (variant, dataset, sampler).

    Args:
        records: one CSV per run, in the order of `settings["runs"]`.
        runs: the variants' tables of runs, with the KL of their own full sampling.
        settings: runs, as (variant, dataset, seed); margin_bits, the largest increase allowed.
    """
    keys = ["variant", "dataset", "seed"]
    tables = [
        read_table(record).assign(**dict(zip(keys, run, strict=True)))
        for record, run in zip(records, settings["runs"], strict=True)
    ]
    table = pd.concat(tables)
    columns = [*keys, "sampler", "steps", "evaluations", "kl_bits"]
    with whole(outputs["all"]) as part:
        table[columns].to_csv(part, index=False, lineterminator="\n")
    with whole(outputs["fewest"]) as part:
        full = pd.concat(map(read_table, runs))
        fewest(table, full, settings["margin_bits"]).to_csv(
            part, index=False, lineterminator="\n", float_format="%.6g"
        )


def fewest(table: pd.DataFrame, full: pd.DataFrame, margin: float) -> pd.DataFrame:
    """Find the smallest NFE from which on the mean KL stays within the margin of the full run's.

    The mean is over seeds. Cells are empty where even the largest NFE does not suffice.

    Args:
        table: variant, dataset, seed, sampler, evaluations, kl_bits.
        full: variant, dataset, seed and kl_bits of the runs with the variants' own sampler and
            steps; only the table's seeds are used.
    """
    by = ["variant", "dataset", "sampler", "evaluations"]
    mean = table.groupby(by, sort=False)["kl_bits"].mean().reset_index()
    rows = []
    run = ["variant", "dataset", "seed"]
    own = table[run].drop_duplicates().merge(full, on=run)
    targets = own.groupby(["variant", "dataset"])["kl_bits"].mean()
    for (variant, dataset), cell in mean.groupby(["variant", "dataset"], sort=False):
        target = targets[variant, dataset]
        for sampler, line in cell.groupby("sampler", sort=False):
            line = line.sort_values("evaluations", ascending=False)
            good = line[(line["kl_bits"] <= target + margin).cummin()]
            rows.append(
                {
                    "variant": variant,
                    "dataset": dataset,
                    "sampler": sampler,
                    "full_kl_bits": target,
                    "fewest_evaluations": None if good.empty else good["evaluations"].iloc[-1],
                    "kl_bits": None if good.empty else good["kl_bits"].iloc[-1],
                }
            )
    return pd.DataFrame(rows).astype({"fewest_evaluations": "Int64"})


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.steps,
            snakemake.input.runs,
            dict(snakemake.output.items()),
            snakemake.params.settings,
        )
