"""Claims of the paper: the quantities they are about, and the rules that decide them.

The file of claims (`workflow/published/claims.yaml`) is checked on reading: a misspelt key,
quantity or column raises an error that names the claim.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator
from scipy import stats

from dualscale.metrics.statistics import best_interval
from dualscale.parts import Part

Column = Literal["kl_bits", "train_seconds", "sample_seconds", "eval_loss"]


class Runs:
    """Metrics of all runs by (variant, dataset), and branch weights by seed where there are any."""

    def __init__(
        self,
        metrics: pd.DataFrame,
        weights: Mapping[tuple[str, str], Sequence[pd.DataFrame]] | None = None,
    ):
        self.cells = dict(list(metrics.set_index("seed").groupby(["variant", "dataset"])))
        self.weights = weights or {}

    def column(self, name: str, variant: str, dataset: str) -> pd.Series:
        """Return a cell's column of metrics.csv, indexed by seed; empty if it was not run."""
        cell = self.cells.get((variant, dataset))
        return pd.Series(dtype=float) if cell is None else cell[name]


class Relative(Part):
    """Paired differences (variant - against) / mean(against) of a column, on each dataset."""

    kind: Literal["relative"]
    column: Column
    variant: str
    against: str
    datasets: list[str] = Field(min_length=1)
    margin_bits: float | None = Field(None, gt=0)

    def values(self, runs: Runs) -> dict[str, list[float]]:
        found = {}
        for dataset in self.datasets:
            mine, theirs = (
                runs.column(self.column, name, dataset) for name in (self.variant, self.against)
            )
            found[dataset] = ((mine - theirs) / theirs.mean()).dropna().tolist()
        return found

    def margin(self, runs: Runs, dataset: str) -> float:
        """Return the equivalence margin relative to the mean of `against`; NaN if there is none."""
        if self.margin_bits is None:
            return math.nan
        return self.margin_bits / float(runs.column(self.column, self.against, dataset).mean())


class Unmargined(Part):
    """Quantity without an equivalence margin."""

    def margin(self, runs: Runs, dataset: str) -> float:
        return math.nan


class Ratio(Unmargined):
    """Ratio variant / against of a column, geometric mean over the datasets.

    With `over`, it is divided by the same ratio of that column.
    """

    kind: Literal["ratio"]
    column: Column
    over: Column | None = None
    variant: str
    against: str
    datasets: list[str] = Field(min_length=1)

    def values(self, runs: Runs) -> dict[str, list[float]]:
        ratio = self._ratio(runs, self.column)
        if self.over is not None:
            ratio = ratio / self._ratio(runs, self.over)
        return {"all": ratio.dropna().tolist()}

    def _ratio(self, runs: Runs, column: str) -> pd.Series:
        ratios = [
            runs.column(column, self.variant, dataset) / runs.column(column, self.against, dataset)
            for dataset in self.datasets
        ]
        table = pd.concat(ratios, axis=1).dropna()
        return pd.Series(stats.gmean(table.to_numpy(dtype=float), axis=1), table.index, dtype=float)


class WeightLead(Unmargined):
    """Mean weight of `branch` minus that of `over` in the first tenth of denoising."""

    kind: Literal["weight_lead"]
    variant: str
    branch: str
    over: str
    datasets: list[str] = Field(min_length=1)

    def values(self, runs: Runs) -> dict[str, list[float]]:
        return {
            dataset: [
                first_tenth(table, self.branch) - first_tenth(table, self.over)
                for table in runs.weights.get((self.variant, dataset), ())
            ]
            for dataset in self.datasets
        }


class WeightShift(Unmargined):
    """Mean weight of a branch in the last tenth of denoising minus that in the first."""

    kind: Literal["weight_shift"]
    variant: str
    branch: str
    datasets: list[str] = Field(min_length=1)

    def values(self, runs: Runs) -> dict[str, list[float]]:
        return {
            dataset: [
                last_tenth(table, self.branch) - first_tenth(table, self.branch)
                for table in runs.weights.get((self.variant, dataset), ())
            ]
            for dataset in self.datasets
        }


def first_tenth(weights: pd.DataFrame, branch: str) -> float:
    """Mean weight of a branch in the first tenth of denoising, that is at the largest timesteps."""
    return float(weights.nlargest(max(1, len(weights) // 10), "timestep")[branch].mean())


def last_tenth(weights: pd.DataFrame, branch: str) -> float:
    """Mean weight of a branch in the last tenth of denoising, that is at the smallest timesteps."""
    return float(weights.nsmallest(max(1, len(weights) // 10), "timestep")[branch].mean())


class Spread(Unmargined):
    """Absolute deviation of the KL from its mean on a dataset minus that on each other, in bits."""

    kind: Literal["spread"]
    variant: str
    dataset: str
    others: list[str] = Field(min_length=1)

    def values(self, runs: Runs) -> dict[str, list[float]]:
        far = {}
        for dataset in (self.dataset, *self.others):
            kl = runs.column("kl_bits", self.variant, dataset)
            far[dataset] = (kl - kl.mean()).abs()
        return {
            f"{self.dataset}, {other}": (far[self.dataset] - far[other]).dropna().tolist()
            for other in self.others
        }


Quantity = Annotated[
    Relative | Ratio | WeightLead | WeightShift | Spread, Field(discriminator="kind")
]


class Question(Part):
    """A quantity, and the bounds within which it lies if the claim is true."""

    asks: str = ""
    quantity: Quantity
    above: float | None = None
    below: float | None = None
    published: float | None = None
    release: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Question":
        if self.above is None and self.below is None:
            raise ValueError("one of above and below is needed")
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
            raise ValueError("the rule lowers_by needs the published size")
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
            first = error.errors()[0]
            name = raw.get("id", index) if isinstance(raw, dict) else index
            at = ".".join(map(str, first["loc"]))
            raise ValueError(f"{path}: claim {name}: {at}: {first['msg']}") from None
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
