"""Predictions: what a network is trained to output, and how E[x_0 | x_t] follows from it.

D(x, t) = c_skip x + c_out F(c_in x, t), where the network F is trained to predict target_data x_0 +
target_noise eps (Karras et al. 2022, equation 7, for any schedule).
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from dualscale.diffusion.schedules import NoiseLevels, Values
from dualscale.parts import Choice, OneOf


@dataclass(frozen=True)
class Coefficients:
    """Coefficients of a prediction at each timestep, all (T,).

    Args:
        c_in, c_skip, c_out: of D(x, t) = c_skip x + c_out F(c_in x, t).
        target_data, target_noise: coefficients of x_0 and of eps in the training target.
    """

    c_in: Values
    c_skip: Values
    c_out: Values
    target_data: Values
    target_noise: Values


class Prediction(Choice):
    """Target of the network."""

    divides_by_alpha: ClassVar[bool] = False

    @abstractmethod
    def coefficients(self, levels: NoiseLevels, scale: float) -> Coefficients:
        """Return the coefficients for noise levels.

        Args:
            scale: root mean square of the data's coordinates, EDM's sigma_data.
        """


class Epsilon(Prediction):
    """Predict eps (Ho et al. 2020, equation 11); needs a positive alpha at every timestep."""

    kind: Literal["epsilon"] = "epsilon"
    divides_by_alpha = True

    def coefficients(self, levels: NoiseLevels, scale: float) -> Coefficients:
        alpha, sigma = levels.alpha, levels.sigma
        one, zero = np.ones_like(alpha), np.zeros_like(alpha)
        return Coefficients(
            c_in=one, c_skip=1 / alpha, c_out=-sigma / alpha, target_data=zero, target_noise=one
        )


class Sample(Prediction):
    """Predict x_0."""

    kind: Literal["sample"] = "sample"

    def coefficients(self, levels: NoiseLevels, scale: float) -> Coefficients:
        one, zero = np.ones_like(levels.alpha), np.zeros_like(levels.alpha)
        return Coefficients(c_in=one, c_skip=zero, c_out=one, target_data=one, target_noise=zero)


class Velocity(Prediction):
    """Predict v = alpha eps - sigma x_0 (Salimans and Ho 2022, section 4)."""

    kind: Literal["velocity"] = "velocity"

    def coefficients(self, levels: NoiseLevels, scale: float) -> Coefficients:
        alpha, sigma = levels.alpha, levels.sigma
        power = alpha**2 + sigma**2
        return Coefficients(
            c_in=np.ones_like(alpha),
            c_skip=alpha / power,
            c_out=-sigma / power,
            target_data=-sigma,
            target_noise=alpha,
        )


class Flow(Prediction):
    """Predict eps - x_0, the velocity of the linear path (Lipman et al. 2023, equation 23)."""

    kind: Literal["flow"] = "flow"

    def coefficients(self, levels: NoiseLevels, scale: float) -> Coefficients:
        one, power = np.ones_like(levels.alpha), levels.alpha + levels.sigma
        return Coefficients(
            c_in=one,
            c_skip=1 / power,
            c_out=-levels.sigma / power,
            target_data=-one,
            target_noise=one,
        )


class EDM(Prediction):
    """Precondition as EDM does (Karras et al. 2022, table 1).

    Inputs and targets have unit variance, and c_skip minimises c_out, which amplifies the network's
    errors.
    """

    kind: Literal["edm"] = "edm"

    def coefficients(self, levels: NoiseLevels, scale: float) -> Coefficients:
        alpha, sigma = levels.alpha, levels.sigma
        power = sigma**2 + (alpha * scale) ** 2
        inverse = 1 / np.sqrt(power)
        return Coefficients(
            c_in=inverse,
            c_skip=alpha * scale**2 / power,
            c_out=sigma * scale * inverse,
            target_data=sigma / scale * inverse,
            target_noise=-alpha * scale * inverse,
        )


AnyPrediction = Annotated[Prediction, OneOf()]
