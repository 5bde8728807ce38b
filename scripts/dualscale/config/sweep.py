"""Search among settings of a variant: its candidates, and their shorter trainings."""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from dualscale.config.overrides import nested, patch
from dualscale.config.variants import NOT_INHERITED, AnyVariant
from dualscale.parts import Name, Once, Part, Seed, matching
from dualscale.runtime.digests import digest_settings
from dualscale.runtime.streams import stream_seed

MOST_COMBINATIONS = 100_000
MOST_CANDIDATES = 500


def _of_the_model(choices: dict[str, list[Any]]) -> dict[str, list[Any]]:
    for key in choices:
        if key.partition(".")[0] in NOT_INHERITED:
            raise ValueError(f"has the key {key!r}: keys that change the model are allowed")
    return choices


class Halving(Part):
    """Successive halving (Jamieson and Talwalkar 2016): short rounds first, and the best go on."""

    rounds: int = Field(
        3, ge=1, le=10, description="Number of rounds; the last trains for all steps."
    )
    factor: int = Field(
        3,
        ge=2,
        le=100,
        description="One candidate in so many goes on to the next round, which trains for so many "
        "times the steps.",
    )


class Sweep(Part):
    """Search among settings of a variant: `snakemake sweep`."""

    variant: Name | None = Field(None, description="Variant that the candidates change.")
    datasets: Annotated[list[Name], Once, Field(min_length=1)] | None = Field(
        None, description="Datasets to judge by; null, run.datasets."
    )
    seeds: Annotated[list[Seed], Once, Field(min_length=1)] = Field(
        [100, 101], description="Seeds to judge by, none of them in run.seeds."
    )
    choices: Annotated[
        dict[
            Annotated[
                str, matching(r"^[\w-]+(\.[\w-]+)*\Z", "a key such as training.learning_rate")
            ],
            Annotated[list[Any], Once, Field(min_length=1)],
        ],
        AfterValidator(_of_the_model),
    ] = Field(
        {},
        description="Values to try by key of the variant, as in `training.learning_rate`; a value "
        "that is a mapping changes several keys together.",
    )
    candidates: int | None = Field(
        None,
        ge=2,
        le=MOST_CANDIDATES,
        description="Number of candidates, the unchanged variant among them, drawn from all "
        "combinations of the choices; null, all.",
    )
    seed: Seed = Field(0, description="Seed of the draw of the candidates.")
    halving: Halving = Field(Halving(), description="Rounds of the search.")

    @model_validator(mode="after")
    def _few_enough(self) -> "Sweep":
        found = prod(map(len, self.choices.values()))
        most = MOST_COMBINATIONS if self.candidates else MOST_CANDIDATES
        if found > most:
            instead = "" if self.candidates else "; sweep.candidates draws some of them"
            raise ValueError(
                f"choices has {found:,} combinations: {most:,} or fewer are allowed{instead}"
            )
        return self


class Chosen(Part):
    """A candidate at the place of the choices that made it."""

    choices: AnyVariant = Field(description="Its settings.")


class Candidate(Part):
    """A candidate at its place in the configuration."""

    sweep: Chosen = Field(description="Search among settings.")


def combinations(sweep: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all combinations of the choices as merge patches, in random order.

    Each has a random number of its own, by which they are ordered: a larger draw holds the smaller.
    """

    def number(changes: Mapping[str, Any]) -> int:
        text = json.dumps(changes, sort_keys=True, default=str)
        return stream_seed(sweep["seed"], "candidates", text)

    keys, values = sweep["choices"].keys(), product(*sweep["choices"].values())
    found = (dict(zip(keys, each, strict=True)) for each in values)
    return map(nested, sorted(found, key=number))


def candidate_name(variant: str, unchanged: Mapping[str, Any], changed: Mapping[str, Any]) -> str:
    """Return the variant's name, with a digest of what a candidate changes of it, if anything."""
    before, after = flat(unchanged), flat(changed)
    changes = {
        key: after.get(key)
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }
    return f"{variant}_{digest_settings(changes)[:8]}" if changes else variant


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a variant's settings by keys joined by dots."""
    return dict(_leaves("", {key: settings[key] for key in settings if key not in NOT_INHERITED}))


def varied(variants: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return by variant the values, by keys joined by dots, that differ between the variants."""
    values = {name: flat(settings) for name, settings in variants.items()}
    keys = dict.fromkeys(key for found in values.values() for key in found)
    first = next(iter(values.values()), {})
    chosen = [key for key in keys if any(v.get(key) != first.get(key) for v in values.values())]
    return {name: {key: found.get(key) for key in chosen} for name, found in values.items()}


def _leaves(at: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(f"{at}{key}.", value)
        else:
            yield f"{at}{key}", value


def rounds(
    name: str, settings: Mapping[str, Any], halving: Mapping[str, int]
) -> list[tuple[str, dict[str, Any]]]:
    """Return what a candidate trains in each round: a variant's name and its settings.

    The EMA averages over the same share of the training in every round.
    """
    training, found = settings["training"], []
    for left in reversed(range(1, halving["rounds"])):
        steps = max(1, round(training["steps"] / halving["factor"] ** left))
        decay = training["ema"]["decay"] ** (training["steps"] / steps)
        shorter = {"training": {"steps": steps, "ema": {"decay": decay}}}
        found.append((f"{name}_{steps}_steps", patch(settings, shorter)))
    return [*found, (name, dict(settings))]
