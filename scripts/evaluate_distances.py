"""Evaluate the distances of a generated sample from its dataset that complement the paper's KL."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dualscale.datasets import make_distribution
from dualscale.distances import (
    classifier_test,
    coverage,
    energy_distance,
    off_support,
    sliced_wasserstein,
)
from dualscale.divergence import knn_kl
from dualscale.streams import stream_seed
from job import job, write_json

NEIGHBOURS = (1, 5, 20)


def main(
    real: str | Path, generated: str | Path, output: str | Path, settings: Mapping, digest: str
) -> None:
    """Write a record of all distances.

    The KL estimates use all real points; the others as many as there are generated ones.
    """
    data = np.load(real, allow_pickle=False)
    points = np.load(generated, allow_pickle=False)
    equal = data[: len(points)]
    seed = stream_seed("evaluate distances", settings["distribution"]) % 2**32
    record = {f"kl_k{k}_bits": knn_kl(data, points, k) for k in NEIGHBOURS}
    record |= {f"reverse_kl_k{k}_bits": knn_kl(points, data, k) for k in NEIGHBOURS}
    accuracy, p_value = classifier_test(equal, points, seed)
    record |= {
        "energy_distance": energy_distance(equal, points),
        "sliced_wasserstein": sliced_wasserstein(equal, points, np.random.default_rng(seed)),
        "coverage": coverage(equal, points),
        "off_support_share": off_support(make_distribution(settings), points, equal),
        "classifier_accuracy": accuracy,
        "classifier_p": p_value,
    }
    write_json(output, record | {"settings_digest": digest})


if snakemake := globals().get("snakemake"):
    with job(snakemake), threadpool_limits(snakemake.threads):
        main(
            snakemake.input.real,
            snakemake.input.generated,
            snakemake.output[0],
            snakemake.params.settings,
            snakemake.params.digest,
        )
