"""Write what the classes of parts say: the JSON Schema, the page of all keys, the list of parts.

    python docs/reference.py

The schema is for editors, which complete `config.yaml` with it; a workflow checks its configuration
by the classes themselves.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from blocks import fill  # noqa: E402
from dualscale.config.check import PATCHED  # noqa: E402
from dualscale.config.tree import Configuration  # noqa: E402

SCHEMA = ROOT / "workflow/schemas/config.schema.json"
PAGE = ROOT / "docs/config.md"
GUIDE = ROOT / "docs/guides/variants.md"
OF_VARIANTS = ("weighting", "classical")
LIKE = {
    "type": "string",
    "description": "Variant that this one copies; the other keys change the copy.",
}
HEAD = """# Every key of the configuration

Generated from the classes in `scripts/dualscale` by `python docs/reference.py`.

A part that has a `kind` can be given by its kind alone, `prediction: edm`. Overrides are merge
patches: a mapping changes the keys that it names, at every depth, and null takes a key away; a part
that is given another `kind` starts from that kind's defaults. A variant can have the sections
`network`, `normalisation`, `schedule`, `prediction`, `precision`, `training` and `sampling` of its
own, with the keys that it changes, and `like`, the variant that it copies.
"""


def schema() -> dict[str, Any]:
    """Return the JSON Schema: like the configuration's, but every key may be absent or null."""
    whole = Configuration.model_json_schema(by_alias=True)
    found = _partial(whole, whole["$defs"])
    variant = found["properties"]["variants"]["anyOf"][0]["additionalProperties"]["anyOf"][0]
    variant["properties"] = {"like": LIKE, **variant["properties"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the workflow",
        **found,
    }


def _partial(rule: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Return a rule with references resolved and unions merged, that allows parts of mappings."""
    if "$ref" in rule:
        named = defs[rule["$ref"].rpartition("/")[2]]
        return _partial({**named, **{key: rule[key] for key in rule if key != "$ref"}}, defs)
    if "oneOf" in rule:
        return _merged([_partial(each, defs) for each in rule["oneOf"]], rule)
    kept = {key: value for key, value in rule.items() if key in KEPT}
    if "pattern" in kept:
        kept["pattern"] = kept["pattern"].replace("(?i)", "").replace(r"\Z", "$")
    if "anyOf" in rule:
        kept["anyOf"] = [_partial(each, defs) for each in rule["anyOf"]]
    if "items" in rule:
        kept["items"] = _partial(rule["items"], defs)
    if "properties" in rule:
        kept["properties"] = {
            key: _or_null(_partial(value, defs)) for key, value in rule["properties"].items()
        }
        kept["additionalProperties"] = False
    elif named := _values(rule):
        kept["additionalProperties"] = _or_null(_partial(named, defs))
    return kept


def _values(rule: dict[str, Any]) -> dict[str, Any] | None:
    """Return the rule for all values of a mapping, if it has one."""
    values = [rule.get("additionalProperties"), *rule.get("patternProperties", {}).values()]
    return next((value for value in values if isinstance(value, dict)), None)


KEPT = (
    "const",
    "default",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "type",
)


def _or_null(rule: dict[str, Any]) -> dict[str, Any]:
    about = {key: rule.pop(key) for key in ("default", "description") if key in rule}
    return {"anyOf": [rule, {"type": "null"}], **about}


def _merged(kinds: list[dict[str, Any]], rule: dict[str, Any]) -> dict[str, Any]:
    """Return one mapping for the kinds of a part, since a patch may not name the kind."""
    about = {key: rule[key] for key in ("default", "description") if key in rule}
    properties: dict[str, Any] = {}
    for kind in kinds:
        properties |= kind["properties"]
    merged = {"type": "object", "additionalProperties": False, "properties": properties}
    names = [
        option["const"]
        for kind in kinds
        for option in kind["properties"].get("kind", {}).get("anyOf", [])
        if "const" in option
    ]
    if not names:
        return {**merged, **about}
    properties["kind"] = {"enum": names}
    return {"anyOf": [{"enum": names}, merged], **about}


def page() -> str:
    """Return the page of all keys."""
    whole = Configuration.model_json_schema(by_alias=True)
    lines = [HEAD]
    lines += _tables("", whole, whole["$defs"], 2)
    return "\n".join(lines).rstrip() + "\n"


def choices() -> str:
    """Return a table of the parts that a variant chooses by `kind`."""
    whole = Configuration.model_json_schema(by_alias=True)
    defs = whole["$defs"]
    variant = _values(whole["properties"]["variants"]) or {}
    sections = {key: whole["properties"][key] for key in PATCHED if key in whole["properties"]}
    own = {key: rule for part in _parts(variant, defs) for key, rule in part["properties"].items()}
    found = _choices("", sections | {key: own[key] for key in OF_VARIANTS}, defs)
    rows = [f"| [`{path}`](../config.md#{anchor}) | {kinds} |" for path, anchor, kinds in found]
    return "\n".join(["| key | kinds |", "|---|---|", *rows])


def _choices(at: str, keys: dict[str, Any], defs: dict) -> Iterator[tuple[str, str, str]]:
    """Yield path, anchor in the page of keys, and kinds of every part with several."""
    for key, rule in keys.items():
        path = f"{at}.{key}" if at else key
        parts = _parts(rule, defs)
        kinds = [part["properties"].get("kind", {}).get("const") for part in parts]
        if len(parts) > 1:
            home = f"variants{path}" if path in OF_VARIANTS else path.replace(".", "")
            yield path, home, ", ".join(f"`{kind}`" for kind in kinds if kind)
        elif parts:
            yield from _choices(path, parts[0]["properties"], defs)


def _tables(at: str, rule: dict[str, Any], defs: dict[str, Any], depth: int) -> list[str]:
    """Return a table of a mapping's keys, then those of the mappings under them."""
    rows, inner = [], []
    for key, value in rule["properties"].items():
        if key == "kind" or (at == "variants" and key in PATCHED):
            continue
        path = f"{at}.{key}" if at else key
        parts = _parts(value, defs)
        if parts and not at:
            inner += [f"{'#' * depth} `{path}`", "", *_kinds(path, parts, defs, depth)]
        else:
            default = value.get("default", "")
            shown = f"`{json.dumps(default)}`" if "default" in value and not parts else ""
            rows.append(f"| `{key}` | {_words(value, defs)} | {shown} | {_line(value)} |")
            if parts:
                inner += [f"{'#' * depth} `{path}`", "", *_kinds(path, parts, defs, depth)]
    table = ["| key | allowed | default | meaning |", "|---|---|---|---|", *rows, ""]
    return [*(table if rows else []), *inner]


def _kinds(path: str, parts: list[dict[str, Any]], defs: dict, depth: int) -> list[str]:
    lines = []
    for part in parts:
        kind = part["properties"].get("kind", {}).get("const")
        about = " ".join(part.get("description", "").split())
        lines += [f"**`{kind}`**: {about}" if kind else about, ""] if kind or about else []
        lines += _tables(path, part, defs, depth + 1)
    return lines


def _parts(rule: dict[str, Any], defs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the mappings with known keys that a rule allows, directly or by name."""
    if "$ref" in rule:
        rule = defs[rule["$ref"].rpartition("/")[2]]
    if "properties" in rule:
        return [rule]
    options = rule.get("oneOf", rule.get("anyOf", []))
    if named := rule.get("items") or _values(rule):
        options = [named]
    return [part for option in options for part in _parts(option, defs)]


def _line(rule: dict[str, Any]) -> str:
    return rule.get("description", "").replace("|", "\\|")


def _words(rule: dict[str, Any], defs: dict[str, Any]) -> str:
    """Return what a rule allows, in a few words."""
    if "$ref" in rule:
        return _words(defs[rule["$ref"].rpartition("/")[2]], defs)
    if "oneOf" in rule or "properties" in rule:
        kinds = [part["properties"].get("kind", {}).get("const") for part in _parts(rule, defs)]
        return ", ".join(f"`{kind}`" for kind in kinds if kind) or "mapping"
    if "anyOf" in rule:
        return " or ".join(dict.fromkeys(_words(each, defs) for each in rule["anyOf"]))
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    words = str(rule.get("type", "anything")).replace("object", "mapping").replace("array", "list")
    bounds = [
        f"{sign} {rule[key]:,}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in rule
    ]
    if "items" in rule:
        words = f"list of {_words(rule['items'], defs)}"
    return " ".join([words, ", ".join(bounds)]).strip()


if __name__ == "__main__":
    SCHEMA.parent.mkdir(exist_ok=True)
    SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n")
    PAGE.write_text(page())
    GUIDE.write_text(fill(GUIDE.read_text(), "parts", choices()))
