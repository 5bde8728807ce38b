"""Tabulate the quality of generated tables: every metric of every variant, and its floor."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.metrics.metric import Column
from dualscale.metrics.quality.kinds import TABLE_METRICS
from dualscale.metrics.statistics import INTERVAL
from dualscale.parts import REAL
from dualscale.reporting.means import averaged, mean_text
from dualscale.reporting.tables import Table, read_records, write_table
from execution.job import run

CAPTION = (
    "Means over the seeds, with {level:g} % intervals (Student's t) of several. The first row is "
    "the floor, the same for real rows in place of generated ones: as many training rows, and for "
    "the comparisons with training rows a half of the held-out ones. Column shapes and pair "
    "trends: likeness to the {held_out:,} held-out rows, 1 at best. {target}. Distance to training "
    "rows: the mean of that to the closest one; below the floor, rows are nearer than they should "
    "be. Nearer to training rows: the share nearer to them than to as many held-out rows, 0.5 at "
    "best. Copies: the share of rows that are a training row in every cell."
)
EFFICIENCY = (
    "Macro F1 and R²: boosted trees that are trained on the generated rows predict {} of the "
    "held-out ones"
)
NO_TARGET = "No target is set (`datasets.{}.target`), so no model is trained on the rows"


def main(
    records: list[Path],
    floors: Path,
    held_out: Path,
    tables: list[Path],
    *,
    dataset: str,
    settings: Mapping,
) -> None:
    """Write one row per variant, after that of the floor, as CSV, Markdown and HTML.

    Args:
        records: of every variant and seed.
        floors: one row per floor.
        held_out: points of the rows that nothing was trained on.
        settings: labels by variant; metrics; target, or None.
    """
    floor = read_records([floors], ["dataset"]).assign(variant=REAL)
    found = pd.concat([floor, read_records(records)])
    every = TABLE_METRICS.validate_python(settings["metrics"])
    columns = [column for metric in every for column in metric.columns()]
    columns = [column for column in columns if found[column.name].notna().any()]
    labels = {REAL: "Real rows", **settings["labels"]}
    table = summarised(found, labels, columns)
    header = ["variant", "seeds", *(column.label for column in columns)]
    target = settings["target"]
    caption = CAPTION.format(
        level=100 * INTERVAL,
        held_out=len(np.load(held_out, mmap_mode="r", allow_pickle=False)),
        target=EFFICIENCY.format(target) if target else NO_TARGET.format(dataset),
    )
    texts = Table(f"Quality of {dataset}", header, printed(table, labels, columns), caption)
    write_table(tables, table, texts)


def summarised(
    found: pd.DataFrame, variants: Iterable[str], columns: Sequence[Column]
) -> pd.DataFrame:
    """Return mean and interval of every metric, one row per variant."""
    cells = {variant: found[found["variant"] == variant] for variant in variants}
    return pd.DataFrame(
        {"variant": variant, "seeds": len(cell), **averaged(cell, columns)}
        for variant, cell in cells.items()
    )


def printed(
    table: pd.DataFrame, labels: Mapping[str, str], columns: Sequence[Column]
) -> list[list[str]]:
    """Rows as text; each metric with its digits."""
    return [
        [
            labels[row["variant"]].replace("|", "∣"),
            str(row["seeds"]),
            *(mean_text(row, column) for column in columns),
        ]
        for row in table.to_dict("records")
    ]


run(main, globals())
