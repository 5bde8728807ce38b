"""Overrides: merge patches (RFC 7396), for files, protocols and variants alike."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

SHARED_BY_KINDS = frozenset({"timesteps"})
"""Settings that a part keeps when an override changes its kind."""


def patch(base: Any, change: Any, keep_nulls: bool = False) -> Any:
    """Apply a merge patch (RFC 7396) and return the result; neither argument is changed.

    A mapping changes the keys that it names, at every depth; null takes a key away; any other
    value replaces what was there. A part that is given another `kind` starts from that kind's
    defaults.

    Args:
        keep_nulls: leave nulls in the result, where it is itself a patch of something else.
    """
    if isinstance(change, str) and isinstance(base, Mapping) and "kind" in base:
        change = {"kind": change}
    if not isinstance(change, Mapping):
        return change
    merged = {"kind": base} if isinstance(base, str) else {}  # a part, given by its kind alone
    if isinstance(base, Mapping):
        merged = dict(base)
    kinds = merged.get("kind"), change.get("kind")
    if None not in kinds and kinds[0] != kinds[1]:
        merged = {key: value for key, value in merged.items() if key in SHARED_BY_KINDS}
    for key, value in change.items():
        if value is not None or keep_nulls:
            merged[key] = patch(merged.get(key), value, keep_nulls)
        else:
            merged.pop(key, None)
    return merged


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by keys joined by dots as a merge patch."""
    found: dict[str, Any] = {}
    for key, value in changes.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        found = patch(found, value, keep_nulls=True)
    return found


def merge(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the configuration's files in order, each a merge patch of those before.

    Nulls are kept, since a variant is itself a patch of another one or of the common sections.
    """
    return reduce(lambda base, change: patch(base, change, keep_nulls=True), layers, {})
