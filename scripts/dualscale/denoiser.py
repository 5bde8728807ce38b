"""Denoisers: E[x_0 | x_t] from what a backbone predicts.

D(x, t) = skip_t x + out_t F(into_t x, t), with a backbone F that is trained towards
clean_t x_0 + noise_t eps (Karras et al. 2022, equation 7, for any schedule).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dualscale.schedule import Schedule

Predict = Callable[[Tensor, int], Tensor]
"""A backbone, or what stands for one: (S, n, d) and a timestep to (S, n, d)."""


@dataclass(frozen=True)
class Prediction:
    """The five factors at each timestep, all (T,) in float64."""

    into: Tensor
    skip: Tensor
    out: Tensor
    clean: Tensor
    noise: Tensor


def noise(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """F = eps (Ho et al. 2020, equation 11). Cannot be undone where alpha is 0."""
    one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
    return Prediction(into=one, skip=1 / alpha, out=-sigma / alpha, clean=zero, noise=one)


def clean(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """F = x_0."""
    one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
    return Prediction(into=one, skip=zero, out=one, clean=one, noise=zero)


def velocity(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """F = alpha eps - sigma x_0 (Salimans and Ho 2022, section 4)."""
    power = alpha**2 + sigma**2
    return Prediction(
        into=torch.ones_like(alpha),
        skip=alpha / power,
        out=-sigma / power,
        clean=-sigma,
        noise=alpha,
    )


def flow(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """F = eps - x_0, the direction of the straight line (Lipman et al. 2023, equation 23)."""
    one = torch.ones_like(alpha)
    power = alpha + sigma
    return Prediction(into=one, skip=1 / power, out=-sigma / power, clean=-one, noise=one)


def edm(alpha: Tensor, sigma: Tensor, scale: float) -> Prediction:
    """Inputs and targets of variance one, errors magnified least (Karras et al. 2022, table 1).

    Args:
        scale: root mean square of the data's coordinates, the source's sigma_data.
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
    """
    Args:
        kind: of PREDICTIONS.
        scale: root mean square of the data's coordinates.

    Raises:
        ValueError: the schedule ends without data, from where this prediction cannot be undone.
    """
    prediction = PREDICTIONS[kind](schedule.alpha, schedule.sigma, scale)
    if not (prediction.skip.isfinite() & prediction.out.isfinite()).all():
        raise ValueError(f"predicting {kind} divides by alpha, which this schedule takes to 0")
    return prediction


class Denoiser:
    """E[x_0 | x_t] by a backbone."""

    def __init__(self, backbone: Predict, schedule: Schedule, prediction: Prediction):
        self.backbone = backbone
        self.alpha, self.sigma = schedule.alpha.tolist(), schedule.sigma.tolist()
        self.into, self.skip = prediction.into.tolist(), prediction.skip.tolist()
        self.out = prediction.out.tolist()

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """x: (S, n, d); the same shape comes back."""
        return self.skip[t] * x + self.out[t] * self.backbone(self.into[t] * x, t)

    def noise(self, x: Tensor, t: int) -> Tensor:
        """E[eps | x_t], of the same shape."""
        return (x - self.alpha[t] * self(x, t)) / self.sigma[t]
