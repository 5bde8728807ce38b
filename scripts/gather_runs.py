"""Collect the records of a variant's runs into one table, one row per run."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from job import job, read_json, whole
from provenance import SUFFIX

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
KINDS = ["training", "sampling", "divergences"]
DIGESTS = [f"{kind}{SUFFIX}" for kind in KINDS]
"""Columns with the digests of the settings that made a run: by them the next planning sees what was
made otherwise. `metrics.csv` leaves them out."""


def main(
    runs: Sequence[Sequence[str]],
    training: Sequence[str],
    sampling: Sequence[str],
    divergences: Sequence[str],
    output: str | Path,
    digests: Mapping[str, str],
) -> None:
    """Write the table; each list of records is in the order of the runs.

    Args:
        digests: of the settings that each folder of records was made with.
    """
    with whole(output) as part, part.open("w", newline="") as file:
        columns = [*COLUMNS, *DIGESTS]
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for run, *records in zip(runs, training, sampling, divergences, strict=True):
            trained, sampled, diverged = map(read_json, records)
            row = dict(zip(COLUMNS, run, strict=False)) | sampled | diverged | trained
            row["models_trained_together"] = len(trained["seeds"])
            if trained["device"] != sampled["device"]:
                row["device"] = f"{trained['device']} (training), {sampled['device']} (sampling)"
            variant, dataset, _ = run
            for column, kind in zip(DIGESTS, KINDS, strict=True):
                row[column] = digests[f"{kind}/{variant}/{dataset}"]
            writer.writerow(row)


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.params.runs,
            snakemake.input.training,
            snakemake.input.sampling,
            snakemake.input.divergences,
            snakemake.output[0],
            snakemake.params.planned,
        )
