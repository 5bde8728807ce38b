"""Gaussian priors from which sampling starts, used in place of q(x_T)."""

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import TypeAdapter

from dualscale.data.moments import Moments
from dualscale.diffusion.schedules import NoiseLevels, Values
from dualscale.parts import Choice, OneOf


class Prior(Choice):
    """Distribution of x at the last timestep, from which sampling starts."""

    @abstractmethod
    def moments(self, levels: NoiseLevels, data: Moments) -> tuple[Values, Values]:
        """Return mean, in the shape of the data's, and covariance (d, d) of the prior."""


class Standard(Prior):
    """N(0, (alpha² + sigma²) I): for data of mean 0 and covariance I.

    This is N(0, I) for variance-preserving schedules.
    """

    kind: Literal["standard"] = "standard"

    def moments(self, levels: NoiseLevels, data: Moments) -> tuple[Values, Values]:
        power = levels.alpha[-1] ** 2 + levels.sigma[-1] ** 2
        return np.zeros_like(data.mean), power * np.eye(len(data.covariance))


class MomentMatched(Prior):
    """Gaussian with the mean and covariance of q(x_T)."""

    kind: Literal["moment_matched"] = "moment_matched"

    def moments(self, levels: NoiseLevels, data: Moments) -> tuple[Values, Values]:
        alpha, sigma = levels.alpha[-1], levels.sigma[-1]
        return alpha * data.mean, alpha**2 * data.covariance + sigma**2 * np.eye(
            len(data.covariance)
        )


AnyPrior = Annotated[Prior, OneOf()]
PRIOR: TypeAdapter[Prior] = TypeAdapter(AnyPrior)
