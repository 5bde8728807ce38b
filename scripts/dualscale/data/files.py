"""Files of points and tables: how they are read, and their settings."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dualscale.data.columns import COLUMN_TYPES
from dualscale.data.encoding import Encoding
from dualscale.data.images import Images
from dualscale.data.sources import Known
from dualscale.data.table import LEFT_OUT, VERBATIM, Columns, Format, Table, TableError
from dualscale.data.text import Text
from dualscale.data.typed import NPY, Parquet  # noqa: F401  # parts are found by their base
from dualscale.parts import Once, Part, Seed, kinds, matching, parts_of, suggestion


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


def read_table(path: Path, columns: Columns = None, **options: Any) -> tuple[Table, Encoding]:
    """Read the chosen columns of a file, or all of them, and find their types.

    Raises an error where the file is ambiguous instead of guessing.

    Args:
        columns: names, or numbers from 0; or types by name.
        options: header, delimiter and decimal of a text file.

    Raises:
        ValueError: one line that names the file and, where it applies, the row (from 1, not
            counting the header) and the column.
    """
    form = format_of(path)
    with _faults_of(path):
        given = options if isinstance(form, Text) else {}
        table = form.read(path, columns, **given)
        return table, Encoding.fit(table, columns)


def read_cells(path: Path) -> Any:
    """Read all columns of a file as they are: the texts of a text file, or what a file stores.

    Raises:
        ValueError: one line that names the file.
    """
    form = format_of(path)
    with _faults_of(path):
        names = form.read(path, None).cells.columns
        return form.read(path, dict.fromkeys(names, VERBATIM)).cells


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    """Raise faults of a file as ValueErrors that name it."""
    import pyarrow as pa

    try:
        yield
    except TableError as error:
        raise ValueError(f"{path} {error}") from error
    except (EOFError, OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


_EXTENSIONS = " or ".join(", ".join(extensions()).rsplit(", ", 1))


KINDS = (*COLUMN_TYPES, LEFT_OUT)
ColumnKind = Annotated[str, matching(rf"^({'|'.join(KINDS)})\Z", f"one of {', '.join(KINDS)}")]


class PointsFile(Part):
    """Points, or a table, read from a file."""

    file: Annotated[
        str,
        matching(rf"(?i)\.({'|'.join(kinds(Format))})\Z", f"a name that ends in {_EXTENSIONS}"),
    ] = Field(
        description="Path, from the working directory or from the configuration file's folder.",
    )
    columns: (
        Annotated[list[Annotated[int, Field(ge=0)] | str], Field(min_length=1, max_length=64), Once]
        | dict[str, ColumnKind]
        | None
    ) = Field(
        None,
        description="Columns to take, by name or by number from 0, or types of columns by name; "
        "null, all, with the types that their cells suggest.",
    )
    target: str | None = Field(
        None,
        description="Column of a table that its quality page lets models predict, and whose "
        "categories `smote` keeps apart; null: none.",
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
        tags: dict[type, str] = {PointsFile: "a file", Images: "images"}
        return tags.get(type(value), "a distribution")
    sources = {"distribution": "a distribution", "file": "a file", "images": "images"}
    given = [tag for key, tag in sources.items() if key in value]
    return given[0] if len(given) == 1 else None


AnyDataset = Annotated[
    Annotated[Known, Tag("a distribution")]
    | Annotated[PointsFile, Tag("a file")]
    | Annotated[Images, Tag("images")],
    Discriminator(
        _source,
        custom_error_type="one_source",
        custom_error_message="one of distribution, file and images is needed",
    ),
]
