"""Checking of the configuration, once, when a workflow is planned."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dualscale.config.jobs import has_network, teacher_of, tried_samplings
from dualscale.config.overrides import merge, patch
from dualscale.config.sweep import Candidate, candidate_name, combinations, rounds
from dualscale.config.tree import Configuration, Sections, Tried
from dualscale.config.variants import NOT_INHERITED, GivenVariants
from dualscale.data.images import DIGITS
from dualscale.errors import ConfigurationError, explain, kind_of, short, unknown
from dualscale.parts import Part

PROJECT = Path(__file__).parents[3]
PATCHED = (
    "network",
    "normalisation",
    "precision",
    "prediction",
    "sampling",
    "schedule",
    "training",
)
"""Sections of the configuration that a variant can change for itself."""
OF_A_STUDENT = (*NOT_INHERITED, "sampling", "training")
OF_BRANCHES = ("branches", "conditioning", "network", "weighting")
MOST_VALUES = 100_000


def check(
    config: Mapping[str, Any],
    folders: Sequence[Path] = (Path(),),
    stored: Callable[[str], bool] | None = None,
) -> dict[str, Any]:
    """Return the configuration with defaults filled in and every variant resolved.

    Candidates of a sweep are added to the variants; `candidates` holds the names of those that each
    trains, one per round.

    Args:
        config: as read, with overrides applied.
        folders: where user-defined files are searched, in this order.
        stored: whether the object store has a file, if datasets come from one.

    Raises:
        ConfigurationError: names the key, its value and what is allowed.
    """
    _check_values(config)
    variants = config.get("variants") or {}
    _dumped(GivenVariants, {"variants": variants})
    given = patch(_defaults(), {key: config[key] for key in config if key != "variants"})
    common = _dumped(Sections, given)
    named = {name: variant for name, variant in variants.items() if variant is not None}
    places = {name: f"variants.{name}" for name in named}
    resolved = {name: _resolve(common, _chain(named, name), at) for name, at in places.items()}
    filled = _dumped(Configuration, {**given, "variants": resolved})
    for name, variant in filled["variants"].items():
        variant["label"] = variant["label"] or name
    _check_samplings(filled)
    _add_candidates(filled, common, named)
    _check_teachers(filled["variants"])
    _find_files(filled, folders, stored)
    return filled


def check_files(files: Sequence[Path]) -> dict[str, Any]:
    """Return the project's configuration with overrides from files, each of those before, checked.

    Raises:
        ConfigurationError: names the key, its value and what is allowed.
    """
    import yaml  # here, since machines that only train may lack it

    layers = [yaml.safe_load(file.read_text()) or {} for file in [PROJECT / "config.yaml", *files]]
    return check(merge(layers), [Path(), *(file.absolute().parent for file in files), PROJECT])


def _defaults() -> dict[str, Any]:
    """Default settings of every section that has some."""
    fields = Sections.model_fields.items()
    found = {name: field.default for name, field in fields if not field.is_required()}
    return {
        name: value.model_dump(by_alias=True) if hasattr(value, "model_dump") else value
        for name, value in found.items()
    }


def _dumped(tree: type[Part], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as plain values with defaults, or raise a ConfigurationError."""
    try:
        return tree.model_validate(given).model_dump(by_alias=True)
    except ValidationError as error:
        raise ConfigurationError(explain(error, given)) from error


def _check_samplings(config: Mapping[str, Any]) -> None:
    """Check every way of sampling in few steps for every network."""
    for way, change in config["steps"]["samplings"].items():
        if "points" in change:
            raise ConfigurationError(
                f"steps.samplings.{way} has points: all variants draw sampling.points"
            )
    for name in filter(partial(has_network, config), config["variants"]):
        tried = tried_samplings(config, name)
        samplings = {way: settings for way, (settings, _) in tried.items()}
        _dumped(Tried, {"steps": {"samplings": samplings}})


def _check_teachers(variants: Mapping[str, Any]) -> None:
    """Check that the teacher of every distilled variant is there, and of the same network."""
    for name, variant in variants.items():
        teacher = teacher_of({"variants": variants}, name)
        if teacher is None:
            continue
        at = f"variants.{name}.training.target.teacher"
        if teacher not in variants:
            raise ConfigurationError(unknown(at, teacher, variants))
        other = variants[teacher]
        for key in sorted(variant.keys() | other.keys()):
            if key in OF_A_STUDENT or variant.get(key) == other.get(key):
                continue
            raise ConfigurationError(
                f"{at} is {teacher!r}, which has another {key}: only training and sampling of a "
                "distilled variant may differ from its teacher's"
            )
        if teacher_of({"variants": variants}, teacher) is not None:
            raise ConfigurationError(
                f"{at} is {teacher!r}, which is distilled itself: a variant with another target is "
                "allowed"
            )


def _add_candidates(
    config: dict[str, Any], common: Mapping[str, Any], named: Mapping[str, Any]
) -> None:
    """Add the candidates of a sweep, in place; without choices there are none.

    Args:
        common: the sections, with defaults.
        named: variants as read.
    """
    sweep, variants, found = config["sweep"], config["variants"], {}
    if sweep["choices"]:
        name = sweep["variant"]
        unchanged, chain = variants[name], _chain(named, name)
        about = {key: unchanged[key] for key in NOT_INHERITED if key in unchanged}
        found[name] = unchanged
        for changes in combinations(sweep):
            if len(found) == sweep["candidates"]:
                break
            settings = _resolve(common, [*chain, changes | about], "sweep.choices")
            changed = _dumped(Candidate, {"sweep": {"choices": settings}})["sweep"]["choices"]
            found.setdefault(candidate_name(name, unchanged, changed), changed)
        if len(found) == 1:
            raise ConfigurationError(f"sweep.choices has only values that {name} has: add others")
    trained = {name: rounds(name, found[name], sweep["halving"]) for name in found}
    config["candidates"] = {name: [each for each, _ in trained[name]] for name in trained}
    variants |= {name: settings for each in trained.values() for name, settings in each}


def _chain(variants: Mapping[str, Any], name: str) -> list[Any]:
    """Return the variants that a variant copies through `like`, from the original to itself."""
    chain = [name]
    while (copied := variants[chain[0]].get("like")) is not None:
        if copied in chain:
            path = " -> ".join([*reversed(chain), copied])
            raise ConfigurationError(f"variants.{name}.like leads back to itself: {path}")
        if copied not in variants:
            raise ConfigurationError(unknown(f"variants.{chain[0]}.like", copied, variants))
        chain.insert(0, copied)
    return [variants[link] for link in chain]


def _resolve(
    common: Mapping[str, Any], chain: Sequence[Mapping[str, Any]], at: str
) -> dict[str, Any]:
    """Return all settings of a variant: the common sections, patched by each variant of its chain.

    Args:
        common: the sections, with defaults.
        chain: variants as read, itself last; null removes a key of the section or of the copied
            variant.
        at: its place in the configuration.
    """
    settings: dict[str, Any] = {section: common[section] for section in PATCHED}
    own: dict[str, Any] = {}
    for link in chain:
        change = {key: value for key, value in link.items() if key not in NOT_INHERITED}
        settings, own = patch(settings, change), patch(own, change)
    if "points" in (own.get("sampling") or {}):
        raise ConfigurationError(f"{at}.sampling has points: all variants draw sampling.points")
    if "classical" in own:
        for key in ("architecture", *OF_BRANCHES, *PATCHED):
            if key in own and key != "normalisation":
                raise ConfigurationError(f"{at} has {key} beside classical, which has no network")
        settings = {key: settings[key] for key in ("normalisation", "classical")}
    elif "architecture" in own:
        for key in OF_BRANCHES:
            if key in own:
                raise ConfigurationError(
                    f"{at} has {key} beside an architecture: its settings stand in architecture"
                )
        settings.pop("network", None)
    else:
        for key in ("branches", "weighting"):
            if not settings.get(key):
                raise ConfigurationError(f"{at} has no {key}: give it, or copy a variant with like")
    about = {key: chain[-1][key] for key in NOT_INHERITED if key in chain[-1] and key != "like"}
    return settings | about


def _check_values(config: Mapping[str, Any]) -> None:
    """Reject keys that are not strings, and the many values that YAML aliases can expand to."""
    waiting: list[tuple[str, object]] = [("", config)]
    seen = 0
    while waiting:
        at, value = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ConfigurationError(
                f"the configuration has more than {MOST_VALUES:,} values: "
                "look for aliases (&, *) that hold each other"
            )
        if isinstance(value, list):
            waiting += [(f"{at}.{index}", item) for index, item in enumerate(value)]
        elif isinstance(value, Mapping):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ConfigurationError(
                        f"{at or 'the configuration'} has the name {short(key)}, {kind_of(key)}: "
                        "string is allowed"
                    )
                waiting.append((f"{at}.{key}" if at else key, item))


def _find_files(
    config: Mapping[str, Any], folders: Sequence[Path], stored: Callable[[str], bool] | None
) -> None:
    """Replace the name of every used user-defined file by its path where it was found, in place."""
    for name in dict.fromkeys([*config["run"]["datasets"], *(config["sweep"]["datasets"] or [])]):
        dataset = config["datasets"][name]
        source = next((key for key in ("file", "images") if key in dataset), None)
        if source is None or dataset[source] == DIGITS:
            continue
        if stored is None:
            _find_file(dataset, source, f"datasets.{name}", folders)
        elif not stored(dataset[source]):
            raise ConfigurationError(
                f"datasets.{name}.{source} is {short(dataset[source])}: "
                "there is no such file in the object store"
            )
    for name, chosen in config["variants"].items():
        if "architecture" in chosen:
            _find_file(chosen["architecture"], "file", f"variants.{name}.architecture", folders)


def _find_file(settings: dict[str, Any], key: str, at: str, folders: Sequence[Path]) -> None:
    file = Path(settings[key])
    for path in (folder / file for folder in folders):
        with suppress(OSError):  # name too long, or unreadable folder
            if path.is_file():
                found = str(file if file.is_absolute() else os.path.relpath(path))
                if "{" in found or "}" in found:
                    raise ConfigurationError(
                        f"{at}.{key} is {short(found)}: Snakemake takes braces for wildcards; "
                        "rename the file or its folder"
                    )
                settings[key] = found
                return
    where = "" if file.is_absolute() else f" in {' or '.join(dict.fromkeys(map(str, folders)))}"
    raise ConfigurationError(f"{at}.{key} is {short(str(file))}: there is no such file{where}")
