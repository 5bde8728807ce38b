"""Sources of a dataset's points: a known distribution, or a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from dualscale.data.datasets import DISTRIBUTION, AnyDistribution, KnownDistribution
from dualscale.data.distributions import Array
from dualscale.data.files import extensions, format_of
from dualscale.data.table import Format
from dualscale.data.text import Text
from dualscale.parts import Once, Part, Seed, kinds, matching


class Known(Part):
    """Points drawn from a known distribution."""

    distribution: AnyDistribution = Field(description="The distribution.")
    points: int = Field(
        100_000, ge=2, le=100_000_000, description="Number of points to draw for training."
    )
    seed: Seed = Field(0, description="Seed of the points.")


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


def distribution_of(settings: Mapping[str, Any]) -> KnownDistribution | None:
    """Return the distribution of a dataset's settings, or None for points of a file."""
    given = settings.get("distribution")
    return None if given is None else DISTRIBUTION.validate_python(given)


def fresh_points(
    distribution: KnownDistribution | None, training: Path | None
) -> Callable[[int, np.random.Generator], Array]:
    """Return a function that draws n real points, (n, d) in float32, in place of generated ones.

    Args:
        distribution: the distribution to sample, if it is known.
        training: otherwise, the training points of a file, drawn without replacement; where there
            are fewer than n, all of them.
    """
    if distribution is not None:
        known = distribution.build()
        return lambda n, rng: known.sample(n, rng).astype(np.float32)
    assert training is not None
    points = np.load(training, mmap_mode="r", allow_pickle=False)
    return lambda n, rng: points[
        np.sort(rng.choice(len(points), min(n, len(points)), replace=False))
    ]
