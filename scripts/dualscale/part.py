"""Base of every configurable part: a class that holds its settings and its formula.

A part is one class in one file: its settings with types, bounds, defaults and a line of help, and
the method that computes with them. Classes of one base that differ in `kind` form a union.
"""

from typing import Annotated, Any, Union, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Part(BaseModel):
    """Settings that are checked when made, and do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def one_of(base: type[Part]) -> Any:
    """Return the type of all subclasses of a base, told apart by `kind`.

    A part can be given by its kind alone, with the defaults of its settings.
    """
    kinds = Union[tuple(base.__subclasses__())]  # noqa: UP007
    return Annotated[cast(Any, kinds), Field(discriminator="kind"), BeforeValidator(by_name)]


def by_name(value: Any) -> Any:
    """Return the settings of a part that is given by its kind alone."""
    return {"kind": value} if isinstance(value, str) else value
