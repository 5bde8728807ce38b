"""Tables of numbers in files: which columns are taken, and which values can be used."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualscale.parts import Choice, short

MOST_COLUMNS = 64
LARGEST = 1e38  # float32 holds the difference of two such numbers

Columns = Sequence[str | int] | None
"""Names of columns, or numbers from 0; None: all."""


class TableError(Exception):
    """Fault of a file, phrased to follow the file's name."""


@dataclass(frozen=True)
class Table:
    """Numeric columns read from a file.

    Args:
        names: column names; without a header, column numbers from 0.
        types: the columns' types in the file; "number" for text files.
        values: (n, d).
    """

    names: list[str]
    types: list[str]
    values: NDArray[np.float64]

    def describe(self) -> str:
        """Summarise in a few lines: the first rows, and type and range of each column."""
        import pandas as pd

        first = pd.DataFrame(self.values[:3], columns=self.names)
        columns = pd.DataFrame(
            {
                "column": self.names,
                "type": self.types,
                "smallest": self.values.min(axis=0),
                "largest": self.values.max(axis=0),
            }
        )
        return f"first rows:\n{first.to_string(index=False)}\n{columns.to_string(index=False)}"


class Format(Choice):
    """Format of files whose extension is its kind."""

    @abstractmethod
    def read(self, path: Path, columns: Columns) -> Table:
        """Read the chosen columns; a TableError says why a file cannot be used."""

    @abstractmethod
    def write(self, path: Path, points: NDArray) -> None:
        """Write points (n, d)."""


def frame(points: NDArray) -> Any:
    """Return points as a pandas table with columns x0, x1, …."""
    import pandas as pd

    return pd.DataFrame(points, columns=[f"x{index}" for index in range(points.shape[1])])


def choose(names: Sequence[str], columns: Columns) -> list[int]:
    """Indices of the chosen columns."""
    if columns is not None:
        chosen = [_find(names, column) for column in columns]
        for number in chosen:
            if chosen.count(number) > 1:
                raise TableError(f"has one column {names[number]}, which `columns` chooses twice")
        return chosen
    if len(names) > MOST_COLUMNS:
        raise TableError(
            f"has {len(names)} columns: at most {MOST_COLUMNS} can be used; "
            "choose some with `columns`"
        )
    if "" in names:
        raise TableError(
            f"has no name for column {names.index('')}, perhaps an index: "
            "say with `columns` which are the points"
        )
    return list(range(len(names)))


def _find(names: Sequence[str], column: str | int) -> int:
    places = [number for number, name in enumerate(names) if name == str(column)]
    if isinstance(column, int):
        if places not in ([], [column]):
            raise TableError(
                f"has a column called {column}, which is not its number {column}: put the name "
                "into quotes, or count the columns from 0"
            )
        places = [column] if column < len(names) else []
    if len(places) != 1:
        some = f"{len(places)} columns" if places else "no column"
        raise TableError(f"has {some} {column!r}: its columns are {listed(names)}")
    return places[0]


def listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:MOST_COLUMNS])


def require_usable_numbers(table: Table) -> None:
    """Reject values outside the range of float32."""
    for name, column in zip(table.names, table.values.T, strict=True):
        broken = np.flatnonzero(~(np.abs(column) <= LARGEST))
        if len(broken):
            raise unusable(broken[0] + 1, name, f"{column[broken[0]]:g}")


def unusable(row: int, column: str, value: str) -> TableError:
    if value in ("", "nan"):
        return TableError(f"is empty in row {row} of column {column}: a number is needed")
    hint = ", with `decimal` for decimal commas" if re.fullmatch(r"\s*-?\d*,\d+", value) else ""
    return TableError(
        f"holds {short(value)} in row {row} of column {column}: "
        f"numbers up to {LARGEST:g} in size can be used{hint}"
    )
