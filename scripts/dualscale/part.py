"""Base of every configurable part: a class that holds its settings and its formula.

A part is one class in one file: its settings with types, bounds, defaults and a line of help, and
the method that computes with them. Classes of one base that differ in `kind` form a union.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Union, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAMES = "a name of letters, digits, _ and -, 64 at most"
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\z", title=NAMES),
]
"""Name that becomes a file's name."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Part(BaseModel):
    """Settings that are checked when made, and do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def one_of(base: type[Part]) -> Any:
    """Return the type of all parts below a base class, told apart by `kind`.

    A part can be given by its kind alone, with the defaults of its settings.
    """
    kinds = Union[tuple(parts_of(base))]  # noqa: UP007
    return Annotated[cast(Any, kinds), Field(discriminator="kind"), BeforeValidator(by_name)]


def parts_of(base: type[Part]) -> Iterator[type[Part]]:
    """Iterate over the classes below a base that have a kind, in the order of their definition."""
    for found in base.__subclasses__():
        if "kind" in found.model_fields:
            yield found
        yield from parts_of(found)


def by_name(value: Any) -> Any:
    """Return the settings of a part that is given by its kind alone."""
    return {"kind": value} if isinstance(value, str) else value
