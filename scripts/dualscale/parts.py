"""Base of every configurable part: a class that holds its settings and its formula.

A part is one class in one file: its settings with types, bounds, defaults and a line of help, and
the method that computes with them. Classes of one base that differ in `kind` form a union.
"""

import difflib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, TypeVar, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema

C = TypeVar("C", bound="Choice")

RENAMED = {
    "beta_first": "beta_start",
    "beta_last": "beta_end",
    "clean": "sample",
    "deviation": "std",
    "forward": "fixed_large",
    "interpolation": "linear_path",
    "limit": "gamma",
    "log_linear": "geometric",
    "matched": "moment_matched",
    "mirrored": "antithetic_fraction",
    "noise": "epsilon",
    "posterior": "fixed_small",
    "quadratic": "scaled_linear",
    "sees": "inputs",
    "sigma_first": "sigma_min",
    "sigma_last": "sigma_max",
    "start": "prior",
}
"""Keys and kinds that had another name before the first release."""
PATTERNS: dict[str, str] = {}
"""Descriptions of patterns of texts, for error messages."""
SMALLEST = 2.0**-149
"""Smallest positive float32: a lesser weight rounds to 0."""
REAL = "real"
"""Name of fresh real points in the study's tables, in the column of variants."""


def matching(pattern: str, words: str) -> Any:
    """Return the constraint that a text matches a pattern, which error messages put in words."""
    PATTERNS[pattern] = words
    return Field(pattern=pattern)


def suggestion(value: object, known: Iterable[str]) -> str:
    """Return a hint at the known name that was probably meant, as " (…)"; empty without one."""
    names = list(known)
    if RENAMED.get(str(value)) in names:
        return f" (it is called {RENAMED[str(value)]} now)"
    close = difflib.get_close_matches(str(value), names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def short(value: object, most: int = 60) -> str:
    """Return the representation of a value, cut to a length."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _each_once(values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"holds {value!r} twice: each is allowed once")
    return values


Once = AfterValidator(_each_once)
"""Constraint of a list: no value twice."""
NAME_IN_WORDS = "a name of letters, digits, _ and -, 64 at most"
Name = Annotated[str, matching(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", NAME_IN_WORDS)]
"""Name that becomes a file's name."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Part(BaseModel):
    """Settings that are checked when made, and do not change."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, regex_engine="python-re"
    )

    @model_validator(mode="before")
    @classmethod
    def _know_all_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in value:
                if key not in known:
                    kind = cls.model_fields.get("kind")
                    of_kind = f" with kind {kind.default}" if kind else ""
                    raise ValueError(
                        f"has the unknown key {short(key)}{suggestion(key, known)}: "
                        f"{', '.join(known)} are allowed{of_kind}"
                    )
        return value


class Choice(Part):
    """Part of which there are several kinds."""

    kind: str


class OneOf:
    """Annotation of a base class: any of the parts below it, told apart by `kind`.

    A part can be given by its kind alone, with the defaults of its settings.
    """

    def __get_pydantic_core_schema__(
        self, base: type[Choice], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        union: Any = Union[tuple(parts_of(base))]  # noqa: UP007
        marked: Any = Annotated[union, Field(discriminator="kind"), BeforeValidator(by_name)]
        return handler.generate_schema(marked)


def parts_of(base: type[C]) -> Iterator[type[C]]:
    """Iterate over the kinds of parts below a base class, in the order of their definition."""
    for found in base.__subclasses__():
        if not found.model_fields["kind"].is_required():
            yield found
        yield from parts_of(found)


def kinds(base: type[Choice]) -> list[str]:
    """Return the kinds of the parts below a base class."""
    return [found.model_fields["kind"].default for found in parts_of(base)]


def by_name(value: Any) -> Any:
    """Return the settings of a part that is given by its kind alone."""
    return {"kind": value} if isinstance(value, str) else value
