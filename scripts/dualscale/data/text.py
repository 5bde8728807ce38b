"""Delimited text files of numbers, read strictly: what is ambiguous is an error."""

import csv
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dualscale.data.table import Columns, Format, Table, TableError, choose, frame, unusable
from dualscale.parts import short

LONGEST_LINE = 2**24  # bytes
MISSING = {"inf", "infinity", "n/a", "na", "nan", "nil", "none", "null"}
CONVERSION = re.compile(r"In CSV column #(\d+): Row #(\d+): .*? invalid value '(.*)'\Z", re.DOTALL)


class Text(Format):
    """Lines of numbers with a delimiter between them."""

    usual: ClassVar[str]

    def read(
        self,
        path: Path,
        columns: Columns,
        header: bool | None = None,
        delimiter: str | None = None,
        decimal: str = ".",
    ) -> Table:
        import pyarrow as pa
        import pyarrow.csv

        line = _first_line(path)
        if delimiter is None:
            delimiter = self.usual
            _require_usual(delimiter, line)
        row = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
        cells = [cell.strip() for cell in next(row, [])]
        if not cells:
            raise TableError("has an empty first line")
        if header is None:
            _require_names(cells)
        named = header is not False
        names = cells if named else [str(number) for number in range(len(cells))]
        chosen = choose(names, columns)
        keys = [str(number) for number in range(len(cells))]  # names may repeat
        ragged: list[Any] = []

        def note(row: Any) -> str:
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
                number, count = ragged[0].number - named, ragged[0].actual_columns
                raise TableError(
                    f"has {count} cell{'s' * (count > 1)} in row {number} and {len(cells)} in its "
                    f"first line: {short(ragged[0].text)}"
                ) from error
            if found := CONVERSION.search(str(error)):
                place, at, value = found.groups()
                raise unusable(int(at) - named, names[int(place)], value) from error
            raise
        values = np.column_stack([column.to_numpy() for column in table.columns])
        return Table([names[index] for index in chosen], ["number"] * len(chosen), values)

    def write(self, path: Path, points: NDArray) -> None:
        frame(points).to_csv(path, index=False, sep=self.usual, lineterminator="\n")


class CSV(Text):
    """Values separated by commas."""

    kind: Literal["csv"] = "csv"
    usual: ClassVar[str] = ","


class TSV(Text):
    """Values separated by tabs."""

    kind: Literal["tsv"] = "tsv"
    usual: ClassVar[str] = "\t"


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


def _require_usual(delimiter: str, line: str) -> None:
    """Reject a first line that suggests another delimiter."""
    for other in (";", "\t", "|"):
        if other != delimiter and other in line:
            raise TableError(
                f"has {other!r} in its first line: say with `delimiter` what separates its columns"
            )


def _require_names(cells: list[str]) -> None:
    """Reject a first line that does not clearly name the columns."""
    for number, cell in enumerate(cells):
        if cell.lower() in MISSING or not re.match(r"[^\W\d]", cell):
            raise TableError(
                f"holds {short(cell)} in column {number} of its first line: say with "
                "`header: true` that this line names the columns, or with `header: false` that it "
                "is the first row"
            )


def _without_blank_end(path: Path, columns: int) -> Any:
    """Content of the file without trailing blank lines, which in a single column are cells."""
    import pyarrow as pa

    content = pa.memory_map(str(path)).read_buffer()
    size = content.size
    while columns > 1 and size and content[size - 1] in b"\r\n":
        size -= 1
    return pa.BufferReader(content.slice(0, size))
