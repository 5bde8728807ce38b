"""Noise schedules: the signal and noise coefficients at each timestep."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """Coefficients of x_t = alpha_t x_0 + sigma_t eps, eps ~ N(0, I), for t = 0 … T-1.

    The noise-to-signal ratio sigma / alpha rises with t.

    Args:
        alpha: coefficient of the data, (T,) in float64.
        sigma: standard deviation of the noise, (T,) in float64.
    """

    alpha: Tensor
    sigma: Tensor

    @property
    def timesteps(self) -> int:
        return len(self.alpha)


def of_alpha_bar(alpha_bar: Tensor) -> Schedule:
    """Return the variance-preserving schedule: alpha² = alpha_bar (T,), alpha² + sigma² = 1."""
    return Schedule(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())


def of_beta(beta: Tensor) -> Schedule:
    """Return the variance-preserving schedule with noise variance beta (T,) added at each step.

    alpha_bar_t is the product of 1 - beta_s over s ≤ t (the paper's equation 1).
    """
    return of_alpha_bar(torch.cumprod(1 - beta, dim=0))


def linear(timesteps: int, beta_first: float, beta_last: float) -> Schedule:
    """Linear beta, from the first step to the last (Ho et al. 2020, section 4)."""
    return of_beta(torch.linspace(beta_first, beta_last, timesteps, dtype=torch.float64))


def quadratic(timesteps: int, beta_first: float, beta_last: float) -> Schedule:
    """Linear sqrt(beta) (Rombach et al. 2022; `scaled_linear` in diffusers)."""
    root = torch.linspace(beta_first**0.5, beta_last**0.5, timesteps, dtype=torch.float64)
    return of_beta(root**2)


def cosine(timesteps: int) -> Schedule:
    """Squared-cosine alpha_bar, beta clipped at 0.999 (Nichol and Dhariwal 2021, equation 17)."""
    s = 0.008
    t = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    alpha_bar = torch.cos((t + s) / (1 + s) * math.pi / 2) ** 2
    return of_beta((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999))


def zero_terminal_snr(timesteps: int, beta_first: float, beta_last: float) -> Schedule:
    """Linear schedule with alpha shifted and scaled to end at 0 (Lin et al. 2024, algorithm 1)."""
    alpha = linear(timesteps, beta_first, beta_last).alpha
    return of_alpha_bar(((alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])) ** 2)


def log_linear(timesteps: int, sigma_first: float, sigma_last: float) -> Schedule:
    """Variance-exploding schedule: geometric sigma, alpha = 1 (Song et al. 2021, equation 9)."""
    ends = math.log10(sigma_first), math.log10(sigma_last)
    sigma = torch.logspace(*ends, timesteps, dtype=torch.float64)
    return Schedule(torch.ones_like(sigma), sigma)


def karras(timesteps: int, sigma_first: float, sigma_last: float, rho: float) -> Schedule:
    """Linear sigma^(1 / rho), alpha = 1 (Karras et al. 2022, equation 5)."""
    ends = sigma_first ** (1 / rho), sigma_last ** (1 / rho)
    sigma = torch.linspace(*ends, timesteps, dtype=torch.float64) ** rho
    return Schedule(torch.ones_like(sigma), sigma)


def interpolation(timesteps: int) -> Schedule:
    """Linear path from data to pure noise, alpha + sigma = 1 (Lipman et al. 2023, section 4.1)."""
    sigma = torch.arange(1, timesteps + 1, dtype=torch.float64) / timesteps
    return Schedule(1 - sigma, sigma)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "linear": linear,
    "quadratic": quadratic,
    "cosine": cosine,
    "zero_terminal_snr": zero_terminal_snr,
    "log_linear": log_linear,
    "karras": karras,
    "interpolation": interpolation,
}


def make_schedule(settings: Mapping[str, Any]) -> Schedule:
    """Build the schedule described by `schedule` in the configuration.

    Args:
        settings: `kind`, a key of SCHEDULES, and that function's arguments.
    """
    return SCHEDULES[settings["kind"]](**{k: v for k, v in settings.items() if k != "kind"})
