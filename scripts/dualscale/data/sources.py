"""Points drawn from a known distribution, and real points in place of generated ones."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter

from dualscale.data.datasets import KnownDistribution
from dualscale.data.distributions import Array
from dualscale.data.shapes import Shape  # noqa: F401  # parts are found by their base
from dualscale.parts import OneOf, Part, Seed

AnyDistribution = Annotated[KnownDistribution, OneOf()]
DISTRIBUTION: TypeAdapter[KnownDistribution] = TypeAdapter(AnyDistribution)


class Known(Part):
    """Points drawn from a known distribution."""

    distribution: AnyDistribution = Field(description="The distribution.")
    points: int = Field(
        100_000, ge=2, le=100_000_000, description="Number of points to draw for training."
    )
    seed: Seed = Field(0, description="Seed of the points.")


def distribution_of(settings: Mapping[str, Any]) -> KnownDistribution | None:
    """Return the distribution of a dataset's settings, or None for points of a file."""
    given = settings.get("distribution")
    return None if given is None else DISTRIBUTION.validate_python(given)


def fresh_points(
    distribution: KnownDistribution | None, training: Path | None
) -> Callable[[int, np.random.Generator], Array]:
    """Return a function that draws n real points, (n, d) in float32, in place of generated ones.

    Args:
        distribution: the distribution to sample, if it is known.
        training: otherwise, the training points of a file, drawn without replacement; where there
            are fewer than n, all of them.
    """
    if distribution is not None:
        known = distribution.build()
        return lambda n, rng: known.sample(n, rng).astype(np.float32)
    assert training is not None
    points = np.load(training, mmap_mode="r", allow_pickle=False)
    return lambda n, rng: points[
        np.sort(rng.choice(len(points), min(n, len(points)), replace=False))
    ]
