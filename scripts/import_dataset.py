"""Take a dataset from a file: check it, shuffle it, and hold some points out."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dualscale.files import read_points
from dualscale.streams import stream_seed
from job import job, whole_group

FEWEST = 100  # points: with less, neither training nor the held-out points say anything


def main(source: str | Path, outputs: Mapping[str, str], settings: Mapping) -> None:
    """Write the training points and the held-out ones, each (n, d) float32.

    Args:
        settings: columns, held_out (a share), seed.
    """
    points = read_points(Path(source), settings["columns"])
    require_usable(source, points)
    order = np.random.default_rng(stream_seed(settings["seed"], "hold out")).permutation(
        len(points)
    )
    held_out = int(np.ceil(settings["held_out"] * len(points)))
    parts = {"held_out": points[order[:held_out]], "training": points[order[held_out:]]}
    logging.info("%s: %d points of %d columns", source, *points.shape)
    with whole_group([outputs[name] for name in parts]) as files:
        for file, part in zip(files, parts.values(), strict=True):
            with file.open("wb") as stream:
                np.save(stream, part.astype(np.float32))


def require_usable(source: str | Path, points: NDArray[np.float64]) -> None:
    """
    Raises:
        ValueError: too few points, no column that varies, or a spread that float32 cannot hold.
    """
    if len(points) < FEWEST:
        raise ValueError(f"{source} has {len(points)} points: {FEWEST} or more are needed")
    deviation, size = points.std(axis=0), np.abs(points).max(axis=0)
    constant = points.min(axis=0) == points.max(axis=0)
    if constant.all():
        raise ValueError(f"{source}: every column is constant: there is nothing to learn")
    smallest = np.maximum(1e-5 * size, np.finfo(np.float32).tiny)
    for column in np.flatnonzero((deviation <= smallest) & ~constant):
        raise ValueError(
            f"{source}: column {column} is nearly constant: values about "
            f"{points[:, column].mean():g} with standard deviation {deviation[column]:g}; "
            "leave it out with `columns`, or subtract what all values have in common"
        )


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input[0],
            dict(snakemake.output.items()),
            snakemake.params.settings,
        )
