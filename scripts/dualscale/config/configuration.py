"""Configuration: validated once, then split into the settings that each job depends on."""

import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from dualscale.diffusion.noise_levels import noise_levels
from dualscale.parts import LEARNED_DEFAULTS, OF_KIND, REAL

TEXT_DEFAULTS = {"decimal": ".", "delimiter": None, "header": None}
"""Options for reading a text file of points."""
SHARED_BY_KINDS = frozenset({"timesteps"})
"""Settings that a part keeps when an override changes its kind."""
SECTIONS = ("network", "prediction", "sampling", "schedule", "training")
"""Sections of the configuration that a variant can override."""
NOT_INHERITED = ("label", "like", "note", "stream")
"""Settings of a variant's name and random streams, which `like` does not copy."""
ENDS_IN_NOISE = ("zero_terminal_snr", "interpolation")
"""Schedules with zero terminal SNR: alpha is 0 at the last step."""
SMALLEST = 2.0**-149
"""Smallest positive float32: training treats lesser weights as 0."""
MOST_VALUES = 100_000
KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}
TYPES = {"object": "mapping", "array": "list", "number": "finite number"}


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: object, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON Schema takes 1.0 for an integer, and has no word for infinity.
Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


class ConfigurationError(ValueError):
    """A key of the configuration cannot be used; the message is one line."""


def patch(base: Any, change: Any, keep_nulls: bool = False) -> Any:
    """Apply a merge patch (RFC 7396) and return the result; neither argument is changed.

    A mapping changes the keys that it names, at every depth; null takes a key away; any other
    value replaces what was there. A part that is given another `kind` starts from that kind's
    defaults.

    Args:
        keep_nulls: leave nulls in the result, where it is itself a patch of something else.
    """
    if not isinstance(change, Mapping):
        return change
    merged = dict(base) if isinstance(base, Mapping) else {}
    kinds = merged.get("kind"), change.get("kind")
    if None not in kinds and kinds[0] != kinds[1]:
        merged = {key: value for key, value in merged.items() if key in SHARED_BY_KINDS}
    for key, value in change.items():
        if value is not None or keep_nulls:
            merged[key] = patch(merged.get(key), value, keep_nulls)
        else:
            merged.pop(key, None)
    return merged


def merge(layers: Iterable[Mapping]) -> dict[str, Any]:
    """Merge the configuration's files in order, each a merge patch of those before.

    Nulls are kept, since a variant is itself a patch of another one or of the common sections.
    """
    return reduce(lambda base, change: patch(base, change, keep_nulls=True), layers, {})


def check(
    config: Mapping,
    schema: Mapping,
    folders: Sequence[Path] = (Path(),),
    stored: Callable[[str], bool] | None = None,
) -> dict[str, Any]:
    """Return the configuration with defaults filled in and every variant resolved.

    Args:
        config: as read, with overrides applied.
        schema: JSON Schema of the configuration.
        folders: where user-defined files are searched, in this order.
        stored: whether the object store has a file, if datasets come from one.

    Raises:
        ConfigurationError: names the key, its value and what is allowed.
    """
    _check_extent(config)
    _check_keys(config)
    given = patch({}, config)
    error = jsonschema.exceptions.best_match(Validator(schema).iter_errors(given))
    if error is not None:
        raise ConfigurationError(_explain(error))
    filled = _filled(given, schema, schema["$defs"])
    _check_names(filled)
    _check_datasets(filled)
    _check_comparisons(filled)
    _check_sizes(filled)
    _complete_parts(filled)
    variants = {name: config["variants"][name] for name in given["variants"]}  # nulls included
    filled["variants"] = {name: _resolve(filled, variants, name, schema) for name in variants}
    _find_files(filled, folders, stored)
    for name in filled["variants"]:
        _check_variant(filled, name)
    _check_labels(filled)
    return filled


def _chain(variants: Mapping, name: str) -> list[str]:
    """Return the variants that a variant copies through `like`, from the original to itself."""
    chain = [name]
    while (copied := variants[chain[0]].get("like")) is not None:
        if copied in chain:
            path = " -> ".join([*reversed(chain), copied])
            raise ConfigurationError(f"variants.{name}.like leads back to itself: {path}")
        if copied not in variants:
            raise ConfigurationError(_unknown(f"variants.{chain[0]}.like", copied, variants))
        chain.insert(0, copied)
    return chain


def _resolve(sections: Mapping, variants: Mapping, name: str, schema: Mapping) -> dict[str, Any]:
    """Return all settings of a variant: the common sections, patched by each variant of its chain.

    Args:
        sections: the configuration, with defaults.
        variants: as read; null removes a key of the section or of the copied variant.
    """
    resolved: dict[str, Any] = {section: sections[section] for section in SECTIONS}
    own: dict[str, Any] = {}
    for link in _chain(variants, name):
        change = {key: value for key, value in variants[link].items() if key not in NOT_INHERITED}
        resolved, own = patch(resolved, change), patch(own, change)
    rules = schema["properties"]
    rules = rules["variants"]["additionalProperties"]["properties"] | {
        section: rules[section] for section in SECTIONS
    }
    resolved = _filled(resolved, {"properties": rules}, schema["$defs"])
    _complete_parts(resolved, f"variants.{name}.")
    if "architecture" in own:
        _check_architecture(f"variants.{name}", own)
        del resolved["network"]
    given = variants[name]
    return resolved | {
        "label": given.get("label") or name,
        "note": given.get("note"),
        "stream": given.get("stream"),
    }


def _complete_parts(settings: dict[str, Any], at: str = "") -> None:
    """Fill in the options of each part's kind with their defaults, in place.

    Raises:
        ConfigurationError: a part has an option that its kind does not have.
    """
    for part, section, key in (
        ("schedule", settings, "schedule"),
        ("loss", settings["training"], "loss"),
        ("sampler", settings["sampling"], "sampler"),
    ):
        given = section[key]
        taken = OF_KIND[part][given["kind"]]
        for extra in sorted(set(given) - set(taken) - SHARED_BY_KINDS - {"kind"}):
            path = {"loss": "training.loss", "sampler": "sampling.sampler"}.get(part, part)
            raise ConfigurationError(
                f"{at}{path}.{extra} is {given[extra]!r}: kind {given['kind']} takes "
                + (", ".join(taken) or "no other key")
            )
        section[key] = taken | given


def model_settings(config: Mapping, name: str) -> dict[str, Any]:
    """Settings that a variant's training depends on, without data and seed; keys sorted."""
    chosen = config["variants"][name]
    sections = {key: chosen[key] for key in ("prediction", "schedule", "training")}
    if "architecture" in chosen:
        return in_order({"architecture": {"settings": {}} | chosen["architecture"], **sections})
    weighting = chosen["weighting"]
    if weighting["kind"] == "learned":
        weighting = LEARNED_DEFAULTS | weighting
    branches = {
        branch: {"upscaled_dimensions": None, "embedded_dimensions": None} | settings
        for branch, settings in chosen["branches"].items()
    }
    network = chosen["network"]
    return in_order({"branches": branches, "network": network, "weighting": weighting, **sections})


def training_settings(config: Mapping, name: str, dataset: str) -> dict[str, Any]:
    """Settings of `model_settings`, and whether data are standardised, as those of files are."""
    return {"standardise": "file" in config["datasets"][dataset], **model_settings(config, name)}


def import_settings(config: Mapping, dataset: str) -> dict[str, Any]:
    """Settings for reading and splitting a dataset's file."""
    chosen = TEXT_DEFAULTS | {"columns": None, "held_out": 0.1} | config["datasets"][dataset]
    return {key: chosen[key] for key in ("columns", *TEXT_DEFAULTS, "held_out", "seed")}


def sampling_settings(config: Mapping, name: str) -> dict[str, Any]:
    """Settings that sampling from a variant depends on besides its model; keys sorted."""
    return in_order(config["variants"][name]["sampling"])


def drawing_settings(config: Mapping, name: str) -> dict[str, Any]:
    """Settings of `sampling_settings` without the number of points: prior, sampler and steps."""
    settings = sampling_settings(config, name)
    return {key: settings[key] for key in ("sampler", "start", "steps")}


def process_settings(config: Mapping, name: str) -> dict[str, Any]:
    """Settings of a variant's reverse process apart from its network: schedule and sampling."""
    return {
        "sampling": sampling_settings(config, name),
        "schedule": config["variants"][name]["schedule"],
    }


def same_process(config: Mapping, name: str) -> str:
    """First variant with the same process; the optimal denoiser's samples are named after it."""
    own = process_settings(config, name)
    return next(other for other in config["variants"] if process_settings(config, other) == own)


def stream(config: Mapping, name: str, dataset: str) -> str:
    """Part of a run's stream names after the seed.

    Variants share random numbers unless they have a `stream` of their own.
    """
    own = config["variants"][name]["stream"]
    return "/".join(part for part in (dataset, own) if part is not None)


def batches(
    seeds: Sequence[int], size: int, trained: Callable[[int], Sequence[int] | None]
) -> list[tuple[int, ...]]:
    """Group seeds into stacks that are trained together; stacks trained before stay together.

    A seed that joins the configuration therefore never retrains an older one. A seed that leaves
    stays in its stack while its record agrees, since the others' jobs depend on the whole stack.
    While a run adds whole stacks, the others stay unchanged.

    Args:
        seeds: in the configuration's order.
        size: of a new stack.
        trained: maps a seed to all seeds of the stack that trained it, or to None.
    """
    left, old, new = dict.fromkeys(seeds), [], []
    for seed in seeds:
        if seed not in left:
            continue
        together = trained(seed)
        if together is None or seed not in together:
            new.append(seed)
            continue
        old.append(
            tuple(
                member
                for member in together
                if member in left or (member not in seeds and trained(member) == together)
            )
        )
        for member in old[-1]:
            left.pop(member, None)
    return [*old, *(tuple(new[i : i + size]) for i in range(0, len(new), size))]


def in_order(value: Any) -> Any:
    """Copy settings into plain dicts with sorted keys, at every depth."""
    if isinstance(value, Mapping):
        return {key: in_order(value[key]) for key in sorted(value)}
    return value


def _filled(value: Any, schema: Mapping, named: Mapping) -> Any:
    """Fill in the schema's defaults, and convert integers to floats where it asks for numbers."""
    if "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    if _is_integer(None, value) and "number" in schema.get("type", ()):
        return float(value)
    if not isinstance(value, Mapping):
        return value
    rules = schema.get("properties", {})
    absent = {key: rule["default"] for key, rule in rules.items() if "default" in rule}
    others = schema.get("additionalProperties") or {}
    return {
        key: _filled(item, rules.get(key, others), named)
        for key, item in (absent | dict(value)).items()
    }


def _check_extent(config: Mapping) -> None:
    """Reject huge configurations, which YAML aliases can expand from a few lines."""
    waiting, seen = [config], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ConfigurationError(
                f"the configuration has more than {MOST_VALUES:,} values: "
                "look for aliases (&, *) that hold each other"
            )
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _check_keys(value: object, at: str = "") -> None:
    """Reject keys that are not strings; YAML also has numbers, dates and null."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ConfigurationError(
                    f"{at or 'the configuration'} has the name {_short(key)}, {_kind(key)}: "
                    "string is allowed"
                )
            _check_keys(item, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_keys(item, f"{at}.{index}")


def _check_datasets(config: Mapping) -> None:
    takes = {
        "outline": {"shape"},
        "gaussians": {"dimensions"},
    }
    for name, dataset in config["datasets"].items():
        at = f"datasets.{name}"
        sources = [key for key in ("distribution", "file") if key in dataset]
        if len(sources) != 1:
            raise ConfigurationError(
                f"{at} has {' and '.join(sources) or 'no source'}: "
                "one of distribution and file is needed"
            )
        if "file" in dataset:
            allowed = {"columns", "held_out"}
            if dataset["file"].lower().endswith((".csv", ".tsv")):
                allowed |= set(TEXT_DEFAULTS)
                _check_marks(at, dataset)
        else:
            allowed = takes.get(dataset["distribution"], set())
        for key in sorted({"columns", "dimensions", "held_out", "shape", *TEXT_DEFAULTS}):
            if key in dataset and key not in allowed:
                source = f"{sources[0]} {dataset[sources[0]]}"
                raise ConfigurationError(
                    f"{at}.{key} is {dataset[key]!r}: with {source} "
                    f"{' and '.join(sorted(allowed)) or 'no such key'} can be given"
                )


def _check_marks(at: str, dataset: Mapping) -> None:
    usual = "," if dataset["file"].lower().endswith(".csv") else "\t"
    if dataset.get("decimal") == dataset.get("delimiter", usual):
        raise ConfigurationError(
            f"{at}.decimal is ',', which also stands between the columns: give another delimiter"
        )


def _find_files(
    config: Mapping, folders: Sequence[Path], stored: Callable[[str], bool] | None
) -> None:
    """Replace the name of every used user-defined file by its path where it was found, in place."""
    for name in config["run"]["datasets"]:
        dataset = config["datasets"][name]
        if "file" not in dataset:
            continue
        if stored is None:
            _find_file(dataset, f"datasets.{name}.file", folders)
        elif not stored(dataset["file"]):
            raise ConfigurationError(
                f"datasets.{name}.file is {_short(dataset['file'])}: "
                "there is no such file in the object store"
            )
    for name, chosen in config["variants"].items():
        if "architecture" in chosen:
            _find_file(chosen["architecture"], f"variants.{name}.architecture.file", folders)


def _find_file(settings: dict[str, Any], key: str, folders: Sequence[Path]) -> None:
    file = Path(settings["file"])
    for path in (folder / file for folder in folders):
        with suppress(OSError):  # name too long, or unreadable folder
            if path.is_file():
                found = str(file if file.is_absolute() else os.path.relpath(path))
                if "{" in found or "}" in found:
                    raise ConfigurationError(
                        f"{key} is {_short(found)}: Snakemake takes braces for wildcards; "
                        "rename the file or its folder"
                    )
                settings["file"] = found
                return
    where = "" if file.is_absolute() else f" in {' or '.join(dict.fromkeys(map(str, folders)))}"
    raise ConfigurationError(f"{key} is {_short(str(file))}: there is no such file{where}")


def _check_names(config: Mapping) -> None:
    for kind in ("variants", "datasets"):
        for name in config["run"][kind]:
            if name not in config[kind]:
                raise ConfigurationError(_unknown(f"run.{kind}", name, config[kind]))


def _check_comparisons(config: Mapping) -> None:
    for name in config["steps"]["variants"]:
        if name not in config["variants"]:
            raise ConfigurationError(_unknown("steps.variants", name, config["variants"]))
    for index, pair in enumerate(config["study"]["comparisons"]):
        for name in pair:
            if name not in config["variants"]:
                raise ConfigurationError(
                    _unknown(f"study.comparisons.{index}", name, config["variants"])
                )
    if REAL in config["variants"]:
        raise ConfigurationError(
            f"variants has {REAL!r}: the study calls samples of its own so; name it otherwise"
        )


def _check_sizes(config: Mapping) -> None:
    k = config["kl"]["k"]
    if k > config["sampling"]["points"]:
        raise ConfigurationError(
            f"kl.k is {k}: at most sampling.points, {config['sampling']['points']}, is allowed"
        )
    most = config["kl"]["real_points"]
    if most is not None and k >= most:
        raise ConfigurationError(f"kl.k is {k}: less than kl.real_points, {most}, is allowed")
    for name in config["run"]["datasets"]:
        if "file" in config["datasets"][name]:
            continue  # checked by the job that reads the file
        points = config["datasets"][name]["points"]
        if k >= points:
            raise ConfigurationError(
                f"kl.k is {k}: less than datasets.{name}.points, {points}, is allowed"
            )


def _check_labels(config: Mapping) -> None:
    """Reject variants of one run with equal labels in tables and figures."""
    names: dict[str, str] = {}
    for name in config["run"]["variants"]:
        label = " ".join(config["variants"][name]["label"].split())
        if label in names:
            raise ConfigurationError(
                f"variants.{name}.label is {label!r}: variants.{names[label]} is called so; "
                "each of run.variants needs a label of its own"
            )
        names[label] = name


def _check_schedule(at: str, schedule: Mapping) -> None:
    first, last = schedule.get("sigma_first", 0), schedule.get("sigma_last", 1)
    if last <= first:
        raise ConfigurationError(
            f"{at}: schedule.sigma_last is {last:g}: more than sigma_first, {first:g}, is allowed"
        )
    first, last = schedule.get("beta_first", 0), schedule.get("beta_last", 1)
    if last < first:
        raise ConfigurationError(
            f"{at}: schedule.beta_last is {last:g}: beta_first, {first:g}, or more is allowed"
        )


def _check_log_normal(at: str, loss: Mapping, schedule: Mapping) -> None:
    """Reject loss weights that are 0 in float32 at every timestep."""
    levels = noise_levels(schedule)
    distance = float(np.abs(levels - loss["mean"]).min()) / loss["deviation"]
    if math.exp(-0.5 * distance**2) < SMALLEST:
        raise ConfigurationError(
            f"{at}: training.loss.mean is {loss['mean']:g}: with deviation {loss['deviation']:g} "
            "no timestep has any weight; the schedule's ln(sigma / alpha) goes from "
            f"{levels[0]:.3g} to {levels[-1]:.3g} in {len(levels)} steps"
        )


def _check_parts(config: Mapping, name: str) -> None:
    """Reject combinations of parts that do not work, such as those that divide by zero."""
    at = f"variants.{name}"
    model, sampling = model_settings(config, name), sampling_settings(config, name)
    schedule = model["schedule"]
    _check_schedule(at, schedule)
    steps, timesteps = sampling["steps"], schedule["timesteps"]
    if steps is not None and steps > timesteps:
        raise ConfigurationError(
            f"{at}: sampling.steps is {steps}: at most schedule.timesteps, {timesteps}, is allowed"
        )
    ends_in_noise = schedule["kind"] in ENDS_IN_NOISE or not np.isfinite(noise_levels(schedule)[-1])
    loss = model["training"]["loss"]
    for path, kind, refused in (
        ("prediction", model["prediction"], "noise"),
        ("training.loss.kind", loss["kind"], "log_normal"),
        ("sampling.sampler.kind", sampling["sampler"]["kind"], "heun"),
    ):
        if ends_in_noise and kind == refused:
            raise ConfigurationError(
                f"{at}: {path} is {kind!r}: with schedule.kind {schedule['kind']!r}, "
                "which ends at alpha = 0, it divides by zero"
            )
    if loss["kind"] == "log_normal":
        _check_log_normal(at, loss, schedule)


def _check_architecture(at: str, chosen: Mapping) -> None:
    for key in ("branches", "network", "weighting"):
        if key in chosen:
            raise ConfigurationError(
                f"{at} has {key} beside an architecture: its settings stand in architecture"
            )


def _check_variant(config: Mapping, name: str) -> None:
    chosen = config["variants"][name]
    at = f"variants.{name}"
    if "architecture" in chosen:
        _check_parts(config, name)
        return
    for key in ("branches", "weighting"):
        if not chosen.get(key):
            raise ConfigurationError(f"{at} has no {key}: give it, or copy a variant with like")
    if "kind" not in chosen["weighting"]:
        raise ConfigurationError(f"{at}.weighting has no kind: none, fixed or learned is needed")
    _check_parts(config, name)
    network = model_settings(config, name)["network"]
    low, high = network["lowest_frequency"], network["highest_frequency"]
    if low >= high:
        raise ConfigurationError(
            f"{at}: network.lowest_frequency is {low}: "
            f"less than highest_frequency, {high}, is allowed"
        )
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
    allowed = needs | (set(LEARNED_DEFAULTS) if kind == "learned" else set())
    given = set(weighting) - {"kind"}
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
    if kind != "none" and len(branches) == 1:
        raise ConfigurationError(
            f"{at}.weighting.kind is {kind!r}: there is one branch, {next(iter(branches))}; two or "
            "more are needed, or kind none"
        )
    if kind == "fixed" and set(weighting["weights"]) != set(branches):
        raise ConfigurationError(
            f"{at}.weighting.weights names {sorted(weighting['weights'])}: "
            f"one weight for each branch is needed, {sorted(branches)}"
        )
    if kind == "fixed" and all(abs(weight) < SMALLEST for weight in weighting["weights"].values()):
        raise ConfigurationError(
            f"{at}.weighting.weights are all 0: a weight other than 0 is needed for one branch"
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


def _kind(value: object) -> str:
    return KINDS.get(type(value), type(value).__name__)


def _explain(error: jsonschema.ValidationError) -> str:
    """Format a validation error as one line: key is value: what is allowed."""
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
        limit = [limit] if isinstance(limit, str) else limit
        allowed = " or ".join(TYPES.get(name, name) for name in limit)
        hint = ""
        if isinstance(value, str) and re.fullmatch(r"[-+.\deE]*\d[-+.\deE]*", value):
            hint = "; write numbers without quotes, 1e-3 as 1.0e-3, and in a file: --config quotes"
        return f"{key} is {_short(value)}, {_kind(value)}: {allowed} is allowed{hint}"
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
        "pattern": lambda: error.schema.get(
            "title", "a name of letters, digits, _ and -, 64 at most"
        ),
    }.get(rule, lambda: error.message.replace("\n", " "))()
    return f"{key} is {_short(value)}: {allowed} is allowed"
