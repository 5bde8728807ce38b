"""Base of every metric, the columns of its values, and the samples that it compares."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dualscale.data.distributions import Distribution
from dualscale.data.sources import distribution_of
from dualscale.metrics.kl import Reference
from dualscale.parts import Choice
from dualscale.runtime.streams import stream_seed

Array = NDArray[np.floating]


class Column(NamedTuple):
    """A column of metrics.csv or of the study's metrics.

    Args:
        label: heading in tables for reading.
        digits: decimals there.
        published: whether the paper's Table 1 has it.
        needs_density: whether it needs a dataset of known density.
    """

    name: str
    label: str
    digits: int = 3
    published: bool = False
    needs_density: bool = False


@dataclass(frozen=True)
class Samples:
    """A generated sample and the real points that it is compared with.

    Args:
        reference: the real points, with their neighbours for the k of every metric.
        drawn: generated points, (m, columns), in the data's units.
        distribution: of the real points; None if it is unknown.
        seed: of a metric's random numbers.
        threads: of a search for neighbours.
        expect: called with the expected seconds of a search; may raise.
        training: points that the generator was trained on, (n, columns), in the data's units; None:
            the real points.
    """

    reference: Reference
    drawn: Array
    distribution: Distribution | None = None
    seed: int = 0
    threads: int = 1
    expect: Callable[[float], None] = lambda seconds: None
    training: Array | None = None

    @classmethod
    def of_dataset(
        cls,
        name: str,
        settings: Mapping[str, Any],
        reference: Reference,
        drawn: Array,
        threads: int = 1,
        expect: Callable[[float], None] = lambda seconds: None,
        training: Array | None = None,
    ) -> Self:
        """Return generated points beside real ones of a dataset, whose name seeds the metrics.

        Args:
            settings: distribution, which a dataset from a file lacks.
        """
        known = distribution_of(settings)
        seed = stream_seed("evaluate distances", name if known is None else known.kind) % 2**32
        density = None if known is None else known.build()
        return cls(reference, drawn, density, seed, threads, expect, training)

    @cached_property
    def generated(self) -> Array:
        """All generated points in the model's units, (m, d)."""
        return self.reference.units.into_model(self.drawn.astype(np.float64))

    @cached_property
    def trained_on(self) -> Array:
        """Training points in the model's units, (n, d)."""
        if self.training is None:
            return self.reference.points
        return self.reference.units.into_model(self.training.astype(np.float64))

    @cached_property
    def fresh(self) -> Array:
        """Real points that are not trained on, (n, d): as many as generated, or all held out."""
        if self.distribution is None:
            return self.reference.points
        drawn = self.distribution.sample(len(self.drawn), np.random.default_rng(self.seed))
        return self.reference.units.into_model(drawn)

    @property
    def equal(self) -> tuple[Array, Array]:
        """Real and generated points in the model's units, as many of both, from the first on."""
        real, generated = self.reference.points, self.generated
        return real[: len(generated)], generated[: len(real)]


class Metric(Choice):
    """Comparison of a generated sample with real points, in the model's units."""

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """Return the columns of its values, whose names no other metric has."""

    @abstractmethod
    def measure(self, samples: Samples) -> Sequence[float | None]:
        """Return a value for each column; None where it is undefined."""

    def neighbours(self) -> Sequence[int]:
        """Return the k for which it needs the distances between the real points."""
        return []


class HasColumns(Protocol):
    """Metric of any family."""

    def columns(self) -> Sequence[Column]: ...


M = TypeVar("M", bound=HasColumns)


def by_column(
    metrics: Sequence[M], values: Callable[[M], Sequence[float | None]]
) -> dict[str, float | None]:
    """Return the values of metrics by the names of their columns."""
    return {
        column.name: value
        for metric in metrics
        for column, value in zip(metric.columns(), values(metric), strict=True)
    }


def each_column_once(metrics: list[M]) -> list[M]:
    """Return the metrics; a ValueError names a column that two of them have."""
    seen: set[str] = set()
    for column in (column for metric in metrics for column in metric.columns()):
        if column.name in seen:
            raise ValueError(f"has the column {column.name} twice: each is allowed once")
        seen.add(column.name)
    return metrics


def measured(samples: Samples, metrics: Sequence[Metric]) -> dict[str, float | None]:
    """Return the values of metrics by column; None where undefined, or without a known density."""

    def values(metric: Metric) -> Sequence[float | None]:
        columns = metric.columns()
        if samples.distribution is None and any(column.needs_density for column in columns):
            return [None] * len(columns)
        return metric.measure(samples)

    return by_column(metrics, values)
