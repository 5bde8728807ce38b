"""Rounds of a sweep: what its candidates train in each, and who is in it."""

import csv
from collections.abc import Mapping
from typing import Any

from dualscale.config.sweep import varied


class Rounds:
    """Input functions and params of the rules of a round, which the wildcard `round` numbers.

    Args:
        config: checked; its `candidates` name the variants that each candidate trains, one per
            round.
        kinds: kinds of records that all rounds are judged by.
        checkpoints: Snakemake's, one of which judges a round.
    """

    def __init__(self, config: Mapping[str, Any], kinds: list[str], checkpoints: Any):
        self.candidates, self.variants = config["candidates"], config["variants"]
        self.sweep, self.checkpoints = config["sweep"], checkpoints
        self.last = self.sweep["halving"]["rounds"]
        self.numbers = range(1, self.last + 1)
        self.kinds_of_all = kinds

    def kinds(self, wildcards: Any) -> list[str]:
        """Kinds of records that a round is judged by."""
        in_last = ["candidate_measures"] if int(wildcards.round) == self.last else []
        return [*self.kinds_of_all, *in_last]

    def possible(self, wildcards: Any) -> dict[str, str]:
        """Variants by candidate, if all candidates were in the round."""
        return {name: each[int(wildcards.round) - 1] for name, each in self.candidates.items()}

    def trained(self, wildcards: Any) -> list[str]:
        """Variants of the candidates in a round: all in the first, later those that were kept."""
        variants, number = self.possible(wildcards), int(wildcards.round)
        if number > 1:
            judged = self.checkpoints.judge_round.get(round=number - 1).output[0]
            with judged.open() as file:
                kept = [row["candidate"] for row in csv.DictReader(file) if row["kept"] == "True"]
            return [variants[name] for name in kept if name in variants]
        return list(variants.values())

    def settings(self, wildcards: Any) -> dict[str, Any]:
        """Settings by which a round is judged."""
        variants, number = self.possible(wildcards), int(wildcards.round)
        steps = {name: self.variants[each]["training"]["steps"] for name, each in variants.items()}
        return {
            "candidates": {each: name for name, each in variants.items()},
            "factor": None if number == self.last else self.sweep["halving"]["factor"],
            "round": number,
            "steps": steps,
            "unchanged": self.sweep["variant"],
        }

    def tried(self) -> dict[str, dict[str, Any]]:
        """Settings that differ between the candidates, by candidate."""
        return varied({name: self.variants[name] for name in self.candidates})
