"""Gather the KLs at few steps, and find the fewest evaluations that lose next to nothing."""

from collections.abc import Mapping, Sequence

import pandas as pd

from job import job, whole


def main(
    records: Sequence[str], outputs: Mapping[str, str], settings: Mapping, full: Mapping[str, str]
) -> None:
    """Write all KLs; and a row a (variant, dataset, sampler) with the fewest evaluations.

    Args:
        records: a CSV a run, as the runs lie in settings.
        settings: runs, as (variant, dataset, seed); margin_bits, to lose at most.
        full: of every variant, the sampler whose run over all timesteps is the measure.
    """
    keys = ["variant", "dataset", "seed"]
    tables = [
        pd.read_csv(record).assign(**dict(zip(keys, run, strict=True)))
        for record, run in zip(records, settings["runs"], strict=True)
    ]
    table = pd.concat(tables)
    columns = [*keys, "sampler", "steps", "evaluations", "kl_bits"]
    with whole(outputs["all"]) as part:
        table[columns].to_csv(part, index=False, lineterminator="\n")
    with whole(outputs["fewest"]) as part:
        fewest(table, settings["margin_bits"], full).to_csv(
            part, index=False, lineterminator="\n", float_format="%.6g"
        )


def fewest(table: pd.DataFrame, margin: float, full: Mapping[str, str]) -> pd.DataFrame:
    """The fewest evaluations from which on the mean KL over the seeds exceeds that of the full run
    by at most the margin; empty where even the most do not suffice."""
    by = ["variant", "dataset", "sampler", "evaluations"]
    mean = table.groupby(by, sort=False)["kl_bits"].mean().reset_index()
    rows = []
    for (variant, dataset), cell in mean.groupby(["variant", "dataset"], sort=False):
        own = cell[cell["sampler"] == full[str(variant)]]
        target = own.loc[own["evaluations"].idxmax(), "kl_bits"]
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
            snakemake.input,
            dict(snakemake.output.items()),
            snakemake.params.settings,
            snakemake.params.full,
        )
