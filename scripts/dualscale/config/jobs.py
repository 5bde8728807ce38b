"""Settings that each job depends on, as plain values with sorted keys."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dualscale.config.overrides import patch
from dualscale.diffusion.samplers import Sampler
from dualscale.parts import kinds

IMPORTED = ("columns", "header", "delimiter", "decimal", "held_out", "seed")
MODEL = (
    "architecture",
    "branches",
    "categories",
    "classical",
    "conditioning",
    "network",
    "precision",
    "prediction",
    "schedule",
    "training",
    "weighting",
)


def model_settings(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Settings that a variant's training depends on, without data and seed."""
    chosen = config["variants"][name]
    settings: dict[str, Any] = in_order({key: chosen[key] for key in MODEL if key in chosen})
    return settings


def training_settings(config: Mapping[str, Any], name: str, dataset: str) -> dict[str, Any]:
    """Settings of `model_settings`, normalisation of the data, and a classical variant's target."""
    chosen = config["datasets"][dataset]
    usual = {"distribution": "none", "file": "standard", "images": "shared"}
    kind = next(usual[key] for key in usual if key in chosen)
    normalisation = config["variants"][name]["normalisation"] or {"kind": kind}
    settings = {"normalisation": normalisation, **model_settings(config, name)}
    if chosen.get("target") is not None and not has_network(config, name):
        settings["target"] = chosen["target"]
    if teacher_of(config, name) is not None:
        drawing = drawing_settings(config, name)
        settings["visited"] = {key: drawing[key] for key in ("spacing", "steps")}
    return settings


def teacher_of(config: Mapping[str, Any], name: str) -> str | None:
    """Return the variant from whose models a variant is distilled; None: it is not."""
    target = config["variants"][name].get("training", {}).get("target", {})
    teacher: str | None = target.get("teacher")
    return teacher


def has_network(config: Mapping[str, Any], name: str) -> bool:
    """Whether a variant is a network, and not classical."""
    return "classical" not in config["variants"][name]


def has_optimum(config: Mapping[str, Any], name: str) -> bool:
    """Whether a known density tells the optimal denoiser of a variant.

    It does for noise that is independent of points in the data's own units, and a single process.
    """
    chosen = config["variants"][name]
    if not has_network(config, name):
        return False
    if has_own_sampler(config, name):
        return False
    in_own_units = chosen["normalisation"] in (None, {"kind": "none"})
    return in_own_units and chosen["training"]["coupling"]["kind"] == "independent"


def has_own_sampler(config: Mapping[str, Any], name: str) -> bool:
    """Whether a network can only be sampled in the way that it was made for."""
    kind = config["variants"][name]["sampling"]["sampler"]["kind"]
    return kind not in kinds(Sampler)


def import_settings(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """Settings for reading and splitting a dataset's file or images."""
    chosen = config["datasets"][dataset]
    return {key: in_order(chosen[key]) for key in IMPORTED if key in chosen}


def sampling_settings(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Settings that sampling from a variant depends on besides its model; keys sorted."""
    points = {"points": config["sampling"]["points"]}  # all that a classical variant has
    settings: dict[str, Any] = in_order(config["variants"][name].get("sampling", points))
    return settings


def drawing_settings(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Settings of `sampling_settings` without the number of points: prior, sampler and steps."""
    settings = sampling_settings(config, name)
    return {key: settings[key] for key in settings if key != "points"}


def tried_samplings(
    config: Mapping[str, Any], name: str
) -> dict[str, tuple[dict[str, Any], list[int]]]:
    """Return, for every way of sampling a variant in few steps, settings and numbers of steps."""
    own, usual = sampling_settings(config, name), config["steps"]["counts"]
    if has_own_sampler(config, name):
        return {own["sampler"]["kind"]: (own, usual)}
    return {
        way: (in_order(patch(own, change)), [change["steps"]] if change.get("steps") else usual)
        for way, change in config["steps"]["samplings"].items()
    }


def process_settings(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Settings of a variant's reverse process apart from its network: schedule and sampling."""
    return {
        "sampling": sampling_settings(config, name),
        "schedule": config["variants"][name]["schedule"],
    }


def same_process(config: Mapping[str, Any], name: str) -> str:
    """First variant with the same process; the optimal denoiser's samples are named after it."""
    own = process_settings(config, name)
    variants: Iterable[str] = [key for key in config["variants"] if has_optimum(config, key)]
    return next(other for other in variants if process_settings(config, other) == own)


def stream_suffix(config: Mapping[str, Any], name: str, dataset: str) -> str:
    """Part of the names of a run's random streams after the seed.

    Variants share random numbers unless they have a `stream` of their own.
    """
    own: str | None = config["variants"][name]["stream"]
    return "/".join(part for part in (dataset, own) if part is not None)


def batches(
    seeds: Sequence[int], size: int, trained: Callable[[int], Sequence[int] | None]
) -> list[tuple[int, ...]]:
    """Group seeds into stacks that are trained together; stacks trained before stay together.

    A seed that joins the configuration therefore never retrains an older one. A seed that leaves
    stays in its stack while its record agrees, since the others' jobs depend on the whole stack.
    As a run completes one new stack after another, the grouping of the remaining seeds stays.

    Args:
        seeds: in the configuration's order.
        size: of a new stack.
        trained: maps a seed to all seeds of the stack that it was trained in, or to None.
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
