"""Evaluate the distances of a generated sample from its dataset that complement the paper's KL."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from _job import run, within_runtime
from dualscale.data.sources import distribution_of
from dualscale.metrics.distances import (
    classifier_test,
    coverage,
    energy_distance,
    off_support,
    sliced_wasserstein,
)
from dualscale.metrics.divergence import Reference, UndefinedError, knn_kl
from dualscale.runtime.records import write_record
from dualscale.runtime.streams import stream_seed


def main(
    real: Path,
    neighbours: list[Path],
    generated: Path,
    record: Path,
    *,
    dataset: str,
    settings: Mapping,
    digest: str,
    threads: int,
    runtime: int | None = None,
) -> None:
    """Write a record of all distances, each in the model's units.

    The KL estimates use all real points, the others as many as there are generated ones. A KL
    that the points leave undefined is null, as is the share off the support where the density is
    not known.

    Args:
        neighbours: npz files of the real points from find_neighbours, one per k.
        settings: of the distribution; empty for a dataset from a file.
        runtime: limit of the job, in minutes.
    """
    with threadpool_limits(threads):
        found = distances(real, neighbours, generated, dataset, settings, within_runtime(runtime))
    write_record(record, found | {"settings_digest": digest})


def distances(
    real: Path,
    neighbours: list[Path],
    generated: Path,
    dataset: str,
    settings: Mapping,
    expect: Callable[[float], None],
) -> dict[str, float | None]:
    """Return all distances by name; `expect` is called with the seconds of each search."""
    data, drawn = (np.load(path, allow_pickle=False) for path in (real, generated))
    references = [Reference.load(path, data) for path in neighbours]
    found = {
        f"kl_k{reference.k}_bits": defined(reference.kl, drawn, expect=expect)
        for reference in references
    }
    points = references[0].units.into_model(drawn.astype(np.float64))
    data = references[0].points
    found |= {
        f"reverse_kl_k{reference.k}_bits": defined(knn_kl, points, data, reference.k, expect=expect)
        for reference in references
    }
    equal, points = data[: len(points)], points[: len(data)]
    distribution = distribution_of(settings)
    name = dataset if distribution is None else distribution.kind
    seed = stream_seed("evaluate distances", name) % 2**32
    accuracy, p_value = classifier_test(equal, points, seed)
    outside = None if distribution is None else off_support(distribution.build(), points, equal)
    found |= {
        "energy_distance": energy_distance(equal, points),
        "sliced_wasserstein": sliced_wasserstein(equal, points, np.random.default_rng(seed)),
        "coverage": coverage(equal, points),
        "off_support_share": outside,
        "classifier_accuracy": accuracy,
        "classifier_p": p_value,
    }
    return found


def defined(estimate: Callable[..., float], *arguments: object, **options: object) -> float | None:
    """Return the estimate, or None with a line in the log if it is undefined."""
    try:
        return estimate(*arguments, **options)
    except UndefinedError as error:
        logging.warning("left out: %s", error)
        return None


run(main, globals())
