"""The configuration: checked once, then cut into the settings that each job depends on."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema

LEARNED_DEFAULTS = {"gate": "softmax", "negative_slope": 0.2}
TYPE_NAMES = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
}


class ConfigurationError(ValueError):
    """A key of the configuration that cannot be used; the message is one line."""


def check(config: Mapping, schema: Mapping) -> dict[str, Any]:
    """The configuration with the schema's defaults filled in.

    Raises:
        ConfigurationError: names the key, its value and what is allowed.
    """
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(config)
    )
    if error is not None:
        raise ConfigurationError(_explain(error))
    filled = _with_defaults(config, schema, schema)
    _check_names(filled)
    _check_sizes(filled)
    for name in filled["run"]["variants"]:
        _check_variant(name, variant(filled, name))
    return filled


def variant(config: Mapping, name: str) -> dict[str, Any]:
    """A variant's own keys on top of those it copies through `like`."""
    seen: list[str] = []
    chain: str | None = name
    while chain is not None:
        if chain in seen:
            raise ConfigurationError(
                f"variants.{name}.like leads back to itself: {' -> '.join([*seen, chain])}"
            )
        if chain not in config["variants"]:
            raise ConfigurationError(
                _unknown(f"variants.{seen[-1]}.like", chain, config["variants"])
            )
        seen.append(chain)
        chain = config["variants"][chain].get("like")
    merged: dict[str, Any] = {}
    for link in reversed(seen):
        merged |= config["variants"][link]
    own = config["variants"][name]
    # What a variant is called and where its random numbers come from are not inherited.
    for key, default in (("label", name), ("note", None), ("stream", None)):
        merged[key] = own.get(key, default)
    return merged


def model_settings(config: Mapping, name: str) -> dict[str, Any]:
    """All that the training of a variant depends on, but for data and seed; keys sorted."""
    chosen = variant(config, name)
    weighting = {key: value for key, value in chosen["weighting"].items() if value is not None}
    if weighting["kind"] == "learned":
        weighting = LEARNED_DEFAULTS | weighting
    sections = {
        section: _merge(config[section], chosen.get(section, {}))
        for section in ("network", "schedule", "training")
    }
    branches = {
        branch: {"upscaled_dimensions": None, "embedded_dimensions": None} | settings
        for branch, settings in chosen["branches"].items()
    }
    return in_order({"branches": branches, "weighting": weighting, **sections})


def stream(config: Mapping, name: str, dataset: str, seed: int | str) -> str:
    """The name of a run's random numbers: variants share them unless they name their own."""
    own = variant(config, name)["stream"]
    return "/".join(str(part) for part in (seed, dataset, own) if part is not None)


def in_order(value: Any) -> Any:
    """The same settings with the keys of every mapping sorted, as plain dicts."""
    if isinstance(value, Mapping):
        return {key: in_order(value[key]) for key in sorted(value)}
    return value


def _merge(base: Mapping, change: Mapping) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def _with_defaults(value: Any, schema: Mapping, root: Mapping) -> Any:
    """Fill defaults in, except below `variants`, where an absent key means the common one."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if not isinstance(value, Mapping):
        return value
    properties = schema.get("properties", {})
    filled = {
        key: rule["default"]
        for key, rule in properties.items()
        if "default" in rule and key not in value
    } | dict(value)
    others = schema.get("additionalProperties", {}) or {}
    return {
        key: item
        if schema is root and key == "variants"
        else _with_defaults(item, properties.get(key, others), root)
        for key, item in filled.items()
    }


def _check_names(config: Mapping) -> None:
    for kind in ("variants", "datasets"):
        for name in config["run"][kind]:
            if name not in config[kind]:
                raise ConfigurationError(_unknown(f"run.{kind}", name, config[kind]))


def _check_sizes(config: Mapping) -> None:
    k = config["kl"]["k"]
    if k > config["sampling"]["points"]:
        raise ConfigurationError(
            f"kl.k is {k}: at most sampling.points, {config['sampling']['points']}, is allowed"
        )
    for name in config["run"]["datasets"]:
        points = config["datasets"][name]["points"]
        if k >= points:
            raise ConfigurationError(
                f"kl.k is {k}: less than datasets.{name}.points, {points}, is allowed"
            )


def _check_variant(name: str, chosen: Mapping) -> None:
    at = f"variants.{name}"
    for key in ("branches", "weighting"):
        if key not in chosen:
            raise ConfigurationError(f"{at} has no {key}: give it, or copy a variant with like")
    branches, weighting = chosen["branches"], chosen["weighting"]
    for branch, settings in branches.items():
        up, seen = settings.get("upscaled_dimensions"), settings.get("embedded_dimensions")
        if seen is not None and (up is None or seen > up):
            raise ConfigurationError(
                f"{at}.branches.{branch}.embedded_dimensions is {seen}: "
                f"at most upscaled_dimensions, {up}, is allowed"
            )
    kind = weighting["kind"]
    needs = {"none": set(), "fixed": {"weights"}, "learned": {"hidden"}}[kind]
    allowed = needs | ({"gate", "negative_slope"} if kind == "learned" else set())
    given = {key for key, value in weighting.items() if value is not None} - {"kind"}
    for key in sorted(needs - given):
        raise ConfigurationError(f"{at}.weighting has no {key}: kind {kind} needs it")
    for key in sorted(given - allowed):
        raise ConfigurationError(
            f"{at}.weighting.{key} is {weighting[key]!r}: kind {kind} takes "
            + (" and ".join(sorted(allowed)) or "no other key")
        )
    if kind == "none" and len(branches) > 1:
        raise ConfigurationError(
            f"{at}.weighting.kind is 'none': {len(branches)} branches need fixed or learned"
        )
    if kind == "fixed" and set(weighting["weights"]) != set(branches):
        raise ConfigurationError(
            f"{at}.weighting.weights names {sorted(weighting['weights'])}: "
            f"one weight for each branch is needed, {sorted(branches)}"
        )
    if weighting.get("gate") == "sigmoid" and len(branches) != 2:
        raise ConfigurationError(
            f"{at}.weighting.gate is 'sigmoid': {len(branches)} branches; it weighs two"
        )


def _unknown(key: str, value: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(value), list(known), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{key} names {value!r}, which is not defined: {', '.join(known)}{hint}"


def _short(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _explain(error: jsonschema.ValidationError) -> str:
    """One line of the form: key is value: what is allowed."""
    key = ".".join(str(part) for part in error.absolute_path) or "the configuration"
    value, rule, limit = error.instance, error.validator, error.validator_value
    if rule == "additionalProperties" and isinstance(value, Mapping):
        known = list(error.schema.get("properties", {}))
        extra = next(str(name) for name in value if name not in known)
        close = difflib.get_close_matches(extra, known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"{key} has the unknown key {extra!r}{hint}: {', '.join(known)} are allowed"
    if rule == "required":
        missing = next(name for name in limit if name not in value)
        return f"{key} has no {missing}: it is required"
    if rule == "type":
        allowed = " or ".join([limit] if isinstance(limit, str) else limit)
        kind = TYPE_NAMES.get(type(value), "a number")
        hint = ""
        if isinstance(value, str) and {"number", "integer"} & set(allowed.split()):
            hint = "; YAML reads 1e-3 as a string: write 1.0e-3, without quotes"
        return f"{key} is {_short(value)}, {kind}: {allowed} is allowed{hint}"
    if rule == "uniqueItems":
        twice = next(item for index, item in enumerate(value) if item in value[:index])
        return f"{key} holds {twice!r} twice: each is allowed once"
    allowed = {
        "enum": lambda: "one of " + ", ".join(str(item) for item in limit),
        "minimum": lambda: f"{limit} or more",
        "exclusiveMinimum": lambda: f"more than {limit}",
        "maximum": lambda: f"{limit} or less",
        "exclusiveMaximum": lambda: f"less than {limit}",
        "multipleOf": lambda: f"a multiple of {limit}",
        "minItems": lambda: f"{limit} or more items",
        "maxItems": lambda: f"{limit} items or fewer",
        "minProperties": lambda: f"{limit} or more keys",
        "maxProperties": lambda: f"{limit} keys or fewer",
        "pattern": lambda: "a name of letters, digits, _ and -, 64 at most",
    }.get(rule, lambda: error.message.replace("\n", " "))()
    return f"{key} is {_short(value)}: {allowed} is allowed"
