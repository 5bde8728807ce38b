"""Gather the KLs at few steps, and find the fewest evaluations that lose next to nothing."""

from collections.abc import Mapping, Sequence

import pandas as pd

from dualscale.tables import read_table
from job import job, whole


def main(
    records: Sequence[str], runs: Sequence[str], outputs: Mapping[str, str], settings: Mapping
) -> None:
    """Write all KLs; and a row a (variant, dataset, sampler) with the fewest evaluations.

    Args:
        records: a CSV a run, as the runs lie in settings.
        runs: the variants' tables of runs, with the KL of their own full sampling.
        settings: runs, as (variant, dataset, seed); margin_bits, to lose at most.
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
    """The fewest evaluations from which on the mean KL over the seeds exceeds that of the full run
    by at most the margin; empty where even the most do not suffice.

    Args:
        table: variant, dataset, seed, sampler, evaluations, kl_bits.
        full: variant, dataset, seed and kl_bits of the runs as the variants sample: their own
            sampler in their own number of steps. Only the table's seeds are taken.
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
