"""Sample a dataset from its distribution."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.data.datasets import make_distribution
from dualscale.runtime.streams import stream_seed
from job import job, whole


def main(output: str | Path, settings: Mapping) -> None:
    """Write the points, (n, d) in float32."""
    rng = np.random.default_rng(stream_seed(settings["seed"], "dataset", settings["distribution"]))
    points = make_distribution(settings).sample(settings["points"], rng)
    with whole(output) as part, part.open("wb") as file:
        np.save(file, points.astype(np.float32))


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(snakemake.output[0], snakemake.params.settings)
