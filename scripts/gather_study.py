"""Collect all metrics of all runs and references into one table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from job import job, read_json, whole


def main(
    runs: Sequence[Sequence[str]],
    divergences: Sequence[str],
    distances: Sequence[str],
    models: Sequence[str],
    output: str | Path,
) -> None:
    """Write one row per (variant, dataset, seed), the references before the variants.

    Args:
        runs: references and variants, in the order of the records.
        models: records of the variants' runs alone, which come last.
    """
    rows = []
    without = len(runs) - len(models)
    for index, (run, *records) in enumerate(zip(runs, divergences, distances, strict=True)):
        row = dict(zip(("variant", "dataset", "seed"), run, strict=True))
        for record in map(read_json, records):
            row |= record
        if index >= without:
            row |= flat(read_json(models[index - without]))
        rows.append(row)
    with whole(output) as part:
        pd.DataFrame(rows).to_csv(part, index=False, lineterminator="\n", float_format="%.6g")


def flat(record: dict) -> dict:
    """Flatten a record: one column for the KL of each further sample."""
    draws = record.pop("kl_of_draws_bits")
    return {f"kl_draw{index}_bits": bits for index, bits in enumerate(draws, 1)} | record


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.params.runs,
            snakemake.input.divergences,
            snakemake.input.distances,
            snakemake.input.models,
            snakemake.output[0],
        )
