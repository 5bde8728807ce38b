"""Fidelity: likeness of single columns, and of pairs of columns, to the real ones.

Both are those of the quality report of sdmetrics, which is the oracle of their test.
"""

import logging
from abc import abstractmethod
from itertools import combinations
from typing import Literal

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast

from dualscale.metrics.metric import Column
from dualscale.metrics.quality.metric import Rows, TableMetric, Tables

WORST = 3  # columns or pairs that the log names


class Fidelity(TableMetric):
    """Mean of scores of single columns, or of several together; the log names the worst."""

    @abstractmethod
    def scores(self, tables: Tables) -> dict[tuple[int, ...], float]:
        """Return the scores that are defined, by the numbers of their columns."""

    def measure(self, tables: Tables) -> list[float | None]:
        scores = self.scores(tables)
        if not scores:
            return [None]
        worst = sorted(scores, key=lambda places: scores[places])[:WORST]
        names = (" and ".join(tables.columns[place].name for place in places) for places in worst)
        said = (f"{name} {scores[places]:.3f}" for name, places in zip(names, worst, strict=True))
        logging.info("least alike: %s", ", ".join(said))
        return [float(np.mean(list(scores.values())))]


class ColumnShapes(Fidelity):
    """Mean over the columns of their likeness to held-out real ones, 1 at best.

    1 - the Kolmogorov-Smirnov statistic of numbers and dates, 1 - the total variation distance of
    categories, both of the cells that are not missing.
    """

    kind: Literal["column_shapes"] = "column_shapes"

    def columns(self) -> list[Column]:
        return [Column("column_shapes", "column shapes")]

    def scores(self, tables: Tables) -> dict[tuple[int, ...], float]:
        found: dict[tuple[int, ...], float] = {}
        for place, categorical in enumerate(tables.categorical):
            cells = (rows[:, [place]] for rows in (tables.held_out, tables.generated))
            real, generated = (each[~np.isnan(each[:, 0])] for each in cells)
            if len(real) and len(generated):
                found[(place,)] = (shared if categorical else alike)(real, generated)
        return found


class PairTrends(Fidelity):
    """Mean over the pairs of columns of their likeness to held-out real ones, 1 at best.

    Of two numbers or dates, 1 - half the difference of Pearson's correlations. Of others, 1 - the
    total variation distance of their contingency tables, with missing cells as a value; numbers are
    in ten bins of equal width over their range in the table, with the largest and missing cells
    in one more.
    """

    kind: Literal["pair_trends"] = "pair_trends"

    def columns(self) -> list[Column]:
        return [Column("pair_trends", "pair trends")]

    def scores(self, tables: Tables) -> dict[tuple[int, ...], float]:
        found: dict[tuple[int, ...], float] = {}
        categorical = tables.categorical
        both = tables.held_out, tables.generated
        binned = [in_bins(rows, categorical) for rows in both]
        for pair in combinations(range(len(categorical)), 2):
            if categorical[list(pair)].any():
                score = shared(*(rows[:, pair] for rows in binned))
            else:
                real, generated = (correlation(rows[:, pair]) for rows in both)
                score = 1 - abs(real - generated) / 2
            if not np.isnan(score):
                found[pair] = score
        return found


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
        binned[:, column] = np.digitize(cells, edges)  # missing: in the last, with the largest
    return binned


def correlation(rows: Rows) -> float:
    """Return Pearson's correlation of two columns (n, 2); NaN where one is constant."""
    x, y = rows[~np.isnan(rows).any(axis=1)].T
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
