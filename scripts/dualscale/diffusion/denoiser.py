"""Denoisers: E[x_0 | x_t] from a backbone's prediction.

D(x, t) = skip_t x + out_t F(into_t x, t), where the backbone F is trained to predict clean_t x_0 +
noise_t eps (Karras et al. 2022, equation 7, for any schedule).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dualscale.diffusion.schedule import Schedule

Predict = Callable[[Tensor, int], Tensor]
"""Backbone, or a function in its place: x (S, n, d) and a timestep to a prediction (S, n, d)."""


@dataclass(frozen=True)
class Prediction:
    """Coefficients of a prediction at each timestep, all (T,) in float64.

    Args:
        into, skip, out: c_in, c_skip and c_out of D(x, t) = skip x + out F(into x, t).
        clean, noise: coefficients of x_0 and of eps in the training target.
    """

    into: Tensor
    skip: Tensor
    out: Tensor
    clean: Tensor
    noise: Tensor


def noise(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """Predict eps (Ho et al. 2020, equation 11); the denoiser is infinite where alpha is 0."""
    one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
    return Prediction(into=one, skip=1 / alpha, out=-sigma / alpha, clean=zero, noise=one)


def clean(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """Predict x_0."""
    one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
    return Prediction(into=one, skip=zero, out=one, clean=one, noise=zero)


def velocity(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """Predict v = alpha eps - sigma x_0 (Salimans and Ho 2022, section 4)."""
    power = alpha**2 + sigma**2
    return Prediction(
        into=torch.ones_like(alpha),
        skip=alpha / power,
        out=-sigma / power,
        clean=-sigma,
        noise=alpha,
    )


def flow(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """Predict eps - x_0, the velocity of the linear path (Lipman et al. 2023, equation 23)."""
    one = torch.ones_like(alpha)
    power = alpha + sigma
    return Prediction(into=one, skip=1 / power, out=-sigma / power, clean=-one, noise=one)


def edm(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """Precondition as EDM does (Karras et al. 2022, table 1).

    Inputs and targets have unit variance, and c_skip minimises c_out, which amplifies the network's
    errors.

    Args:
        scale: root mean square of the data's coordinates, EDM's sigma_data.
    """
    power = sigma**2 + (alpha * scale) ** 2
    return Prediction(
        into=power.rsqrt(),
        skip=alpha * scale**2 / power,
        out=sigma * scale * power.rsqrt(),
        clean=sigma / scale * power.rsqrt(),
        noise=-alpha * scale * power.rsqrt(),
    )


PREDICTIONS: dict[str, Callable[[Tensor, Tensor, float], Prediction]] = {
    "noise": noise,
    "clean": clean,
    "velocity": velocity,
    "flow": flow,
    "edm": edm,
}


def make_prediction(kind: str, schedule: Schedule, scale: float) -> Prediction:
    """Return the coefficients of a prediction for a schedule.

    Args:
        kind: a key of PREDICTIONS.
        scale: root mean square of the data's coordinates.

    Raises:
        ValueError: the prediction divides by alpha, and the schedule has zero terminal SNR.
    """
    prediction = PREDICTIONS[kind](schedule.alpha, schedule.sigma, scale)
    if not (prediction.skip.isfinite() & prediction.out.isfinite()).all():
        raise ValueError(f"predicting {kind} divides by alpha, which this schedule takes to 0")
    return prediction


class Denoiser:
    """Estimate of E[x_0 | x_t] by a backbone."""

    def __init__(self, backbone: Predict, schedule: Schedule, prediction: Prediction):
        self.backbone = backbone
        self.alpha, self.sigma = schedule.alpha.tolist(), schedule.sigma.tolist()
        self.into, self.skip = prediction.into.tolist(), prediction.skip.tolist()
        self.out = prediction.out.tolist()

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return E[x_0 | x_t] for x_t (S, n, d), in the same shape."""
        return self.skip[t] * x + self.out[t] * self.backbone(self.into[t] * x, t)

    def noise(self, x: Tensor, t: int) -> Tensor:
        """Return E[eps | x_t] for x_t (S, n, d), in the same shape."""
        return (x - self.alpha[t] * self(x, t)) / self.sigma[t]
