"""Noise schedules: how much signal and how much noise there is at each timestep."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """x_t = alpha_t x_0 + sigma_t eps with eps ~ N(0, I), for t = 0 … T-1, least noisy first.

    Args:
        alpha: the factor on the data, (T,) in float64.
        sigma: the standard deviation of the noise, (T,) in float64.
    """

    alpha: Tensor
    sigma: Tensor

    @property
    def timesteps(self) -> int:
        return len(self.alpha)


def of_alpha_bar(alpha_bar: Tensor) -> Schedule:
    """What keeps the variance of data of variance one; alpha_bar: the data's share of it, (T,)."""
    return Schedule(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())


def of_beta(beta: Tensor) -> Schedule:
    """beta: variance of the noise that each step adds, (T,) (the paper's equation 1)."""
    return of_alpha_bar(torch.cumprod(1 - beta, dim=0))


def linear(timesteps: int, beta_first: float, beta_last: float) -> Schedule:
    """beta rises linearly from the first to the last step (Ho et al. 2020, section 4)."""
    return of_beta(torch.linspace(beta_first, beta_last, timesteps, dtype=torch.float64))


def quadratic(timesteps: int, beta_first: float, beta_last: float) -> Schedule:
    """The square root of beta rises linearly (Rombach et al. 2022; diffusers' scaled_linear)."""
    root = torch.linspace(beta_first**0.5, beta_last**0.5, timesteps, dtype=torch.float64)
    return of_beta(root**2)


def cosine(timesteps: int) -> Schedule:
    """alpha_bar falls as a squared cosine; beta is at most 0.999 (Nichol and Dhariwal 2021,
    equation 17)."""
    s = 0.008
    t = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    alpha_bar = torch.cos((t + s) / (1 + s) * math.pi / 2) ** 2
    return of_beta((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999))


def zero_terminal_snr(timesteps: int, beta_first: float, beta_last: float) -> Schedule:
    """The linear schedule with alpha shifted and scaled to end at 0 (Lin et al. 2024,
    algorithm 1)."""
    alpha = linear(timesteps, beta_first, beta_last).alpha
    return of_alpha_bar(((alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])) ** 2)


def log_linear(timesteps: int, sigma_first: float, sigma_last: float) -> Schedule:
    """sigma log-spaced, the data left as it is (Song et al. 2021, equation 9)."""
    ends = math.log10(sigma_first), math.log10(sigma_last)
    sigma = torch.logspace(*ends, timesteps, dtype=torch.float64)
    return Schedule(torch.ones_like(sigma), sigma)


def karras(timesteps: int, sigma_first: float, sigma_last: float, rho: float) -> Schedule:
    """sigma^(1 / rho) linear, the data left as it is (Karras et al. 2022, equation 5)."""
    ends = sigma_first ** (1 / rho), sigma_last ** (1 / rho)
    sigma = torch.linspace(*ends, timesteps, dtype=torch.float64) ** rho
    return Schedule(torch.ones_like(sigma), sigma)


def interpolation(timesteps: int) -> Schedule:
    """The straight line from data to noise, alpha + sigma = 1, that ends at pure noise (Lipman et
    al. 2023, section 4.1)."""
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
    """Of the config's `schedule`: kind, timesteps, and what the kind takes."""
    return SCHEDULES[settings["kind"]](**{k: v for k, v in settings.items() if k != "kind"})
