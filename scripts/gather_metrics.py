"""Concatenate the variants' tables of runs into metrics.csv."""

from collections.abc import Sequence
from pathlib import Path

from job import job, whole


def main(tables: Sequence[str | Path], output: str | Path) -> None:
    """Write the rows of all tables, which have one header, into one CSV."""
    with whole(output) as part, part.open("w") as file:
        for number, table in enumerate(tables):
            lines = Path(table).read_text().splitlines(keepends=True)
            file.writelines(lines[number > 0 :])


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(snakemake.input, snakemake.output[0])
