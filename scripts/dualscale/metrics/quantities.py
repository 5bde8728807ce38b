"""Quantities that claims of the paper are about, each measured on every seed of the runs."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import pandas as pd
from pydantic import AfterValidator, Field
from scipy import stats

from dualscale.metrics.table import OF_RUNS
from dualscale.parts import Choice, OneOf, suggestion


def _of_runs(column: str) -> str:
    names = [known.name for known in OF_RUNS]
    if column not in names:
        hint = suggestion(column, names)
        raise ValueError(f"is {column!r}: one of {', '.join(names)} is allowed{hint}")
    return column


ColumnName = Annotated[str, AfterValidator(_of_runs)]
"""Name of a metric of metrics.csv."""


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


class Quantity(Choice):
    """Quantity that a claim is about, measured on every seed."""

    @abstractmethod
    def values(self, runs: Runs) -> dict[str, list[float]]:
        """Return a value per seed, by dataset or for all datasets together."""

    def margin(self, runs: Runs, dataset: str) -> float:
        """Return the equivalence margin in the quantity's units; NaN if there is none."""
        return math.nan


class Relative(Quantity):
    """Paired differences (variant - against) / mean(against) of a column, on each dataset."""

    kind: Literal["relative"] = "relative"
    column: ColumnName
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
        if self.margin_bits is None:
            return math.nan
        return self.margin_bits / float(runs.column(self.column, self.against, dataset).mean())


class Ratio(Quantity):
    """Ratio variant / against of a column, geometric mean over the datasets.

    With `over`, it is divided by the same ratio of that column.
    """

    kind: Literal["ratio"] = "ratio"
    column: ColumnName
    over: ColumnName | None = None
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


class OfWeights(Quantity):
    """Difference of mean branch weights, on each dataset."""

    variant: str
    branch: str
    datasets: list[str] = Field(min_length=1)

    @abstractmethod
    def difference(self, first: pd.Series, last: pd.Series) -> float:
        """Return it from every branch's mean in the first and in the last tenth of denoising."""

    def values(self, runs: Runs) -> dict[str, list[float]]:
        return {
            dataset: [
                float(self.difference(*tenths(table)))
                for table in runs.weights.get((self.variant, dataset), ())
            ]
            for dataset in self.datasets
        }


def tenths(weights: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Means of the first tenth of denoising, at the largest timesteps, and of the last."""
    weights, count = weights.sort_values("timestep"), max(1, len(weights) // 10)
    first, last = weights.tail(count), weights.head(count)
    return first.mean(numeric_only=True), last.mean(numeric_only=True)


class WeightLead(OfWeights):
    """Mean weight of `branch` minus that of `over` in the first tenth of denoising."""

    kind: Literal["weight_lead"] = "weight_lead"
    over: str

    def difference(self, first: pd.Series, last: pd.Series) -> float:
        return first[self.branch] - first[self.over]


class WeightShift(OfWeights):
    """Mean weight of a branch in the last tenth of denoising minus that in the first."""

    kind: Literal["weight_shift"] = "weight_shift"

    def difference(self, first: pd.Series, last: pd.Series) -> float:
        return last[self.branch] - first[self.branch]


class Spread(Quantity):
    """Absolute deviation of the KL from its mean on a dataset minus that on each other, in bits."""

    kind: Literal["spread"] = "spread"
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


AnyQuantity = Annotated[Quantity, OneOf()]
