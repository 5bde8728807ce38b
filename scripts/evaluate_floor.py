"""Estimate the floor of the KL: the estimate for fresh real points in place of generated ones."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.data.datasets import fresh_points
from dualscale.metrics.divergence import Reference
from dualscale.runtime.streams import stream_seed
from job import job, whole, within_runtime


def main(
    real: str | Path,
    neighbours: str | Path,
    training: str | Path | None,
    output: str | Path,
    dataset: str,
    settings: Mapping,
    threads: int,
    expect: Callable[[float], None],
) -> None:
    """Write one row per floor: dataset, seed, kl_bits.

    Args:
        real: the points that the models' samples are compared with.
        neighbours: npz file of the real points from find_neighbours.
        training: training points of a dataset from a file, whose distribution is unknown, or None.
        settings: of the distribution; floors, their number; points, the size of each.
        expect: called with the expected seconds of each neighbour search; may raise.
    """
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    draw = fresh_points(settings, training)
    rows = []
    for seed in range(settings["floors"]):
        rng = np.random.default_rng(stream_seed(seed, dataset, "floor"))
        bits = reference.kl(draw(settings["points"], rng), threads, expect)
        logging.info("floor %d: %.4f bits", seed, bits)
        rows.append({"dataset": dataset, "seed": seed, "kl_bits": bits})
    with whole(output) as part:
        pd.DataFrame(rows).to_csv(part, index=False, lineterminator="\n", float_format="%.6g")


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.real,
            snakemake.input.neighbours,
            snakemake.input.get("training"),
            snakemake.output[0],
            snakemake.wildcards.dataset,
            snakemake.params.settings,
            snakemake.threads,
            within_runtime(snakemake.resources),
        )
