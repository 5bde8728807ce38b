"""Tables in files: which columns are taken, and which values can be used."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dualscale.parts import Choice, short

MOST_COLUMNS = 64
LARGEST = 1e38  # float32 holds the difference of two such numbers
MISSING = {"n/a", "na", "nan", "nil", "none", "null"}
"""Words, in any case, that stand for a missing number or date."""

Columns = Sequence[str | int] | Mapping[str, str] | None
"""Names of columns, or numbers from 0; or types by name; None: all."""
LEFT_OUT = "left_out"
"""Type of a column that is not taken."""
VERBATIM = "category"
"""Type of a column whose cells stay as they are, numbers too."""


class TableError(ValueError):
    """Fault of a file, phrased to follow the file's name."""


@dataclass(frozen=True)
class Table:
    """Columns read from a file.

    Args:
        cells: a pandas DataFrame: numbers in float64, dates as texts in the form 2026-11-24, words,
            truth values; NaN or None where a cell is missing. Without a header, the columns' names
            are their numbers from 0.
        stored: the columns' types in the file; "text" for text files.
    """

    cells: Any
    stored: list[str]


class Format(Choice):
    """Format of files whose extension is its kind."""

    @abstractmethod
    def read(self, path: Path, columns: Columns) -> Table:
        """Read the chosen columns; a TableError says why a file cannot be used."""

    @abstractmethod
    def write(self, path: Path, points: Any) -> None:
        """Write points (n, d), or a pandas DataFrame."""


def frame(points: Any) -> Any:
    """Return points as a pandas DataFrame with columns x0, x1, …; a DataFrame as it is."""
    import pandas as pd

    if isinstance(points, pd.DataFrame):
        return points
    return pd.DataFrame(points, columns=[f"x{index}" for index in range(points.shape[1])])


def choose(names: Sequence[str], columns: Columns) -> list[int]:
    """Indices of the chosen columns."""
    if columns is not None and not isinstance(columns, Mapping):
        chosen = [_find(names, column) for column in columns]
        for number in chosen:
            if chosen.count(number) > 1:
                raise TableError(f"has one column {names[number]}, which `columns` chooses twice")
        return chosen
    kinds = {_find(names, name): kind for name, kind in (columns or {}).items()}
    chosen = [number for number in range(len(names)) if kinds.get(number) != LEFT_OUT]
    if len(chosen) > MOST_COLUMNS:
        raise TableError(
            f"has {len(chosen)} columns: at most {MOST_COLUMNS} can be used; "
            "choose some with `columns`"
        )
    for number in chosen:
        if not names[number]:
            raise TableError(
                f"has no name for column {number}, perhaps an index: "
                "say with `columns` which are the points"
            )
    return chosen


def are_verbatim(columns: Columns) -> set[str]:
    """Names of columns whose cells stay as they are, numbers too."""
    typed = columns.items() if isinstance(columns, Mapping) else ()
    return {name for name, kind in typed if kind == VERBATIM}


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


def unusable(row: int, column: str, value: str) -> TableError:
    """Return the error for a cell that is not a number."""
    hint = ", with `decimal` for decimal commas" if re.fullmatch(r"-?\d*,\d+", value) else ""
    if not re.search(r"\d|inf", value):
        hint = f"; if its values are words, say `columns: {{{column}: category}}`"
    return TableError(
        f"holds {short(value)} in row {row} of column {column}: "
        f"numbers up to {LARGEST:g} in size can be used{hint}"
    )
