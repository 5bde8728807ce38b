"""Claims of the paper: what they ask of which quantities, and the rules that decide them.

The file of claims (`workflow/published/claims.yaml`) is checked on reading: a misspelt key,
quantity or column raises an error that names the claim.
"""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from dualscale.errors import explain
from dualscale.metrics.quantities import AnyQuantity, Quantity, Runs
from dualscale.metrics.statistics import best_interval
from dualscale.parts import Part


class Question(Part):
    """A quantity, and the bounds within which it lies if the claim is true."""

    asks: str = ""
    quantity: AnyQuantity
    above: float | None = None
    below: float | None = None
    published: float | None = None
    release: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Question":
        if self.above is None and self.below is None:
            raise ValueError("has no bound: one of above and below is needed")
        return self

    def bound(self) -> str:
        ends = (("above", self.above), ("below", self.below))
        return ", ".join(f"{name} {end:g}" for name, end in ends if end is not None)


class Claim(Part):
    id: str
    statement: str
    section: str
    rule: Literal["every", "lowers_by", "some", "mixed"]
    questions: list[Question] = Field(min_length=1)
    note: str = ""

    @model_validator(mode="after")
    def _sized(self) -> "Claim":
        if self.rule == "lowers_by" and any(ask.published is None for ask in self.questions):
            raise ValueError("has the rule lowers_by: every question needs a published size")
        return self


class Measured(NamedTuple):
    """Mean and interval of a quantity over the seeds."""

    seeds: int
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan


class Finding(NamedTuple):
    """Measurement of a question on one dataset, and its comparison with bound, size and margin."""

    question: Question
    dataset: str
    measured: Measured
    margin: float
    answer: str
    """Whether the interval lies within the bound: yes, no (wholly outside) or undecided; without an
    interval, the reason: not run or too few seeds.
    """
    size: str
    """Whether the interval contains the published size; empty if none was published."""
    equivalent: str
    """Whether the interval lies within ±margin; empty without a margin."""


def read_claims(path: str | Path) -> list[Claim]:
    """Read and check the file of claims.

    Raises:
        ValueError: one line that names the claim, the key and the fault.
    """
    claims = []
    for index, raw in enumerate(yaml.safe_load(Path(path).read_text(encoding="utf-8"))):
        try:
            claims.append(Claim.model_validate(raw))
        except ValidationError as error:
            name = raw.get("id", index) if isinstance(raw, dict) else index
            raise ValueError(f"{path}: claim {name}: {explain(error, raw)}") from None
    return claims


def measure(quantity: Quantity, runs: Runs) -> dict[str, Measured]:
    """Mean and interval of a quantity, by dataset or for all datasets together."""
    return {
        name: Measured(len(values), *best_interval(values)) if values else Measured(0)
        for name, values in quantity.values(runs).items()
    }


def findings(
    claim: Claim, runs: Runs, measure: Callable[[Quantity, Runs], dict[str, Measured]] = measure
) -> list[Finding]:
    """Answer every question of a claim on every dataset."""
    return [
        answered(question, dataset, measured, question.quantity.margin(runs, dataset))
        for question in claim.questions
        for dataset, measured in measure(question.quantity, runs).items()
    ]


def answered(question: Question, dataset: str, measured: Measured, margin: float) -> Finding:
    """Compare a measured interval with the question's bound, published size and margin."""
    _, _, low, high = measured
    if math.isnan(low):
        answer = "too few seeds" if measured.seeds else "not run"
        return Finding(question, dataset, measured, margin, answer, "", "")
    above = -math.inf if question.above is None else question.above
    below = math.inf if question.below is None else question.below
    answer = "undecided"
    if above < low and high < below:
        answer = "yes"
    elif high <= above or low >= below:
        answer = "no"
    size = equivalent = ""
    if question.published is not None:
        size = "yes" if low <= question.published <= high else "no"
    if not math.isnan(margin):
        equivalent = "yes" if -margin < low and high < margin else "no"
    return Finding(question, dataset, measured, margin, answer, size, equivalent)


def judge(rule: str, found: Iterable[Finding]) -> str:
    """Return the verdict on a claim by its rule.

    every: yes to all questions on all datasets. lowers_by: as `every`, and each interval contains
    the published size; if only that fails, the verdict is "another size". some: at least one yes,
    the others equivalent; a no refutes it. mixed: at least one yes, and at least one no or
    equivalent.

    If every question is undecided but within the margin, the verdict is "equivalent"; being
    equivalent on only some datasets counts against `every`. Open verdicts are "not run", "too few
    seeds" and "undecided".

    Raises:
        ValueError: there are no findings.
    """
    found = list(found)
    if not found:
        raise ValueError("a claim without a measurement has no verdict")
    answers = [finding.answer for finding in found]
    same = [finding.answer == "undecided" and finding.equivalent == "yes" for finding in found]
    against = [answer == "no" or equal for answer, equal in zip(answers, same, strict=True)]
    every, some = all(a == "yes" for a in answers), "yes" in answers
    if all(same):
        return "equivalent"
    if rule in ("every", "lowers_by"):
        if every and rule == "lowers_by" and any(finding.size == "no" for finding in found):
            return "another size"
        decided = {"holds": every, "does not hold": any(against)}
    elif rule == "some":
        known = all(a == "yes" or equal for a, equal in zip(answers, same, strict=True))
        decided = {"holds": some and known, "does not hold": "no" in answers}
    else:
        decided = {"holds": some and any(against), "does not hold": every or all(against)}
    for verdict, true in decided.items():
        if true:
            return verdict
    return next((why for why in ("not run", "too few seeds") if why in answers), "undecided")
