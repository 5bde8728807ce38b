"""Spacings: which of the noise levels that a network was trained at a sampler visits.

A level is known by its noise-to-signal ratio s = sigma / alpha, EDM's sigma.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter, model_validator

from dualscale.diffusion.schedules import NoiseLevels, Sigma, Values
from dualscale.parts import Choice, OneOf


@dataclass(frozen=True)
class Visited:
    """Noise levels that a sampler visits one after another, ending in noise-free data.

    Args:
        trained: all levels that the network was trained at.
        t: N timesteps.
    """

    trained: NoiseLevels
    t: list[int]

    @cached_property
    def alpha(self) -> list[float]:
        """Coefficients of the data, N + 1, of which the last is 1."""
        return [*self.trained.alpha[self.t].tolist(), 1.0]

    @cached_property
    def sigma(self) -> list[float]:
        """Standard deviations of the noise, N + 1, of which the last is 0."""
        return [*self.trained.sigma[self.t].tolist(), 0.0]

    @cached_property
    def ratio(self) -> list[float]:
        """s = sigma / alpha, N + 1; alpha must be positive."""
        return [sigma / alpha for alpha, sigma in zip(self.alpha, self.sigma, strict=True)]


class Spacing(Choice):
    """Choice of the noise levels that a sampler visits, in falling order."""

    @abstractmethod
    def allowed(self, trained: NoiseLevels) -> Sequence[int]:
        """Return the timesteps that may be visited, in rising order."""

    @abstractmethod
    def timesteps(self, trained: NoiseLevels, steps: int) -> list[int]:
        """Return `steps` different timesteps of the allowed ones, from the noisiest."""

    def visited(self, trained: NoiseLevels, steps: int | None) -> Visited:
        """Return the levels at `steps` timesteps; None: at all that are allowed."""
        return Visited(trained, self.timesteps(trained, steps or len(self.allowed(trained))))


class Trailing(Spacing):
    """Evenly spaced timesteps, including the noisiest (Lin et al. 2024, table 2; diffusers)."""

    kind: Literal["trailing"] = "trailing"

    def allowed(self, trained: NoiseLevels) -> range:
        return range(trained.timesteps)

    def timesteps(self, trained: NoiseLevels, steps: int) -> list[int]:
        count = trained.timesteps
        return [math.ceil(count * (steps - i) / steps) - 1 for i in range(steps)]


class _Between(Spacing):
    """Levels between two values of s, each the nearest of the model's."""

    sigma_min: Sigma | None = Field(
        None,
        description="Lowest sigma / alpha to visit, before noise-free data; null, the model's.",
    )
    sigma_max: Sigma | None = Field(
        None, description="Highest sigma / alpha, where sampling starts; null, the model's."
    )

    @model_validator(mode="after")
    def _falling(self) -> "_Between":
        lowest, highest = self.sigma_min, self.sigma_max
        if lowest is not None and highest is not None and highest <= lowest:
            raise ValueError(
                f"sigma_max is {highest:g}: more than sigma_min, {lowest:g}, is allowed"
            )
        return self

    @abstractmethod
    def ratios(self, highest: float, lowest: float, steps: int) -> Values:
        """Return `steps` values of s from the highest to the lowest."""

    def allowed(self, trained: NoiseLevels) -> range:
        lowest, highest = 0, int(np.flatnonzero(trained.alpha)[-1])
        if self.sigma_min is not None:
            lowest = int(trained.nearest(self.sigma_min))
        if self.sigma_max is not None:
            highest = int(trained.nearest(self.sigma_max))
        return range(lowest, highest + 1)

    def timesteps(self, trained: NoiseLevels, steps: int) -> list[int]:
        return self.among(trained, self.allowed(trained), steps)

    def among(self, trained: NoiseLevels, allowed: range, steps: int) -> list[int]:
        """Return `steps` of the allowed timesteps, whose levels are nearest to the ratios."""
        lowest, highest = (trained.sigma[t] / trained.alpha[t] for t in (allowed[0], allowed[-1]))
        nearest = trained.nearest(self.ratios(highest, lowest, steps))
        # Move those that coincide, as little as it takes.
        places = np.arange(steps)
        falling = np.minimum.accumulate(nearest + places) - places
        return [int(t) for t in np.maximum(falling, allowed[0] + places[::-1])]


class Geometric(_Between):
    """Log-spaced sigma / alpha, each level the nearest of the model's."""

    kind: Literal["geometric"] = "geometric"

    def ratios(self, highest: float, lowest: float, steps: int) -> Values:
        return np.geomspace(highest, lowest, steps)


class Karras(_Between):
    """Linear (sigma / alpha)^(1 / rho), each level the nearest of the model's.

    Karras et al. (2022), equation 5.
    """

    kind: Literal["karras"] = "karras"
    rho: float = Field(7.0, ge=0.1, le=1000, description="Curvature; larger: more small levels.")

    def ratios(self, highest: float, lowest: float, steps: int) -> Values:
        ends = highest ** (1 / self.rho), lowest ** (1 / self.rho)
        return np.linspace(*ends, steps) ** self.rho


class Listed(Spacing):
    """Levels of one's own, each the nearest of the model's; of fewer steps, evenly chosen ones."""

    kind: Literal["listed"] = "listed"
    sigmas: list[Sigma] = Field(min_length=1, description="sigma / alpha of the levels, falling.")

    @model_validator(mode="after")
    def _falling(self) -> "Listed":
        for before, after in pairwise(self.sigmas):
            if after >= before:
                raise ValueError(
                    f"sigmas holds {after:g} after {before:g}: less than that is allowed"
                )
        return self

    def allowed(self, trained: NoiseLevels) -> Sequence[int]:
        return sorted(set(trained.nearest(np.array(self.sigmas)).tolist()))

    def timesteps(self, trained: NoiseLevels, steps: int) -> list[int]:
        allowed = self.allowed(trained)[::-1]
        return [allowed[round(i)] for i in np.linspace(0, len(allowed) - 1, steps)]


AnySpacing = Annotated[Spacing, OneOf()]
SPACING: TypeAdapter[Spacing] = TypeAdapter(AnySpacing)
