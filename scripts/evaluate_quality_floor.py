"""Estimate the floors of a table's metrics: their values for real rows in place of generated."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.data.encoding import Encoding
from dualscale.metrics.metric import by_column
from dualscale.metrics.quality.kinds import TABLE_METRICS
from dualscale.metrics.quality.metric import Tables
from dualscale.reporting.tables import write_table
from dualscale.runtime.streams import stream_seed
from execution.job import run


def main(
    training: Path,
    held_out: Path,
    encoding: Path,
    floors: Path,
    *,
    dataset: str,
    settings: Mapping,
) -> None:
    """Write one row per floor: dataset, seed, and a column for each value of each metric.

    Args:
        settings: metrics; target, the name of the column that models predict, or None; floors,
            their number; points, how many rows are generated.
    """
    columns = Encoding.read(encoding)
    real, unseen = (np.load(path, allow_pickle=False) for path in (training, held_out))
    points = real[: settings["points"]], real, unseen
    tables = Tables.of_points(columns, points, settings["target"])
    metrics = TABLE_METRICS.validate_python(settings["metrics"])
    rows = []
    for seed in range(settings["floors"]):
        stream = stream_seed(seed, dataset, "quality floor")
        rng, seeded = np.random.default_rng(stream), replace(tables, seed=stream % 2**32)
        found = by_column(metrics, lambda metric: metric.floor(seeded, rng))  # noqa: B023
        logging.info("floor %d: %s", seed, found)
        rows.append({"dataset": dataset, "seed": seed, **found})
    write_table([floors], pd.DataFrame(rows))


run(main, globals())
