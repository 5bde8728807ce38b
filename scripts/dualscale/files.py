"""Points in files: CSV, TSV, NPY and Parquet, told apart by the ending of the name."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST_COLUMNS = 64


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    """With a header line or without: a first line of numbers is data."""
    first = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).iloc[0]
    header = None if pd.to_numeric(first, errors="coerce").notna().all() else 0
    return pd.read_csv(path, sep=separator, header=header, skipinitialspace=True)


def _read_npy(path: Path) -> pd.DataFrame:
    array = np.load(path, allow_pickle=False)
    if array.ndim != 2:
        raise ValueError(f"{path} has shape {array.shape}: a table of points by columns is needed")
    return pd.DataFrame(array)


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": lambda path: _read_text(path, ","),
    ".tsv": lambda path: _read_text(path, "\t"),
    ".npy": _read_npy,
    ".parquet": pd.read_parquet,
}


def read_points(path: Path, columns: Sequence[str | int] | None = None) -> NDArray[np.float64]:
    """The chosen columns, or all, as (n, d).

    Args:
        columns: names, or numbers from 0.

    Raises:
        ValueError: one line that says which row and column cannot be used.
    """
    if path.suffix.lower() not in READERS:
        raise ValueError(f"{path} ends in {path.suffix!r}: {', '.join(READERS)} are read")
    try:
        table = READERS[path.suffix.lower()](path)
    except (EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if columns is not None:
        table = pd.concat([_column(path, table, name) for name in columns], axis=1)
    if table.shape[1] > MOST_COLUMNS:
        raise ValueError(
            f"{path} has {table.shape[1]} columns: at most {MOST_COLUMNS} can be used; "
            "choose some with `columns`"
        )
    points = np.empty(table.shape)
    for index, name in enumerate(table.columns):
        points[:, index] = _numbers(path, table.iloc[:, index], name)
    return points


def _column(path: Path, table: pd.DataFrame, name: str | int) -> pd.Series:
    if name in table.columns:
        return table[name]
    if isinstance(name, int) and name < table.shape[1]:
        return table.iloc[:, name]
    known = ", ".join(map(str, table.columns[:MOST_COLUMNS]))
    raise ValueError(f"{path} has no column {name!r}: its columns are {known}")


def _numbers(path: Path, column: pd.Series, name: str | int) -> NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    broken = np.flatnonzero(~np.isfinite(numbers))
    if len(broken):
        value = column.iloc[broken[0]]
        what = "is empty" if pd.isna(value) else f"holds {str(value)[:40]!r}"
        raise ValueError(
            f"{path}: row {broken[0] + 1} of column {name} {what}: only finite numbers can be "
            f"used; {len(broken)} such row{'s' if len(broken) > 1 else ''}, of {len(numbers)}"
        )
    return numbers


WRITERS: dict[str, Callable[[Path, NDArray], None]] = {
    ".csv": lambda path, points: _frame(points).to_csv(path, index=False, lineterminator="\n"),
    ".tsv": lambda path, points: _frame(points).to_csv(
        path, index=False, sep="\t", lineterminator="\n"
    ),
    ".npy": lambda path, points: np.save(path, points),
    ".parquet": lambda path, points: _frame(points).to_parquet(path, index=False),
}


def _frame(points: NDArray) -> pd.DataFrame:
    return pd.DataFrame(points, columns=[f"x{index}" for index in range(points.shape[1])])
