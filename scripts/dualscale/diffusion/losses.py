"""Loss weightings: how much the squared error of the prediction counts at each timestep."""

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from dualscale.diffusion.predictions import Coefficients
from dualscale.diffusion.schedules import NoiseLevels, Values
from dualscale.parts import SMALLEST, Choice, OneOf


class LossWeighting(Choice):
    """Weights of timesteps in the training objective."""

    divides_by_alpha: ClassVar[bool] = False

    @abstractmethod
    def weights(self, levels: NoiseLevels, coefficients: Coefficients) -> Values:
        """Return the weight of the squared error at each timestep, (T,)."""

    def require_weight(self, levels: NoiseLevels) -> None:
        """Raise a ValueError if no timestep has any weight in float32."""


class Uniform(LossWeighting):
    """Unit weights on the squared error of the prediction (Ho et al. 2020, equation 14)."""

    kind: Literal["uniform"] = "uniform"

    def weights(self, levels: NoiseLevels, coefficients: Coefficients) -> Values:
        return np.ones_like(levels.sigma)


class MinSNR(LossWeighting):
    """Min-SNR weights: min(SNR, gamma) on the error of x_0 (Hang et al. 2023, equation 7)."""

    kind: Literal["min_snr"] = "min_snr"
    # With less, gradients are lost in Adam's epsilon.
    gamma: float = Field(5.0, ge=1e-6, le=1e6, description="Bound of the signal-to-noise ratio.")

    def weights(self, levels: NoiseLevels, coefficients: Coefficients) -> Values:
        ratio = (levels.alpha / levels.sigma) ** 2
        return np.minimum(ratio, self.gamma) * coefficients.c_out**2


class LogNormal(LossWeighting):
    """Weights that make uniform timesteps act as if ln(sigma / alpha) ~ N(mean, std²).

    These importance weights have mean 1 (Karras et al. 2022, section 5); needs a positive alpha at
    every timestep.
    """

    kind: Literal["log_normal"] = "log_normal"
    divides_by_alpha = True
    mean: float = Field(-1.2, ge=-100, le=100, description="Mean of ln(sigma / alpha), P_mean.")
    std: float = Field(1.2, ge=0.001, le=100, description="Standard deviation, EDM's P_std.")

    def weights(self, levels: NoiseLevels, coefficients: Coefficients) -> Values:
        ratio = levels.log_ratio
        density = np.exp(-0.5 * ((ratio - self.mean) / self.std) ** 2) * np.gradient(ratio)
        weights: Values = density / density.mean()
        return weights

    def require_weight(self, levels: NoiseLevels) -> None:
        ratio = levels.log_ratio
        distance = float(np.abs(ratio - self.mean).min()) / self.std
        if np.exp(-0.5 * distance**2) < SMALLEST:
            raise ValueError(
                f"training.loss.mean is {self.mean:g}: with std {self.std:g} no timestep has any "
                f"weight; the schedule's ln(sigma / alpha) goes from {ratio[0]:.3g} to "
                f"{ratio[-1]:.3g} in {len(ratio)} steps"
            )


AnyLossWeighting = Annotated[LossWeighting, OneOf()]
