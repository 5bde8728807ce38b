"""Evaluate the metrics of generated rows of a table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.data.encoding import Encoding
from dualscale.metrics.metric import by_column
from dualscale.metrics.quality.kinds import TABLE_METRICS
from dualscale.metrics.quality.metric import Tables
from dualscale.runtime.records import write_record
from dualscale.runtime.streams import stream_seed
from execution.job import run


def main(
    generated: Path,
    training: Path,
    held_out: Path,
    encoding: Path,
    record: Path,
    *,
    dataset: str,
    settings: Mapping,
    digest: str,
) -> None:
    """Write a record of all metrics, of the decoded rows; null where one is undefined.

    Args:
        dataset: name, which seeds the metrics.
        settings: metrics; target, the name of the column that models predict, or None.
    """
    columns = Encoding.read(encoding)
    points = [np.load(path, allow_pickle=False) for path in (generated, training, held_out)]
    seed = stream_seed("evaluate quality", dataset) % 2**32
    tables = Tables.of_points(columns, points, settings["target"], seed)
    metrics = TABLE_METRICS.validate_python(settings["metrics"])
    found = by_column(metrics, lambda metric: metric.measure(tables))
    write_record(record, found | {"settings_digest": digest})


run(main, globals())
