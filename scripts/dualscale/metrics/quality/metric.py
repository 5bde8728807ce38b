"""Base of the metrics of generated tables, and the tables that they compare."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dualscale.data.columns import Category, ColumnType
from dualscale.data.encoding import Encoding
from dualscale.metrics.metric import Column
from dualscale.parts import Choice

Rows = NDArray[np.float64]
"""Cells as numbers, (n, columns): values, days, places of categories; NaN where they are missing.

They are those of the decoded table, so numbers are in its range and whole where they should be.
"""


@dataclass(frozen=True)
class Tables:
    """Generated rows of a table, and the real ones that they are compared with.

    Args:
        columns: types of the columns.
        generated, training, held_out: the generator was fitted to the training rows; real rows that
            are held out were not seen by it.
        target: number of the column that models predict; None: there is none.
        seed: of a metric's random numbers, below 2^32.
    """

    columns: Sequence[ColumnType]
    generated: Rows
    training: Rows
    held_out: Rows
    target: int | None = None
    seed: int = 0

    @classmethod
    def of_points(
        cls,
        encoding: Encoding,
        points: Sequence[NDArray[np.floating]],
        target: str | None = None,
        seed: int = 0,
    ) -> Self:
        """Return tables that are given by their points: generated, training and held out.

        Args:
            target: name of the column that models predict.
        """
        place = None if target is None else encoding.place(target)
        generated, training, held_out = map(encoding.numbers, points)
        return cls(encoding.columns, generated, training, held_out, place, seed)

    @property
    def categorical(self) -> NDArray[np.bool_]:
        """Mask of the columns that are categories, (columns,)."""
        return np.array([isinstance(column, Category) for column in self.columns])

    def with_training_rows(self, rng: np.random.Generator) -> Self:
        """Return the tables with training rows for generated ones: as many, or all there are."""
        count = min(len(self.generated), len(self.training))
        chosen = rng.choice(len(self.training), count, replace=False)
        return replace(self, generated=self.training[chosen])

    def with_held_out_rows(self, rng: np.random.Generator) -> Self:
        """Return the tables with a half of the held-out rows for generated ones."""
        order = rng.permutation(len(self.held_out))
        first, second = np.array_split(self.held_out[order], 2)
        return replace(self, generated=first, held_out=second)


class TableMetric(Choice):
    """Comparison of generated rows with real ones, as the table shows them."""

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """Return the columns of its values, whose names no other metric has."""

    @abstractmethod
    def measure(self, tables: Tables) -> Sequence[float | None]:
        """Return a value for each column; None where it is undefined."""

    def floor(self, tables: Tables, rng: np.random.Generator) -> Sequence[float | None]:
        """Return its values for real rows in place of generated ones."""
        return self.measure(tables.with_training_rows(rng))
