"""Import a dataset from a file: check it, shuffle it, and hold some points out."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dualscale.data.files import read_table
from dualscale.data.table import Table
from dualscale.runtime.files import save_points
from dualscale.runtime.streams import stream_seed
from execution.job import run

FEWEST = 100  # points; fewer suffice neither for training nor for evaluation


def main(source: Path, training: Path, held_out: Path, *, settings: Mapping, k: int) -> None:
    """Write training and held-out points, each (n, d) in float32.

    Args:
        settings: of the dataset: columns, header, delimiter, decimal, held_out (a share), seed.
        k: neighbour of the KL estimator.
    """
    text = {key: settings[key] for key in ("columns", "header", "delimiter", "decimal")}
    table = read_table(source, **text)
    points = table.values.astype(np.float32)
    require_usable(source, table)
    require_distinct(source, points, k)
    logging.info("%s: %d points of %d columns, %s", source, *points.shape, table.describe())
    order = np.random.default_rng(stream_seed(settings["seed"], "hold out")).permutation(
        len(points)
    )
    count = int(np.ceil(settings["held_out"] * len(points)))
    save_points(held_out, points[order[:count]])
    save_points(training, points[order[count:]])


def require_usable(source: str | Path, table: Table) -> None:
    """Check the number and the spread of the points.

    Raises:
        ValueError: too few points, no column that varies, or a spread too large for float32.
    """
    points = table.values
    if len(points) < FEWEST:
        raise ValueError(f"{source} has {len(points)} points: {FEWEST} or more are needed")
    deviation, size = points.std(axis=0), np.abs(points).max(axis=0)
    constant = points.min(axis=0) == points.max(axis=0)
    if constant.all():
        raise ValueError(f"{source} has only constant columns: there is nothing to learn")
    smallest = np.maximum(1e-5 * size, np.finfo(np.float32).tiny)
    for column in np.flatnonzero((deviation <= smallest) & ~constant):
        raise ValueError(
            f"{source}: column {table.names[column]} is nearly constant: values about "
            f"{points[:, column].mean():g} with standard deviation {deviation[column]:g}; "
            "leave it out with `columns`, or subtract what all values have in common"
        )


def require_distinct(source: str | Path, points: NDArray[np.float32], k: int) -> None:
    """Check that distances to the k-th neighbour are positive.

    Raises:
        ValueError: more than k - 1 points are equal.
    """
    table = pd.DataFrame(points)
    repeated = table[table.duplicated(keep=False)]
    equal = repeated.groupby(list(table.columns)).indices
    most = max(equal.values(), key=len, default=[])
    if len(most) >= k:
        rows = ", ".join(str(repeated.index[place] + 1) for place in most[:3])
        raise ValueError(
            f"{source} has {len(most)} equal points, in rows {rows}{', …' * (len(most) > 3)}: the "
            f"KL needs fewer than kl.k, {k}; remove the repeats or raise kl.k"
        )


run(main, globals())
