"""Tabulate the metrics of images: means over the seeds of variants, and what real images score."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from dualscale.metrics.images import IMAGE_METRICS
from dualscale.metrics.metric import Column
from dualscale.metrics.statistics import INTERVAL
from dualscale.metrics.table import OF_RUNS
from dualscale.parts import REAL
from dualscale.reporting.means import averaged, mean_text
from dualscale.reporting.tables import Table, read_table, write_table
from dualscale.reporting.texts import counted_seeds
from execution.job import run

COLUMNS: list[Column] = [column for metric in IMAGE_METRICS for column in metric.columns()]
COLUMNS += [column for column in OF_RUNS if column.name in ("train_seconds", "parameters")]
CAPTION = (
    "Images held out of training, halved five times: each half beside as many generated images, "
    "and beside the other half, which gives the row of real images; they are as good as it gets. "
    "Fréchet distance of the features of a classifier that was trained on the training images; "
    "accuracy of trees that tell generated from real images (0.5: they cannot); median distance "
    "to the nearest training image, as a share of that of held-out images, and the share of "
    "images nearer than all but 1 % of these, near copies; total variation between the shares of "
    "the classes. The k-nearest-neighbour KL is left out: with a coordinate for every pixel and "
    "so few images, its estimate tells little of what they show."
)


def main(metrics: Path, tables: list[Path], *, labels: Mapping[str, str]) -> None:
    """Write one row per (dataset, variant) as CSV, Markdown and HTML, real images first.

    Args:
        metrics: one row per (variant, dataset, seed).
    """
    table = summarise(read_table(metrics), [REAL, *labels])
    header = ["dataset", "variant", *(column.label for column in COLUMNS)]
    rows = printed(table, {REAL: "Real images", **labels})
    counts = sorted(table["seeds"].unique())
    spread = "" if counts == [1] else f", means and {100 * INTERVAL:g} % intervals (Student's t)"
    devices = "; ".join(table["device"].dropna().unique())
    caption = f"{CAPTION} {counted_seeds(counts[0])}{spread}; measured on {devices}."
    write_table(tables, table, Table("Images", header, rows, caption, (), 2))


def summarise(metrics: pd.DataFrame, variants: list[str]) -> pd.DataFrame:
    """Mean and interval of every metric and number of seeds, one row per (dataset, variant)."""
    rows = []
    for dataset, runs in metrics.groupby("dataset", sort=False):
        for variant in variants:
            cell = runs[runs["variant"] == variant]
            about = {"dataset": dataset, "variant": variant, "seeds": len(cell)}
            device = "; ".join(cell["device"].dropna().unique()) or None
            rows.append({**about, **averaged(cell, COLUMNS), "device": device})
    return pd.DataFrame(rows)


def printed(table: pd.DataFrame, labels: Mapping[str, str]) -> list[list[str]]:
    """Rows as text; a dataset's name is on its first row."""
    rows = []
    for _, cells in table.groupby("dataset", sort=False):
        for row in cells.to_dict("records"):
            first = row["variant"] == REAL
            values = [mean_text(row, column) for column in COLUMNS]
            rows.append([row["dataset"] if first else "", labels[row["variant"]], *values])
    return rows


run(main, globals())
