"""Tables of points in CSV, TSV, NPY and Parquet files, distinguished by file extension."""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

MOST_COLUMNS = 64
LARGEST = 1e38  # float32 holds the difference of two such numbers
LONGEST_LINE = 2**24  # bytes
DELIMITERS = {".csv": ",", ".tsv": "\t"}
MISSING = {"inf", "infinity", "n/a", "na", "nan", "nil", "none", "null"}
CONVERSION = re.compile(r"In CSV column #(\d+): Row #(\d+): .*? invalid value '(.*)'\Z", re.DOTALL)


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


def read_table(
    path: Path,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: str = ".",
) -> Table:
    """Read the chosen columns of a file, or all of them.

    Raises an error where the file is ambiguous instead of guessing.

    Args:
        columns: names, or numbers from 0.
        header: whether the first line of a text file names the columns; None: it must clearly do
            so.
        delimiter: of a text file; None: a comma in CSV, a tab in TSV.
        decimal: decimal mark of a text file.

    Raises:
        ValueError: one line that names the file and, where it applies, the row (from 1, not
            counting the header) and the column.
    """
    ending = path.suffix.lower()
    try:
        if ending in DELIMITERS:
            table = _read_text(path, columns, header, delimiter or _plain_delimiter(path), decimal)
        elif ending == ".npy":
            table = _read_npy(path, columns)
        elif ending == ".parquet":
            table = _read_parquet(path, columns)
        else:
            raise TableError(f"ends in {path.suffix!r}: {', '.join(WRITERS)} are read")
        _require_usable_numbers(table)
    except TableError as error:
        raise ValueError(f"{path} {error}") from error
    except (EOFError, OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return table


class TableError(Exception):
    """Fault of a file, phrased to follow the file's name."""


def _read_text(
    path: Path,
    columns: Sequence[str | int] | None,
    header: bool | None,
    delimiter: str,
    decimal: str,
) -> Table:
    cells = _first_cells(path, delimiter)
    if header is None:
        _require_names(cells)
    named = header is not False
    names = cells if named else [str(number) for number in range(len(cells))]
    chosen = _choose(names, columns)
    keys = [str(number) for number in range(len(cells))]  # names may repeat
    ragged: list[pa.csv.InvalidRow] = []

    def note(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    try:
        table = pa.csv.read_csv(
            _without_blank_end(path, len(cells)),
            pa.csv.ReadOptions(
                use_threads=False,  # multithreaded reading reports no row in its errors
                block_size=LONGEST_LINE,
                column_names=keys,
                skip_rows=int(named),
            ),
            pa.csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            pa.csv.ConvertOptions(
                check_utf8=False,
                column_types={keys[index]: pa.float64() for index in chosen},
                include_columns=[keys[index] for index in chosen],
                null_values=[],
                decimal_point=decimal,
            ),
        )
    except pa.ArrowInvalid as error:
        if ragged:
            row, count = ragged[0].number - named, ragged[0].actual_columns
            raise TableError(
                f"has {count} cell{'s' * (count > 1)} in row {row} and {len(cells)} in its first "
                f"line: {_short(ragged[0].text)}"
            ) from error
        if found := CONVERSION.search(str(error)):
            column, row, value = found.groups()
            raise _unusable(int(row) - named, names[int(column)], value) from error
        raise
    values = np.column_stack([column.to_numpy() for column in table.columns])
    return Table([names[index] for index in chosen], ["number"] * len(chosen), values)


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise TableError(f"has a first line of more than {LONGEST_LINE:,} bytes")
    if not line:
        raise TableError("is empty")
    try:
        return line.splitlines()[0].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError("is not a text in UTF-8") from error


def _first_cells(path: Path, delimiter: str) -> list[str]:
    line = _first_line(path)
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True), [])
    if not cells:
        raise TableError("has an empty first line")
    return [cell.strip() for cell in cells]


def _plain_delimiter(path: Path) -> str:
    """Default delimiter of the file's extension, unless the first line suggests another."""
    usual = DELIMITERS[path.suffix.lower()]
    line = _first_line(path)
    for other in (";", "\t", "|"):
        if other != usual and other in line:
            raise TableError(
                f"has {other!r} in its first line: say with `delimiter` what separates its columns"
            )
    return usual


def _require_names(cells: list[str]) -> None:
    """Reject a first line that does not clearly name the columns."""
    for number, cell in enumerate(cells):
        if cell.lower() in MISSING or not re.match(r"[^\W\d]", cell):
            raise TableError(
                f"holds {_short(cell)} in column {number} of its first line: say with "
                "`header: true` that this line names the columns, or with `header: false` that it "
                "is the first row"
            )


def _without_blank_end(path: Path, columns: int) -> pa.BufferReader:
    """Content of the file without trailing blank lines, which in a single column are cells."""
    content = pa.memory_map(str(path)).read_buffer()
    size = content.size
    while columns > 1 and size and content[size - 1] in b"\r\n":
        size -= 1
    return pa.BufferReader(content.slice(0, size))


def _read_npy(path: Path, columns: Sequence[str | int] | None) -> Table:
    array = np.lib.format.open_memmap(path, mode="r")
    if array.ndim != 2 or array.shape[1] == 0:
        raise TableError(f"has shape {array.shape}: a table of points by columns is needed")
    if array.dtype.kind not in "iuf":
        raise TableError(f"holds {array.dtype}: integers or floating-point numbers can be used")
    names = [str(number) for number in range(array.shape[1])]
    chosen = _choose(names, columns)
    values = np.asarray(array[:, chosen], dtype=np.float64)
    return Table([names[index] for index in chosen], [str(array.dtype)] * len(chosen), values)


def _read_parquet(path: Path, columns: Sequence[str | int] | None) -> Table:
    with pa.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        stored = (schema.pandas_metadata or {}).get("index_columns", [])
        index = [part if isinstance(part, str) else part.get("name") for part in stored]
        if columns is None and any(index):
            raise TableError(
                f"has the pandas index {', '.join(filter(None, index))} beside its columns "
                f"{_listed(name for name in schema.names if name not in index)}: "
                "say with `columns` which are the points"
            )
        chosen = [schema.field(number) for number in _choose(schema.names, columns)]
        for field in chosen:
            if not (
                pa.types.is_integer(field.type)
                or pa.types.is_floating(field.type)
                or pa.types.is_decimal(field.type)
            ):
                raise TableError(
                    f"holds {field.type} in column {field.name}: "
                    "integers, floating-point or decimal numbers can be used"
                )
        names = [field.name for field in chosen]
        table = file.read(columns=names)
    values = [table.column(name).cast(pa.float64(), safe=False).to_numpy() for name in names]
    return Table(names, [str(field.type) for field in chosen], np.column_stack(values))


def _choose(names: Sequence[str], columns: Sequence[str | int] | None) -> list[int]:
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
        raise TableError(f"has {some} {column!r}: its columns are {_listed(names)}")
    return places[0]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:MOST_COLUMNS])


def _require_usable_numbers(table: Table) -> None:
    """Reject values outside the range of float32."""
    for name, column in zip(table.names, table.values.T, strict=True):
        broken = np.flatnonzero(~(np.abs(column) <= LARGEST))
        if len(broken):
            raise _unusable(broken[0] + 1, name, f"{column[broken[0]]:g}")


def _unusable(row: int, column: str, value: str) -> TableError:
    if value in ("", "nan"):
        return TableError(f"is empty in row {row} of column {column}: a number is needed")
    hint = ", with `decimal` for decimal commas" if re.fullmatch(r"\s*-?\d*,\d+", value) else ""
    return TableError(
        f"holds {_short(value)} in row {row} of column {column}: "
        f"numbers up to {LARGEST:g} in size can be used{hint}"
    )


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:39]}…")


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
