"""Estimate the floor of the KL: the estimate for fresh real points in place of generated ones."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.datasets import make_distribution
from dualscale.divergence import knn_kl
from dualscale.streams import stream_seed
from job import job, whole


def main(
    real: str | Path, output: str | Path, dataset: str, settings: Mapping, threads: int
) -> None:
    """Write one row per floor: dataset, seed, kl_bits.

    Args:
        real: the dataset, which the models' samples are compared with too.
        settings: the distribution's; floors, how many; points, of each; k.
    """
    data, distribution = np.load(real, allow_pickle=False), make_distribution(settings)
    rows = []
    for seed in range(settings["floors"]):
        rng = np.random.default_rng(stream_seed(seed, dataset, "floor"))
        fresh = distribution.sample(settings["points"], rng).astype(np.float32)
        bits = knn_kl(data, fresh, settings["k"], workers=threads)
        logging.info("floor %d: %.4f bits", seed, bits)
        rows.append({"dataset": dataset, "seed": seed, "kl_bits": bits})
    with whole(output) as part:
        pd.DataFrame(rows).to_csv(part, index=False, lineterminator="\n", float_format="%.6g")


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.real,
            snakemake.output[0],
            snakemake.wildcards.dataset,
            snakemake.params.settings,
            snakemake.threads,
        )
