"""Do single columns, and pairs of columns, look like the real ones?

Both are those of the quality report of sdmetrics 0.32, which is the oracle of their test.
"""

import logging
from collections.abc import Mapping
from itertools import combinations
from typing import Literal

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast

from dualscale.metrics.metric import Column
from dualscale.metrics.quality.metric import Rows, TableMetric, Tables

WORST = 3  # columns or pairs that the log names


class ColumnShapes(TableMetric):
    """Mean over the columns of their likeness to held-out real ones, 1 at best.

    1 - the Kolmogorov-Smirnov statistic of numbers and dates, 1 - the total variation distance of
    categories, both of the cells that are not missing.
    """

    kind: Literal["column_shapes"] = "column_shapes"

    def columns(self) -> list[Column]:
        return [Column("column_shapes", "column shapes")]

    def measure(self, tables: Tables) -> list[float | None]:
        return [averaged(self.scores(tables))]

    def scores(self, tables: Tables) -> dict[str, float]:
        """Return the likeness of every column that has values, by name."""
        found = {}
        pairs = zip(tables.held_out.T, tables.generated.T, strict=True)
        for column, categorical, pair in zip(
            tables.columns, tables.categorical, pairs, strict=True
        ):
            real, generated = (cells[~np.isnan(cells)] for cells in pair)
            if len(real) and len(generated):
                compare = shared if categorical else alike
                found[column.name] = compare(real[:, None], generated[:, None])
        return found


class PairTrends(TableMetric):
    """Mean over the pairs of columns of their likeness to held-out real ones, 1 at best.

    Of two numbers or dates, 1 - half the difference of Pearson's correlations. Of others, 1 - the
    total variation distance of their contingency tables, with missing cells as a value; numbers are
    in ten bins of equal width over their range in the table, the largest in one of its own.
    """

    kind: Literal["pair_trends"] = "pair_trends"

    def columns(self) -> list[Column]:
        return [Column("pair_trends", "pair trends")]

    def measure(self, tables: Tables) -> list[float | None]:
        return [averaged(self.scores(tables))]

    def scores(self, tables: Tables) -> dict[str, float]:
        """Return the likeness of every pair that has one, by the names of its columns."""
        found, categorical = {}, tables.categorical
        both = tables.held_out, tables.generated
        binned = [in_bins(rows, categorical) for rows in both]
        for first, second in combinations(range(len(categorical)), 2):
            pair = [first, second]
            if categorical[pair].any():
                score = shared(*(rows[:, pair] for rows in binned))
            else:
                real, generated = (correlation(rows[:, pair]) for rows in both)
                score = 1 - abs(real - generated) / 2
            if not np.isnan(score):
                names = (tables.columns[place].name for place in pair)
                found[" and ".join(names)] = score
        return found


def averaged(scores: Mapping[str, float]) -> float | None:
    """Return the mean of the scores, None if there are none; the log names the worst."""
    if not scores:
        return None
    worst = sorted(scores, key=lambda name: scores[name])[:WORST]
    logging.info("least alike: %s", ", ".join(f"{name} {scores[name]:.3f}" for name in worst))
    return float(np.mean(list(scores.values())))


def alike(real: Rows, generated: Rows) -> float:
    """Return 1 - the Kolmogorov-Smirnov statistic of two samples (n, 1)."""
    found = scipy.stats.ks_2samp(real[:, 0], generated[:, 0], method="asymp")
    return 1 - float(found.statistic)


def shared(real: Rows, generated: Rows) -> float:
    """Return 1 - the total variation distance of two tables of distinct rows, (n, columns)."""
    rows = np.nan_to_num(np.concatenate([real, generated]), nan=-1)
    places = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    shares = [
        np.bincount(part, minlength=places.max() + 1) / len(part)
        for part in np.split(places, [len(real)])
    ]
    return float(1 - np.abs(shares[0] - shares[1]).sum() / 2)


def in_bins(rows: Rows, categorical: np.ndarray) -> Rows:
    """Return the rows with the bin of each number or date in its place."""
    binned = rows.copy()
    for column in np.flatnonzero(~categorical):
        cells = rows[:, column]
        edges = np.histogram_bin_edges(cells[~np.isnan(cells)])
        binned[:, column] = np.digitize(cells, edges)  # a missing cell is beyond the last edge
    return binned


def correlation(rows: Rows) -> float:
    """Return Pearson's correlation of two columns (n, 2); NaN where one is constant."""
    x, y = rows[~np.isnan(rows).any(axis=1)].T
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
