"""Concatenate the variants' tables of runs into metrics.csv."""

import csv
from collections.abc import Sequence
from itertools import compress
from pathlib import Path

from job import job, whole
from provenance import SUFFIX


def main(tables: Sequence[str | Path], output: str | Path) -> None:
    """Write the rows of all tables, which have one header, into one CSV, without the digests."""
    with whole(output) as part, part.open("w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        for number, table in enumerate(tables):
            with Path(table).open(newline="") as source:
                header, *rows = csv.reader(source)
            kept = [not name.endswith(SUFFIX) for name in header]
            for row in [header, *rows][number > 0 :]:
                writer.writerow(compress(row, kept))


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(snakemake.input, snakemake.output[0])
