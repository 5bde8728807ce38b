"""Import a dataset from a file: check it, encode and shuffle it, and hold some points out."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dualscale.data.columns import Integer
from dualscale.data.encoding import Encoding
from dualscale.data.files import read_table
from dualscale.data.split import split
from dualscale.data.table import Table
from dualscale.runtime.files import save_points
from dualscale.runtime.streams import stream_seed
from execution.job import run

FEWEST = 100  # points; fewer suffice neither for training nor for evaluation


def main(
    source: Path,
    training: Path,
    held_out: Path,
    encoding: Path,
    *,
    settings: Mapping,
    k: int,
    target: str | None = None,
) -> None:
    """Write training and held-out points, each (n, d) in float32, and their encoding as JSON.

    Args:
        settings: of the dataset: columns, header, delimiter, decimal, held_out (a share), seed.
        k: neighbour of the KL estimator.
        target: name of a column, which must be there; None: no column is the target.
    """
    text = {key: settings[key] for key in ("columns", "header", "delimiter", "decimal")}
    table, found = read_table(source, **text)
    if target is not None:
        found.place(target)
    seed = settings["seed"]
    points = found.encode(table.cells, np.random.default_rng(stream_seed(seed, "spread")))
    require_usable(source, points, found)
    require_distinct(source, points, found, k)
    logging.info("%s: %d points of %s", source, len(points), understood(table, found))
    learnt, unseen = split(len(points), settings["held_out"], seed)
    save_points(held_out, points[unseen])
    save_points(training, points[learnt])
    found.write(encoding)


def understood(table: Table, encoding: Encoding) -> str:
    """Summarise in a few lines: the first rows, and type, range and missing cells of columns."""
    columns = {
        "column": [column.name for column in encoding.columns],
        "in the file": table.stored,
        "type": [column.describe() for column in encoding.columns],
        "missing": [f"{share:.1%}" for share in table.cells.isna().mean()],
    }
    shown = (table.cells.head(3), pd.DataFrame(columns))
    first, each = (frame.to_string(index=False) for frame in shown)
    return (
        f"{len(encoding.columns)} columns in {len(encoding.flags)} coordinates, "
        f"first rows:\n{first}\n{each}"
    )


def require_usable(source: str | Path, points: NDArray[np.float64], encoding: Encoding) -> None:
    """Check the number and the spread of the points.

    Raises:
        ValueError: too few points, no column that varies, or a spread too large for float32.
    """
    if len(points) < FEWEST:
        raise ValueError(f"{source} has {len(points)} points: {FEWEST} or more are needed")
    deviation, size = points.std(axis=0), np.abs(points).max(axis=0)
    constant = points.min(axis=0) == points.max(axis=0)
    if constant.all():
        raise ValueError(f"{source} has only constant columns: there is nothing to learn")
    smallest = np.maximum(1e-5 * size, np.finfo(np.float32).tiny)
    for column in np.flatnonzero((deviation <= smallest) & ~constant):
        raise ValueError(
            f"{source}: column {encoding.names[column]} is nearly constant: values about "
            f"{points[:, column].mean():g} with standard deviation {deviation[column]:g}; "
            "leave it out with `columns`, or subtract what all values have in common"
        )


def require_distinct(
    source: str | Path, points: NDArray[np.float64], encoding: Encoding, k: int
) -> None:
    """Check that distances to the k-th neighbour are positive.

    Raises:
        ValueError: more than k - 1 points are equal.
    """
    compared = points.astype(np.float32)
    if not encoding.plain:
        compared = encoding.spread(
            compared, np.random.default_rng(stream_seed("tell equal points"))
        )
    table = pd.DataFrame(compared)
    repeated = table[table.duplicated(keep=False)]
    equal = repeated.groupby(list(table.columns)).indices
    most = max(equal.values(), key=len, default=[])
    if len(most) >= k:
        rows = ", ".join(str(repeated.index[place] + 1) for place in most[:3])
        whole = [each.name for each in encoding.columns if isinstance(each, Integer)]
        spread = f", or say `columns: {{{whole[0]}: integer}}`" if whole else ""
        raise ValueError(
            f"{source} has {len(most)} equal points, in rows {rows}{', …' * (len(most) > 3)}: the "
            f"KL needs fewer than kl.k, {k}; remove the repeats, raise kl.k{spread}"
        )


run(main, globals())
