"""Estimate the KL divergence of a generated sample from its dataset."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dualscale.metrics.divergence import Reference
from job import job, within_runtime, write_json


def main(
    real: str | Path,
    neighbours: str | Path,
    generated: str | Path,
    output: str | Path,
    digest: str,
    threads: int,
    expect: Callable[[float], None],
) -> None:
    """Write {"kl_bits": …, "settings_digest": …}.

    Args:
        neighbours: npz file of the real points from find_neighbours.
        expect: called with the expected seconds of the search; may raise.
    """
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    bits = reference.kl(np.load(generated, allow_pickle=False), threads, expect)
    write_json(output, {"kl_bits": bits, "settings_digest": digest})


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.real,
            snakemake.input.neighbours,
            snakemake.input.generated,
            snakemake.output[0],
            snakemake.params.digest,
            snakemake.threads,
            within_runtime(snakemake.resources),
        )
