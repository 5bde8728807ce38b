"""Find the neighbours of the real points among themselves, once for all KL estimates."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.data.encoding import read_encoding
from dualscale.data.metric_units import metric_units
from dualscale.metrics.kl import Reference
from dualscale.runtime.files import atomic_write
from execution.job import run, within_runtime


def main(
    real: Path,
    neighbours: Path,
    training: Path | None = None,
    encoding: Path | None = None,
    *,
    settings: Mapping,
    k: str,
    threads: int,
    runtime: int | None = None,
) -> None:
    """Write the distances, and the units that they are measured in, as npz.

    Args:
        real: the points that generated ones are compared with.
        training, encoding: of a dataset from a file, which give the units; or None.
        settings: real_points, the number to use, from the first on; None: all.
        k: numbers of neighbours, joined by underscores, found in one search.
    """
    columns, units = read_encoding(encoding), None
    if training is not None and columns is not None:
        units = metric_units(np.load(training, mmap_mode="r"), columns)
    points = np.load(real, allow_pickle=False)[: settings["real_points"]]
    ks = [int(each) for each in k.split("_")]
    reference = Reference.of(points, ks, units, threads, within_runtime(runtime))
    logging.info("neighbours of %d points in %d dimensions", *reference.points.shape)
    with atomic_write(neighbours) as part, part.open("wb") as file:
        reference.save(file)


run(main, globals())
