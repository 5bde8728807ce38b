"""Privacy: distance of generated rows to the training rows, and copies of these.

Distances are means over the columns: of numbers and dates the difference as a share of the training
rows' range, of categories whether they differ (Gower 1971). A missing number counts as the median,
and differs from a number by 1 more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast
from numpy.typing import NDArray

from dualscale.metrics.metric import Column
from dualscale.metrics.quality.metric import Rows, TableMetric, Tables

PAIRS = 2**22  # distances in memory at a time


class Privacy(TableMetric):
    """Comparison with the training rows, whose floor is that of held-out rows."""

    def floor(self, tables: Tables, rng: np.random.Generator) -> Sequence[float | None]:
        return self.measure(tables.with_held_out_rows(rng))


class ClosestTraining(Privacy):
    """Mean distance to the closest training row; less than the floor's: nearer than real rows."""

    kind: Literal["closest_training"] = "closest_training"

    def columns(self) -> list[Column]:
        return [Column("closest_training", "distance to training rows", 4)]

    def measure(self, tables: Tables) -> list[float | None]:
        distance = Gower.of(tables)
        return [float(distance.nearest(tables.generated, tables.training).mean())]


class NearerToTraining(Privacy):
    """Share of rows nearer to the training rows than to as many held-out ones, 0.5 at best.

    A row as near to both counts half. As many training rows as are held out take part, chosen at
    random: copies of all training rows have 0.5 and half the ratio of held-out to training rows.
    """

    kind: Literal["nearer_to_training"] = "nearer_to_training"

    def columns(self) -> list[Column]:
        return [Column("nearer_to_training", "nearer to training rows")]

    def measure(self, tables: Tables) -> list[float | None]:
        distance, rng = Gower.of(tables), np.random.default_rng(tables.seed)
        count = min(len(tables.held_out), len(tables.training))
        distances = [
            distance.nearest(tables.generated, rows[rng.choice(len(rows), count, replace=False)])
            for rows in (tables.training, tables.held_out)
        ]
        nearer, equal = distances[0] < distances[1], distances[0] == distances[1]
        return [float(nearer.mean() + equal.mean() / 2)]


class Copies(Privacy):
    """Share of rows that are a training row in every cell."""

    kind: Literal["copies"] = "copies"

    def columns(self) -> list[Column]:
        return [Column("copies", "copies of training rows", 4)]

    def measure(self, tables: Tables) -> list[float | None]:
        known = set(map(bytes, as_stored(tables.training)))
        return [float(np.mean([bytes(row) in known for row in as_stored(tables.generated)]))]


def as_stored(rows: Rows) -> NDArray[np.float64]:
    """Return rows whose bytes are equal where their cells are: one zero, one kind of NaN."""
    return np.where(np.isnan(rows), np.nan, rows + 0.0)


@dataclass(frozen=True)
class Gower:
    """Distances between rows (Gower 1971), as the module's text defines them.

    Args:
        categorical: mask of the columns that are categories.
        median, scale: of the training rows, (columns,); the scale is their range.
    """

    categorical: NDArray[np.bool_]
    median: Rows
    scale: Rows

    @classmethod
    def of(cls, tables: Tables) -> "Gower":
        low, median, high = np.nanquantile(tables.training, [0, 0.5, 1], axis=0)
        return cls(tables.categorical, np.nan_to_num(median), np.where(high > low, high - low, 1))

    def nearest(self, rows: Rows, others: Rows) -> Rows:
        """Return the distance of every row to the nearest of the others, (n,)."""
        first, second = (self._placed(each) for each in (rows, others))
        size = max(1, PAIRS // len(others))
        starts = range(0, len(rows), size)
        blocks = [[part[start : start + size] for part in first] for start in starts]
        return np.concatenate([self._distances(block, second).min(axis=1) for block in blocks])

    def _placed(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return numbers in units of their range, and cells that only agree or differ."""
        numbers, missing = rows[:, ~self.categorical], np.isnan(rows)
        median, scale = (each[~self.categorical] for each in (self.median, self.scale))
        values = np.where(missing[:, ~self.categorical], median, numbers) / scale
        words = np.where(missing, -1.0, np.where(self.categorical, rows, 0.0))
        return values, words

    def _distances(self, some: Sequence[Rows], others: Sequence[Rows]) -> Rows:
        """Return the distance of every pair, (n, m)."""
        columns, found = len(self.categorical), np.zeros((len(some[0]), len(others[0])))
        if some[0].shape[1]:
            found += scipy.spatial.distance.cdist(some[0], others[0], "cityblock") / columns
        found += scipy.spatial.distance.cdist(some[1], others[1], "hamming")
        return found
