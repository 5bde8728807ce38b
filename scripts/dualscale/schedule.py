"""Noise schedules: how much signal and how much noise there is at each timestep."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """A discrete diffusion x_t = alpha_t x_0 + sigma_t eps with eps ~ N(0, I), t = 0 … T-1.

    Every table has shape (T,) and is held in float64; t = 0 is the least noisy step.

    Args:
        beta: variance of the noise added by each step (the paper's equation 1).
    """

    beta: Tensor

    @property
    def timesteps(self) -> int:
        return len(self.beta)

    @property
    def alpha_bar(self) -> Tensor:
        """The share of the data's variance that is left, prod_{s <= t} (1 - beta_s)."""
        return torch.cumprod(1 - self.beta, dim=0)

    @property
    def alpha(self) -> Tensor:
        """The factor on the data, sqrt(alpha_bar)."""
        return self.alpha_bar.sqrt()

    @property
    def sigma(self) -> Tensor:
        """The standard deviation of the noise, sqrt(1 - alpha_bar)."""
        return (1 - self.alpha_bar).sqrt()


def linear_schedule(timesteps: int, beta_first: float, beta_last: float) -> Schedule:
    """beta rises linearly from the first to the last step (Ho et al. 2020, section 4)."""
    return Schedule(torch.linspace(beta_first, beta_last, timesteps, dtype=torch.float64))
