"""Files of points: their formats, each one class told by the extension, and their settings."""

import csv
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator

from dualscale.data.sources import Known
from dualscale.data.table import (
    Columns,
    Format,
    Table,
    TableError,
    choose,
    frame,
    listed,
    require_usable_numbers,
)
from dualscale.data.text import Text
from dualscale.parts import Once, Part, Seed, kinds, matching, parts_of, suggestion


class NPY(Format):
    """Array of NumPy."""

    kind: Literal["npy"] = "npy"

    def read(self, path: Path, columns: Columns) -> Table:
        array = np.lib.format.open_memmap(path, mode="r")
        if array.ndim != 2 or array.shape[1] == 0:
            raise TableError(f"has shape {array.shape}: a table of points by columns is needed")
        if array.dtype.kind not in "iuf":
            raise TableError(f"holds {array.dtype}: integers or floating-point numbers can be used")
        names = [str(number) for number in range(array.shape[1])]
        chosen = choose(names, columns)
        values = np.asarray(array[:, chosen], dtype=np.float64)
        return Table([names[index] for index in chosen], [str(array.dtype)] * len(chosen), values)

    def write(self, path: Path, points: NDArray) -> None:
        np.save(path, points)


class Parquet(Format):
    """Table of Apache Parquet."""

    kind: Literal["parquet"] = "parquet"

    def read(self, path: Path, columns: Columns) -> Table:
        import pyarrow as pa
        import pyarrow.parquet

        with pa.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            stored = (schema.pandas_metadata or {}).get("index_columns", [])
            index = [part if isinstance(part, str) else part.get("name") for part in stored]
            if columns is None and any(index):
                raise TableError(
                    f"has the pandas index {', '.join(filter(None, index))} beside its columns "
                    f"{listed(name for name in schema.names if name not in index)}: "
                    "say with `columns` which are the points"
                )
            chosen = [schema.field(number) for number in choose(schema.names, columns)]
            usable = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
            for field in chosen:
                if not any(kind(field.type) for kind in usable):
                    raise TableError(
                        f"holds {field.type} in column {field.name}: "
                        "integers, floating-point or decimal numbers can be used"
                    )
            names = [field.name for field in chosen]
            table = file.read(columns=names)
        values = [table.column(name).cast(pa.float64(), safe=False).to_numpy() for name in names]
        return Table(names, [str(field.type) for field in chosen], np.column_stack(values))

    def write(self, path: Path, points: NDArray) -> None:
        frame(points).to_parquet(path, index=False)


def extensions(base: type[Format] = Format) -> list[str]:
    """Return the extensions of the formats below a base class."""
    return [f".{kind}" for kind in kinds(base)]


def format_of(path: Path) -> Format:
    """Return the format that a file's extension tells.

    Raises:
        ValueError: no format has this extension.
    """
    found = dict(zip(extensions(), parts_of(Format), strict=True))
    extension = path.suffix.lower()
    if extension not in found:
        hint = suggestion(extension, found)
        raise ValueError(
            f"{path} ends in {path.suffix!r}: one of {', '.join(found)} is allowed{hint}"
        )
    return found[extension].model_validate({})


def read_table(path: Path, columns: Columns = None, **options: Any) -> Table:
    """Read the chosen columns of a file, or all of them.

    Raises an error where the file is ambiguous instead of guessing.

    Args:
        columns: names, or numbers from 0.
        options: header, delimiter and decimal of a text file.

    Raises:
        ValueError: one line that names the file and, where it applies, the row (from 1, not
            counting the header) and the column.
    """
    import pyarrow as pa

    form = format_of(path)
    try:
        given = options if isinstance(form, Text) else {}
        table = form.read(path, columns, **given)
        require_usable_numbers(table)
    except TableError as error:
        raise ValueError(f"{path} {error}") from error
    except (EOFError, OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return table


_EXTENSIONS = " or ".join(", ".join(extensions()).rsplit(", ", 1))


class PointsFile(Part):
    """Points read from a file."""

    file: Annotated[
        str,
        matching(rf"(?i)\.({'|'.join(kinds(Format))})\Z", f"a name that ends in {_EXTENSIONS}"),
    ] = Field(
        description="Path, from the working directory or from the configuration file's folder.",
    )
    columns: (
        Annotated[list[Annotated[int, Field(ge=0)] | str], Field(min_length=1, max_length=64), Once]
        | None
    ) = Field(
        None,
        description="Columns to take, by name or by number from 0; null, all.",
    )
    header: bool | None = Field(
        None,
        description="Whether the first line of a .csv or .tsv names the columns; null: it must "
        "clearly do so.",
    )
    delimiter: (
        Annotated[str, matching(r"^[,;:| \t]\Z", "a comma, semicolon, colon, bar, space or tab")]
        | None
    ) = Field(
        None,
        description="Separator of the columns of a .csv or .tsv; null, a comma or a tab.",
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of a .csv or .tsv.")
    held_out: float = Field(
        0.1, ge=0.01, le=0.9, description="Share of the points held out for evaluation."
    )
    seed: Seed = Field(0, description="Seed of the split into training and held-out points.")

    @model_validator(mode="after")
    def _text_options(self) -> "PointsFile":
        form = format_of(Path(self.file))
        if not isinstance(form, Text):
            for key in ("header", "delimiter", "decimal"):
                if key in self.model_fields_set and getattr(self, key) is not None:
                    raise ValueError(
                        f"{key} is {getattr(self, key)!r}: it is for "
                        f"{' and '.join(extensions(Text))}, not .{form.kind}"
                    )
        elif self.decimal == (self.delimiter or form.usual):
            raise ValueError(
                "decimal is ',', which also stands between the columns: give another delimiter"
            )
        return self


def _source(value: object) -> str | None:
    """Return the tag of a dataset's only source; None if it has none or two."""
    if not isinstance(value, dict):
        return "a file" if isinstance(value, PointsFile) else "a distribution"
    sources = {"distribution": "a distribution", "file": "a file"}
    given = [tag for key, tag in sources.items() if key in value]
    return given[0] if len(given) == 1 else None


AnyDataset = Annotated[
    Annotated[Known, Tag("a distribution")] | Annotated[PointsFile, Tag("a file")],
    Discriminator(
        _source,
        custom_error_type="one_source",
        custom_error_message="one of distribution and file is needed",
    ),
]
