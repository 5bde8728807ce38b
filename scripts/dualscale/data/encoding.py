"""Encoding of a table as points: the coordinates of all its columns side by side, and back."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dualscale.data.cells import DATE, without_words_for_missing
from dualscale.data.columns import (
    COLUMN_TYPES,
    AnyColumnType,
    Category,
    ColumnType,
    Date,
    Integer,
    Number,
    Numeric,
)
from dualscale.data.table import LARGEST, Columns, Table, TableError
from dualscale.data.units import Array, Mask
from dualscale.parts import Part, parts_of, suggestion
from dualscale.runtime.files import atomic_write

MOST_COORDINATES = 512
NUMERIC = r"[-+]?[.,]?\d[\d.,' ]*([eE][-+]?\d+)?"  # a number as some write it


class Encoding(Part):
    """Columns of a table, and how each becomes coordinates of a point."""

    columns: list[AnyColumnType] = Field(
        description="Columns, in the table's order.", min_length=1, max_length=MOST_COORDINATES
    )
    plain: bool = Field(
        description="Whether the coordinates are the file's numbers as they are, which is so where "
        "all cells are numbers, none is missing, and the configuration gives no types."
    )

    @classmethod
    def fit(cls, table: Table, columns: Columns = None) -> Self:
        """Return the encoding of a table.

        Args:
            columns: types by name; types of other columns follow from their cells.

        Raises:
            TableError: names the cell or the column that cannot be used.
        """
        given = columns if isinstance(columns, Mapping) else {}
        fitted: list[ColumnType] = []
        for (name, cells), stored in zip(table.cells.items(), table.stored, strict=True):
            kind = type_of(given[name]) if name in given else inferred(name, cells, stored)
            fitted.append(kind.fit(name, cells))
        plain = not given and all(
            type(column) in (Number, Integer) and not column.missing for column in fitted
        )
        found = cls(columns=fitted, plain=plain)
        if len(found.flags) > MOST_COORDINATES:
            widest = max(fitted, key=lambda column: len(column.flags))
            raise TableError(
                f"takes {len(found.flags)} coordinates, one for each value of a category: at most "
                f"{MOST_COORDINATES} can be used; leave out {widest.name}, which takes the most"
            )
        return found

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the encoding that an import wrote."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    def write(self, path: Path) -> None:
        """Write as JSON."""
        with atomic_write(path) as part:
            part.write_text(self.model_dump_json(indent=2) + "\n")

    @property
    def flags(self) -> NDArray[np.bool_]:
        """Mask of the coordinates that are 0 or 1, (d,)."""
        if self.plain:
            return np.zeros(len(self.columns), bool)
        return np.concatenate([column.flags for column in self.columns])

    @property
    def groups(self) -> list[slice]:
        """Coordinates of every column of categories."""
        ends = np.cumsum([width for _, width in self._widths()]).tolist()
        return [
            slice(end - width, end)
            for (column, width), end in zip(self._widths(), ends, strict=True)
            if isinstance(column, Category)
        ]

    @property
    def names(self) -> list[str]:
        """Name of the column of every coordinate."""
        return [column.name for column, width in self._widths() for _ in range(width)]

    @property
    def owners(self) -> NDArray[np.intp]:
        """Number of the column of every coordinate, (d,)."""
        return np.repeat(np.arange(len(self.columns)), [width for _, width in self._widths()])

    def numbers_first(self, points: Array) -> Array:
        """Return points (n, d) with the coordinates that are 0 or 1 after the others."""
        return points[:, np.argsort(self.flags, kind="stable")]

    def encode(self, cells: Any, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the rows of a pandas DataFrame as points, (n, d), for storage in float32.

        Args:
            rng: of the noise that spreads whole numbers.
        """
        if self.plain:
            return cells.to_numpy(np.float64)
        series = (cells.iloc[:, number] for number in range(cells.shape[1]))
        parts = [
            column.encode(each, rng) for column, each in zip(self.columns, series, strict=True)
        ]
        return np.column_stack(parts)

    def decode(self, points: Array) -> Any:
        """Return points (n, d), of data or generated, as a pandas DataFrame.

        It has the file's columns in their order and types. Numbers keep to the range of the data.
        """
        import pandas as pd

        decoded = [column.decode(part) for column, part in self._parts(points)]
        return pd.concat(decoded, axis=1, keys=range(len(decoded))).set_axis(
            [column.name for column in self.columns], axis=1
        )

    def numbers(self, points: Array) -> NDArray[np.float64]:
        """Return points (n, d) as one number per column, (n, columns), of the decoded cells."""
        return np.column_stack([column.numbers(part) for column, part in self._parts(points)])

    def place(self, target: str) -> int:
        """Return the number of the target's column.

        Raises:
            ValueError: there is no such column.
        """
        names = [column.name for column in self.columns]
        if target not in names:
            raise ValueError(
                f"target is {target!r}: the table has no such column{suggestion(target, names)}; "
                f"it has {', '.join(names)}"
            )
        return names.index(target)

    def spread(self, points: Array, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return points as one number per column, equal cells spread by noise, (n, columns)."""
        return np.column_stack([column.spread(part, rng) for column, part in self._parts(points)])

    def recognised(self, cells: Any) -> Any:
        """Return cells of some of the columns, from wherever, as cells of this table.

        Args:
            cells: a pandas DataFrame of words, numbers, truth values or dates; NaN, None or a word
                for it where one is missing.

        Raises:
            TableError: names the first cell that its column cannot have.
        """
        columns = {column.name: column for column in self.columns}
        return cells.apply(lambda each: columns[each.name].recognised(each))

    def encode_some(
        self, cells: Any, known: Any, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], Mask]:
        """Return some cells as points (n, d), 0 elsewhere, and the mask of their coordinates.

        Args:
            cells: a pandas DataFrame of some of the columns, from `recognised`.
            known: which of them are taken, truth values by column.
            rng: of the noise that spreads whole numbers.
        """
        shape = len(cells), len(self.flags)
        points, mask, start = np.zeros(shape, np.float32), np.zeros(shape, bool), 0
        for column, width in self._widths():
            here, start = slice(start, start + width), start + width
            if column.name in cells:
                series, rows = cells[column.name], known[column.name].to_numpy(bool)
                found = (
                    Numeric.values(column.name, series)[:, None]
                    if self.plain
                    else column.encode(series, rng)
                )
                points[rows, here], mask[rows, here] = found[rows], True
        return points, mask

    def describe(self) -> str:
        """Return a line on every column."""
        width = max(len(column.name) for column in self.columns)
        return "\n".join(f"{each.name:<{width}}  {each.describe()}" for each in self.columns)

    def _widths(self) -> list[tuple[ColumnType, int]]:
        """Columns, each with its number of coordinates."""
        return [(column, 1 if self.plain else len(column.flags)) for column in self.columns]

    def _parts(self, points: Array) -> Iterator[tuple[ColumnType, Array]]:
        """Iterate over the columns, each with its coordinates, (n, w)."""
        start = 0
        for column, width in self._widths():
            yield column, points[:, start : start + width]
            start += width


def numbered(count: int) -> Encoding:
    """Return the encoding of points that are not from a file: numbers x0, x1, …"""
    names = [f"x{index}" for index in range(count)]
    columns: list[ColumnType] = [
        Number(name=name, low=-LARGEST, high=LARGEST, median=0.0) for name in names
    ]
    return Encoding(columns=columns, plain=True)


def type_of(kind: str) -> type[ColumnType]:
    """Return the type of columns of a kind."""
    return dict(zip(COLUMN_TYPES, parts_of(ColumnType), strict=True))[kind]


def inferred(name: str, cells: Any, stored: str) -> type[ColumnType]:
    """Return the type of a column by its cells, and by how they are stored.

    Numbers are integers where all are whole; dates have the form 2026-11-24; words without a number
    or a date among them are categories, and so are truth values and what a file stores as words.

    Raises:
        TableError: numbers or dates stand among words.
    """
    if cells.dtype.kind == "f":
        return Integer if (np.rint(cells) == cells)[cells.notna()].all() else Number
    if "string" in stored or "bool" in stored:
        return Category
    present = without_words_for_missing(cells).dropna()
    for kind, pattern in ((Number, NUMERIC), (Date, DATE)):
        if present.str.fullmatch(pattern).any():
            kind.values(name, cells)  # says which cell is another
            return kind
    return Category


def read_encoding(path: Path | None) -> Encoding | None:
    """Return the encoding that an import wrote; None for a dataset that is not from a file."""
    return None if path is None else Encoding.read(path)
