"""Estimate the KL divergence of a generated sample from its dataset."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.divergence import knn_kl
from job import job, write_json


def main(
    real: str | Path,
    generated: str | Path,
    output: str | Path,
    settings: Mapping,
    digest: str,
    threads: int,
) -> None:
    """Write {"kl_bits": …, "settings_digest": …}."""
    bits = knn_kl(
        np.load(real, allow_pickle=False),
        np.load(generated, allow_pickle=False),
        k=settings["k"],
        workers=threads,
    )
    write_json(output, {"kl_bits": bits, "settings_digest": digest})


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.real,
            snakemake.input.generated,
            snakemake.output[0],
            snakemake.params.settings,
            snakemake.params.digest,
            snakemake.threads,
        )
