"""Formats of files that store the types of their columns: arrays of NumPy, and Parquet."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from dualscale.data.table import (
    Columns,
    Format,
    Table,
    TableError,
    are_verbatim,
    choose,
    frame,
    listed,
)


class NPY(Format):
    """Array of NumPy."""

    kind: Literal["npy"] = "npy"

    def read(self, path: Path, columns: Columns) -> Table:
        import pandas as pd

        array = np.lib.format.open_memmap(path, mode="r")
        if array.ndim != 2 or array.shape[1] == 0:
            raise TableError(f"has shape {array.shape}: a table of points by columns is needed")
        if array.dtype.kind not in "iuf":
            raise TableError(f"holds {array.dtype}: integers or floating-point numbers can be used")
        names = [str(number) for number in range(array.shape[1])]
        chosen = choose(names, columns)
        kinds = dict.fromkeys(are_verbatim(columns), array.dtype)
        cells = {
            names[number]: array[:, number].astype(kinds.get(names[number], np.float64))
            for number in chosen
        }
        return Table(pd.DataFrame(cells), [str(array.dtype)] * len(chosen))

    def write(self, path: Path, points: Any) -> None:
        array = np.ascontiguousarray(points)
        if array.dtype.kind not in "iuf":
            raise TableError("cannot hold words, dates and empty cells: write another format")
        np.save(path, array)


class Parquet(Format):
    """Table of Apache Parquet."""

    kind: Literal["parquet"] = "parquet"

    def read(self, path: Path, columns: Columns) -> Table:
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet

        with pa.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            stored = (schema.pandas_metadata or {}).get("index_columns", [])
            index = [part if isinstance(part, str) else part.get("name") for part in stored]
            unnamed = [name for name in index if name and name not in (columns or ())]
            if unnamed and not isinstance(columns, list):
                raise TableError(
                    f"has the pandas index {', '.join(filter(None, index))} beside its columns "
                    f"{listed(name for name in schema.names if name not in index)}: "
                    "say with `columns` which are the points"
                )
            chosen = [schema.field(number) for number in choose(schema.names, columns)]
            names = [field.name for field in chosen]
            table, verbatim = file.read(columns=names), are_verbatim(columns)
        cells = {name: _cells(name, table.column(name), name in verbatim) for name in names}
        return Table(pd.DataFrame(cells), [str(field.type) for field in chosen])

    def write(self, path: Path, points: Any) -> None:
        frame(points).to_parquet(path, index=False)


def _cells(name: str, column: Any, verbatim: bool) -> Any:
    """Return a pyarrow column as cells of a `Table`."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    words = (pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)
    if any(is_one(kind) for is_one in numbers):
        if verbatim:
            return column.to_pandas(integer_object_nulls=True)
        return column.cast(pa.float64(), safe=False).to_pandas()
    if any(is_one(kind) for is_one in words):
        return column.to_pandas()
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
        days = column.cast(pa.date32(), safe=False)
        if not days.cast(kind).equals(column):
            raise TableError(f"holds {kind} with a time of day in column {name}: days can be used")
        return days.cast(pa.string()).to_pandas()
    raise TableError(
        f"holds {kind} in column {name}: numbers, words, truth values and dates can be used"
    )
