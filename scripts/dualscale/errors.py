"""Errors of the configuration as one line: the key, its value and what is allowed."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from dualscale.parts import PATTERNS, short, suggestion

TYPES = {
    "int": "integer",
    "float": "finite number",
    "finite_number": "finite number",
    "bool": "boolean",
    "string": "string",
    "list": "list",
    "dict": "mapping",
    "model": "mapping",
    "model_attributes": "mapping",
}
KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}
BOUNDS = {
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "{min_length} or more items",
    "too_long": "{max_length} items or fewer",
}
ARGUMENTS = {
    "missing_argument": "missing: it is required",
    "unexpected_keyword_argument": "an unknown setting",
}


class ConfigurationError(ValueError):
    """A key of the configuration cannot be used; the message is one line."""


def explain(error: ValidationError, given: Any) -> str:
    """Return the first fault of an invalid configuration as one line.

    Args:
        given: what was validated.
    """
    fault = error.errors(include_url=False)[0]
    kind, found, context = fault["type"], fault["input"], fault.get("ctx", {})
    path = [str(part) for part in _path(fault["loc"], given)]
    if kind == "missing":
        return f"{_key(path)} has no {fault['loc'][-1]}: it is required"
    if kind in ARGUMENTS:
        return f"{fault['loc'][-1]} is {ARGUMENTS[kind]}"
    if fault["loc"][-1:] == ("[key]",):
        return f"{_key(path[:-1])} has the name {short(found)}: {_allowed(kind, context)}"
    if kind == "value_error":
        message = str(context["error"])
        if message.split()[0] in ("has", "holds", "is"):
            return f"{_key(path)} {message}"
        return ".".join([*path, message])
    key = _key(path)
    if kind in ("union_tag_invalid", "literal_error"):
        expected = context.get("expected_tags") or context["expected"]
        names = re.findall(r"'([^']*)'", expected) or [expected]
        value = context.get("tag", found)
        at = f"{key}.kind" if kind == "union_tag_invalid" and len(found) > 1 else key
        hint = suggestion(value, names)
        return f"{at} is {short(value)}: one of {', '.join(names)} is allowed{hint}"
    if kind == "union_tag_not_found" and isinstance(found, Mapping):
        return f"{key} has no kind: it is required"
    if kind == "string_pattern_mismatch" or kind in BOUNDS:
        return f"{key} is {short(found)}: {_allowed(kind, context)}"
    if kind == "one_source":
        return f"{key} has {_given(found)}: {fault['msg']}"
    allowed = TYPES.get(kind.removesuffix("_type"), fault["msg"])
    hint = ""
    if isinstance(found, str) and re.fullmatch(r"[-+.\deE]*\d[-+.\deE]*", found):
        hint = "; write numbers without quotes, 1e-3 as 1.0e-3, and in a file: --config quotes"
    return f"{key} is {short(found)}, {kind_of(found)}: {allowed} is allowed{hint}"


def _allowed(kind: str, context: Mapping[str, Any]) -> str:
    """Return what the pattern or the bound of a fault allows."""
    if kind == "string_pattern_mismatch":
        return f"{PATTERNS[context['pattern']]} is allowed"
    bound = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in context.items()
    }
    return f"{BOUNDS[kind].format(**bound)} is allowed"


def _given(found: object) -> str:
    """Return the sources of a dataset that has none or two."""
    sources = [
        key
        for key in ("distribution", "file", "images")
        if isinstance(found, Mapping) and key in found
    ]
    return " and ".join(sources) or "no source"


def _path(location: tuple[int | str, ...], given: Any) -> list[int | str]:
    """Keys of a location that lead through what was given; tags of unions do not."""
    path: list[int | str] = []
    for part in location:
        with suppress(IndexError, KeyError, TypeError):
            given = given[part]
            path.append(part)
    return path


def _key(path: list[str]) -> str:
    return ".".join(path) or "the configuration"


def unknown(key: str, value: object, known: Mapping[str, Any]) -> str:
    """Return the error line for a name that is not defined."""
    hint = suggestion(value, known)
    return f"{key} names {value!r}, which is not defined: {', '.join(known)}{hint}"


def kind_of(value: object) -> str:
    """Return the name of a value's type in YAML, with its article."""
    return KINDS.get(type(value), type(value).__name__)
