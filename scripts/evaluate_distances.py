"""Evaluate the metrics of a generated sample that complement the paper's KL."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.metrics.distances import METRICS
from dualscale.metrics.kl import Reference
from dualscale.metrics.metric import Samples, measured
from dualscale.runtime.records import write_record
from execution.job import run, within_runtime


def main(
    real: Path,
    neighbours: Path,
    generated: Path,
    record: Path,
    training: Path | None = None,
    *,
    dataset: str,
    settings: Mapping,
    digest: str,
    threads: int,
    runtime: int | None = None,
) -> None:
    """Write a record of all metrics, each in the model's units.

    The KL estimates use all real points, the others as many as there are generated ones. A KL
    that the points leave undefined is null, as is what needs the density where it is not known.

    Args:
        neighbours: npz file of the real points from find_neighbours, with the k of every metric.
        training: training points of a dataset from a file; None: the real points are those.
        settings: metrics; distribution, which a dataset from a file lacks.
    """
    data, drawn = (np.load(path, allow_pickle=False) for path in (real, generated))
    reference = Reference.load(neighbours, data)
    trained_on = data if training is None else np.load(training, allow_pickle=False)
    others = threads, within_runtime(runtime), trained_on
    samples = Samples.of_dataset(dataset, settings, reference, drawn, *others)
    found = measured(samples, METRICS.validate_python(settings["metrics"]))
    write_record(record, found | {"settings_digest": digest})


run(main, globals())
