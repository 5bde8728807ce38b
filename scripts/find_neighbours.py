"""Find the neighbours of the real points among themselves, once for all KL estimates."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dualscale.data.units import standard_units
from dualscale.metrics.divergence import Reference
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
    """Write the distances, and the units that they are measured in, as npz.

    Args:
        real: the points that generated ones are compared with.
        training: the points whose mean and standard deviation the models standardise with, or None.
        most: number of real points to use, from the first on; None: all.
        expect: called with the expected seconds of the search; may raise.
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
