"""Estimate the floor of the KL: the estimate for fresh real points in place of generated ones."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.data.sources import distribution_of, fresh_points
from dualscale.metrics.kl import Reference
from dualscale.reporting.tables import write_table
from dualscale.runtime.streams import stream_seed
from execution.job import run, within_runtime


def main(
    real: Path,
    neighbours: Path,
    floors: Path,
    training: Path | None = None,
    *,
    dataset: str,
    settings: Mapping,
    threads: int,
    runtime: int | None = None,
) -> None:
    """Write one row per floor: dataset, seed, kl_bits.

    Args:
        real: the points that the models' samples are compared with.
        training: training points of a dataset from a file, whose distribution is unknown, or None.
        settings: of the distribution; floors, their number; points, the size of each.
    """
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    draw = fresh_points(distribution_of(settings), training)
    rows = []
    for seed in range(settings["floors"]):
        rng = np.random.default_rng(stream_seed(seed, dataset, "floor"))
        bits = reference.kl(draw(settings["points"], rng), threads, within_runtime(runtime))
        logging.info("floor %d: %.4f bits", seed, bits)
        rows.append({"dataset": dataset, "seed": seed, "kl_bits": bits})
    write_table([floors], pd.DataFrame(rows))


run(main, globals())
