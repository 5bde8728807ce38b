"""Tabulate every metric of the study: means over the seeds of variants and references."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dualscale.metrics.distances import METRICS
from dualscale.metrics.metric import Column
from dualscale.metrics.table import OF_RUNS, of_study
from dualscale.parts import REAL
from dualscale.reporting.tables import Table, read_table, write_table
from dualscale.reporting.texts import number
from execution.job import run

CAPTION = (
    "Means over the seeds, of KL in bits and of the study's other metrics in the model's units; "
    "empty where undefined. Beside the variants: fresh real points, and samples of the optimal "
    "denoiser by the process of a variant, from perturbed data and from its prior."
)
REFERENCES = {
    "exact_start": "optimal denoiser of {}, from perturbed data",
    "exact": "optimal denoiser of {}, from the prior",
}


def main(measures: Path, tables: list[Path], *, settings: Mapping) -> None:
    """Write one row per (dataset, variant) as CSV, Markdown and HTML.

    Args:
        measures: the study's metrics, one row per (variant, dataset, seed).
        settings: metrics of the study; labels by variant.
    """
    found = read_table(measures)
    columns = [OF_RUNS[0], *of_study(METRICS.validate_python(settings["metrics"]))]
    columns = [column for column in columns if column.name in found]
    table = averaged(found, columns)
    header = ["dataset", "variant", "seeds", *(column.label for column in columns)]
    texts = Table("Metrics", header, printed(table, columns, settings["labels"]), CAPTION, (), 2)
    write_table(tables, table, texts)


def averaged(measures: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Mean of every metric over the seeds, one row per (dataset, variant)."""
    cells = measures.groupby(["dataset", "variant"], sort=False)
    names = [column.name for column in columns]
    return (
        cells[names]
        .mean()
        .assign(seeds=cells.size())
        .reset_index()[["dataset", "variant", "seeds", *names]]
    )


def printed(
    table: pd.DataFrame, columns: Sequence[Column], labels: Mapping[str, str]
) -> list[list[str]]:
    """Rows as text, in the order of the datasets; each metric with its digits."""
    rows = []
    for _, cells in table.groupby("dataset", sort=False):
        for row in cells.to_dict("records"):
            first = row["variant"] == cells["variant"].iloc[0]
            rows.append(
                [
                    row["dataset"] if first else "",
                    label(row["variant"], labels),
                    str(row["seeds"]),
                    *(number(row[column.name], f".{column.digits}f") for column in columns),
                ]
            )
    return rows


def label(name: str, labels: Mapping[str, str]) -> str:
    """Name of a variant or reference in the table."""
    variant, _, kind = name.partition(".")
    if variant == REAL:
        return "fresh real points"
    return REFERENCES.get(kind, "{}").format(labels.get(variant, variant))


run(main, globals())
