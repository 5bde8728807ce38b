"""Gather the records of a variant's runs into one table, a row a run."""

import csv
from collections.abc import Sequence
from pathlib import Path

from job import job, read_json, whole

COLUMNS = [
    "variant",
    "dataset",
    "seed",
    "kl_bits",
    "train_seconds",
    "sample_seconds",
    "eval_loss",
    "parameters",
    "device",
    "models_trained_together",
]


def main(
    runs: Sequence[Sequence[str]],
    training: Sequence[str],
    sampling: Sequence[str],
    divergences: Sequence[str],
    output: str | Path,
) -> None:
    """Write the table; the records lie in the order of the runs."""
    with whole(output) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for run, *records in zip(runs, training, sampling, divergences, strict=True):
            trained, sampled, diverged = map(read_json, records)
            row = dict(zip(COLUMNS, run, strict=False)) | sampled | diverged | trained
            row["models_trained_together"] = len(trained["seeds"])
            if trained["device"] != sampled["device"]:
                row["device"] = f"{trained['device']} (training), {sampled['device']} (sampling)"
            writer.writerow(row)


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.params.runs,
            snakemake.input.training,
            snakemake.input.sampling,
            snakemake.input.divergences,
            snakemake.output[0],
        )
