"""Noise schedules: the signal and noise coefficients at each timestep."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, model_validator

from dualscale.parts import Choice, OneOf

Values = NDArray[np.float64]
# A smaller beta is lost in 1 - beta. This one gives sigma = 1e-6, as small as Sigma allows.
Beta = Annotated[float, Field(ge=1e-12, lt=1)]
Sigma = Annotated[float, Field(ge=1e-6, le=1e6)]


@dataclass(frozen=True)
class NoiseLevels:
    """Coefficients of x_t = alpha_t x_0 + sigma_t eps, eps ~ N(0, I), for t = 0 … T-1.

    The noise-to-signal ratio sigma / alpha rises with t, and may end infinite.

    Args:
        alpha: coefficient of the data, (T,).
        sigma: standard deviation of the noise, (T,).

    Raises:
        ValueError: the ratio does not rise.
    """

    alpha: Values
    sigma: Values

    def __post_init__(self) -> None:
        with np.errstate(invalid="ignore"):  # once the data have vanished, the ratio stays infinite
            falling = np.flatnonzero(np.diff(self.log_ratio) <= 0)
        if len(falling):
            t = int(falling[0])
            before, after = np.exp(self.log_ratio[t : t + 2])
            raise ValueError(
                f"schedule: sigma / alpha is {before:.6g} at t = {t} and {after:.6g} at "
                f"t = {t + 1}: noise that rises with t is allowed"
            )

    @property
    def timesteps(self) -> int:
        return len(self.alpha)

    @property
    def log_ratio(self) -> Values:
        """ln(sigma / alpha) at each timestep, (T,); infinite where alpha is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.sigma / self.alpha)

    def nearest(self, ratio: Values | float) -> NDArray[np.intp]:
        """Return the timesteps whose ln(sigma / alpha) is nearest to that of the ratios."""
        log_ratio = self.log_ratio
        return np.searchsorted((log_ratio[1:] + log_ratio[:-1]) / 2, np.log(ratio))

    def up_to(self, t: int) -> "NoiseLevels":
        """Return the levels of timesteps 0 … t."""
        return NoiseLevels(self.alpha[: t + 1], self.sigma[: t + 1])

    @property
    def end_in_noise(self) -> bool:
        """Whether the last timestep has no signal: alpha is 0 there (zero terminal SNR)."""
        return bool(self.alpha[-1] == 0)


def variance_preserving(alpha_bar: Values) -> NoiseLevels:
    """Return the levels with alpha² = alpha_bar (T,) and alpha² + sigma² = 1."""
    return NoiseLevels(np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar))


def from_betas(beta: Values) -> NoiseLevels:
    """Return the variance-preserving levels with noise variance beta (T,) added at each step.

    alpha_bar_t is the product of 1 - beta_s over s ≤ t (the paper's equation 1).
    """
    return variance_preserving(np.cumprod(1 - beta, dtype=np.float64))


class Schedule(Choice):
    """Noise levels of the forward process."""

    timesteps: int = Field(100, ge=2, le=100_000, description="Number of timesteps T.")

    @abstractmethod
    def levels(self) -> NoiseLevels: ...


class _Betas(Schedule):
    beta_start: Beta = Field(1e-4, description="Variance of the noise that the first step adds.")
    beta_end: Beta = Field(0.02, description="Variance of the noise that the last step adds.")

    @model_validator(mode="after")
    def _rising(self) -> "_Betas":
        if self.beta_end < self.beta_start:
            raise ValueError(
                f"beta_end is {self.beta_end:g}: beta_start, {self.beta_start:g}, or more "
                "is allowed"
            )
        return self


class _Sigmas(Schedule):
    sigma_min: Sigma = Field(0.005, description="Standard deviation of the noise at t = 0.")
    sigma_max: Sigma = Field(30.0, description="Standard deviation of the noise at t = T - 1.")

    @model_validator(mode="after")
    def _rising(self) -> "_Sigmas":
        if self.sigma_max <= self.sigma_min:
            raise ValueError(
                f"sigma_max is {self.sigma_max:g}: more than sigma_min, {self.sigma_min:g}, "
                "is allowed"
            )
        return self


class Linear(_Betas):
    """Linear beta, from the first step to the last (Ho et al. 2020, section 4)."""

    kind: Literal["linear"] = "linear"

    def levels(self) -> NoiseLevels:
        return from_betas(np.linspace(self.beta_start, self.beta_end, self.timesteps))


class ScaledLinear(_Betas):
    """Linear sqrt(beta) (Rombach et al. 2022; `scaled_linear` in diffusers)."""

    kind: Literal["scaled_linear"] = "scaled_linear"

    def levels(self) -> NoiseLevels:
        root = np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.timesteps)
        return from_betas(root**2)


class Cosine(Schedule):
    """Squared-cosine alpha_bar, beta clipped at 0.999 (Nichol and Dhariwal 2021, equation 17)."""

    kind: Literal["cosine"] = "cosine"

    def levels(self) -> NoiseLevels:
        s, t = 0.008, np.linspace(0, 1, self.timesteps + 1)
        alpha_bar = np.cos((t + s) / (1 + s) * np.pi / 2) ** 2
        return from_betas(np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999))


class ZeroTerminalSNR(_Betas):
    """Linear schedule with alpha shifted and scaled to end at 0 (Lin et al. 2024, algorithm 1)."""

    kind: Literal["zero_terminal_snr"] = "zero_terminal_snr"

    def levels(self) -> NoiseLevels:
        alpha = from_betas(np.linspace(self.beta_start, self.beta_end, self.timesteps)).alpha
        scaled = (alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])
        return variance_preserving(scaled**2)


class Geometric(_Sigmas):
    """Variance-exploding schedule: geometric sigma, alpha = 1 (Song et al. 2021, equation 9)."""

    kind: Literal["geometric"] = "geometric"

    def levels(self) -> NoiseLevels:
        ends = np.log10(self.sigma_min), np.log10(self.sigma_max)
        return NoiseLevels(np.ones(self.timesteps), np.logspace(*ends, self.timesteps))


class Karras(_Sigmas):
    """Linear sigma^(1 / rho), alpha = 1 (Karras et al. 2022, equation 5)."""

    kind: Literal["karras"] = "karras"
    rho: float = Field(7.0, ge=0.1, le=1000, description="Curvature; larger: more small levels.")

    def levels(self) -> NoiseLevels:
        ends = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        sigma = np.linspace(*ends, self.timesteps) ** self.rho
        return NoiseLevels(np.ones(self.timesteps), sigma)


class LinearPath(Schedule):
    """Linear path from data to pure noise, alpha + sigma = 1 (Lipman et al. 2023, section 4.1)."""

    kind: Literal["linear_path"] = "linear_path"

    def levels(self) -> NoiseLevels:
        sigma = np.arange(1, self.timesteps + 1) / self.timesteps
        return NoiseLevels(1 - sigma, sigma)


AnySchedule = Annotated[Schedule, OneOf()]
SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(AnySchedule)
