"""Delimited text files, read strictly: what is ambiguous is an error."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from dualscale.data.table import (
    MISSING,
    Columns,
    Format,
    Table,
    TableError,
    are_verbatim,
    choose,
    frame,
)
from dualscale.parts import short

LONGEST_LINE = 2**24  # bytes
NOT_NAMES = MISSING | {"inf", "infinity"}
CONVERSION = re.compile(r"In CSV column #\d+: Row #\d+: .*? invalid value", re.DOTALL)
DECIMAL_COMMA = r"^([-+]?\d*),(\d+([eE][-+]?\d+)?)$"


class Text(Format):
    """Lines of cells with a delimiter between them."""

    usual: ClassVar[str]

    def read(
        self,
        path: Path,
        columns: Columns,
        header: bool | None = None,
        delimiter: str | None = None,
        decimal: str = ".",
    ) -> Table:
        import pandas as pd
        import pyarrow as pa

        line = _first_line(path)
        if delimiter is None:
            delimiter = self.usual
            _require_usual(delimiter, line)
        row = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
        first = [cell.strip() for cell in next(row, [])]
        if not first:
            raise TableError("has an empty first line")
        if header is None:
            _require_names(first)
        named = header is not False
        names = first if named else [str(number) for number in range(len(first))]
        chosen = choose(names, columns)
        layout = len(first), named, delimiter, decimal
        verbatim = are_verbatim(columns)
        cells = None if verbatim else _numbers(path, chosen, *layout)
        if cells is None:
            texts = _parsed(path, chosen, pa.string(), *layout)
            mark = {number: None if names[number] in verbatim else decimal for number in chosen}
            parts = zip(chosen, texts.columns, strict=True)
            cells = pd.DataFrame({number: _cells(texts, mark[number]) for number, texts in parts})
        cells.columns = [names[number] for number in chosen]
        return Table(cells, ["text"] * len(chosen))

    def write(self, path: Path, points: Any) -> None:
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
        if cell.lower() in NOT_NAMES or not re.match(r"[^\W\d]", cell):
            raise TableError(
                f"holds {short(cell)} in column {number} of its first line: say with "
                "`header: true` that this line names the columns, or with `header: false` that it "
                "is the first row"
            )


def _numbers(path: Path, chosen: Sequence[int], *layout: Any) -> Any:
    """Return the chosen columns as a DataFrame of float64; None if a cell is not a number."""
    import pyarrow as pa

    try:
        return _parsed(path, chosen, pa.float64(), *layout).to_pandas()
    except pa.ArrowInvalid as error:
        if CONVERSION.search(str(error)):
            return None
        raise


def _cells(texts: Any, decimal: str | None) -> Any:
    """Return texts as numbers, if all are, or else without blanks around them; None where empty.

    Args:
        texts: of a column, from pyarrow.
        decimal: mark of the numbers; None: numbers are texts, too.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(texts)
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    if decimal is None:
        return texts.to_pandas()
    if decimal == ",":
        texts = pc.replace_substring_regex(texts, DECIMAL_COMMA, r"\1.\2")
    missing = pc.is_in(pc.utf8_lower(texts), pa.array(MISSING, pa.string()))
    numbers = pc.utf8_ltrim(pc.if_else(missing, None, texts), "+")
    try:
        return numbers.cast(pa.float64()).to_pandas()
    except pa.ArrowInvalid:
        return texts.to_pandas()


def _parsed(
    path: Path,
    chosen: Sequence[int],
    kind: Any,
    count: int,
    named: bool,
    delimiter: str,
    decimal: str,
) -> Any:
    """Return the chosen of `count` columns as a pyarrow table, named by their numbers."""
    import pyarrow as pa
    import pyarrow.csv

    keys = [str(number) for number in range(count)]  # names may repeat
    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        return pa.csv.read_csv(
            _without_blank_end(path),
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
                check_utf8=kind == pa.string(),
                column_types={keys[number]: kind for number in chosen},
                include_columns=[keys[number] for number in chosen],
                null_values=[],
                decimal_point=decimal,
            ),
        )
    except pa.ArrowInvalid as error:
        if ragged:
            number, found = ragged[0].number - named, ragged[0].actual_columns
            raise TableError(
                f"has {found} cell{'s' * (found > 1)} in row {number} and {count} in its "
                f"first line: {short(ragged[0].text)}"
            ) from error
        raise


def _without_blank_end(path: Path) -> Any:
    """Content of the file without trailing blank lines."""
    import pyarrow as pa

    content = pa.memory_map(str(path)).read_buffer()
    size = content.size
    while size and content[size - 1] in b"\r\n":
        size -= 1
    return pa.BufferReader(content.slice(0, size))
