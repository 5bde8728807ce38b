"""Tabulate the singular values of trained up-projections, beside the KL of their models."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
from safetensors.numpy import load_file

from dualscale.metrics.statistics import INTERVAL
from dualscale.reporting.tables import Table, read_table, write_table
from dualscale.reporting.texts import number, with_interval
from dualscale.runtime.records import RUN, run_of
from execution.job import run

CAPTION = (
    "Smallest singular value of the branch's learned up-projection, over the seeds, and Pearson's "
    "correlation of its logarithm with that of the KL, with Fisher's {level:g} % interval."
)
HEADER = ["variant", "dataset", "branch", "seeds", "lowest", "highest", "correlation with the KL"]


def main(models: list[Path], metrics: Path, tables: list[Path], *, settings: Mapping) -> None:
    """Write one row per up-projection as CSV; the correlations as Markdown and HTML.

    Args:
        models: of variants with up-projections.
        metrics: metrics.csv.
        settings: labels by variant.
    """
    found = pd.DataFrame(row for model in models for row in singular_values(model))
    found = found.merge(read_table(metrics)[[*RUN, "kl_bits"]], on=list(RUN))
    rows = [[settings["labels"][row[0]], *row[1:]] for row in printed(found)]
    caption = CAPTION.format(level=100 * INTERVAL)
    write_table(tables, found, Table("Up-projections", HEADER, rows, caption, (), 3))


def singular_values(model: Path) -> Iterator[dict[str, object]]:
    """Yield the largest and the smallest singular value of each of a model's up-projections."""
    for name, weight in load_file(model).items():
        kind, _, branch = name.removesuffix(".weight").partition(".")
        if kind == "upscale" and name.endswith(".weight"):
            values = np.linalg.svd(weight, compute_uv=False)
            sizes = {"largest": float(values.max()), "smallest": float(values.min())}
            yield {**run_of(model), "branch": branch, **sizes}


def correlation(cell: pd.DataFrame) -> tuple[float, float, float]:
    """Return Pearson's correlation of the logarithms of smallest singular value and KL, and its
    interval; NaN where there are fewer than four runs, or a KL is not positive.
    """
    if len(cell) < 4 or (cell["kl_bits"] <= 0).any():
        return (np.nan,) * 3
    found = scipy.stats.pearsonr(np.log(cell["smallest"]), np.log(cell["kl_bits"]))
    inside = found.confidence_interval(INTERVAL)
    return float(found.statistic), float(inside.low), float(inside.high)


def printed(found: pd.DataFrame) -> list[list[str]]:
    """Return one row of text per (variant, dataset, branch)."""
    return [
        [
            *map(str, names),
            str(len(cell)),
            number(cell["smallest"].min(), ".2f"),
            number(cell["smallest"].max(), ".2f"),
            with_interval(*correlation(cell), "+.2f"),
        ]
        for names, cell in found.groupby(["variant", "dataset", "branch"], sort=False)
    ]


run(main, globals())
