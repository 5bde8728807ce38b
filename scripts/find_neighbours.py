"""Find the nearest neighbours among the real points, once for every KL of their dataset."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dualscale.divergence import Reference
from dualscale.units import standard_units
from job import job, whole, within_runtime


def main(
    real: str | Path,
    training: str | Path | None,
    output: str | Path,
    k: int,
    most: int | None,
    threads: int,
    expect: Callable[[float], None],
) -> None:
    """Write the distances, and the units in which they were taken, as npz.

    Args:
        real: the points that generated ones are compared with.
        training: the points whose mean and standard deviation a model standardises with; None,
            where it does not.
        most: real points to take, the first ones; None: all.
        expect: is told how many seconds the search will take.
    """
    units = None if training is None else standard_units(np.load(training, mmap_mode="r"))
    points = np.load(real, allow_pickle=False)[:most]
    reference = Reference.of(points, k, units, threads, expect)
    logging.info("neighbours of %d points in %d dimensions", *reference.points.shape)
    with whole(output) as part, part.open("wb") as file:
        reference.save(file)


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.real,
            snakemake.input.get("training"),
            snakemake.output[0],
            int(snakemake.wildcards.k),
            snakemake.params.settings["real_points"],
            snakemake.threads,
            within_runtime(snakemake.resources),
        )
