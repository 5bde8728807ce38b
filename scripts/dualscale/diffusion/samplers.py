"""Samplers: from the prior to samples, through a denoiser.

A sampler steps through N of the schedule's timesteps in order of falling noise, and ends at
noise-free data.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter

from dualscale.diffusion.priors import AnyPrior, Standard
from dualscale.diffusion.schedules import NoiseLevels
from dualscale.parts import Choice, OneOf, Part

if TYPE_CHECKING:
    from torch import Tensor

    Denoise = Callable[[Tensor, int], Tensor]
    """Estimate of E[x_0 | x_t] from x_t (S, n, d) and a timestep shared by all points."""


@dataclass(frozen=True)
class Visited:
    """Noise levels that a sampler visits, in falling order, ending in noise-free data.

    Args:
        t: N timesteps.
        alpha, sigma: N + 1 values, of which the last are 1 and 0.
    """

    t: list[int]
    alpha: list[float]
    sigma: list[float]


def visited(levels: NoiseLevels, steps: int | None) -> Visited:
    """Return the noise levels of `steps` evenly spaced timesteps, including the noisiest.

    This is "trailing" timestep spacing (Lin et al. 2024, table 2; diffusers). None: all timesteps.
    """
    count = levels.timesteps
    steps = steps or count
    t = [math.ceil(count * (steps - i) / steps) - 1 for i in range(steps)]
    alpha, sigma = levels.alpha.tolist(), levels.sigma.tolist()
    return Visited(t, [*(alpha[i] for i in t), 1.0], [*(sigma[i] for i in t), 0.0])


class Sampler(Choice):
    """Reverse process."""

    divides_by_alpha: ClassVar[bool] = False

    def evaluations(self, steps: int) -> int:
        """Return the number of network function evaluations (NFE) per sample."""
        return steps

    @abstractmethod
    def run(
        self, denoise: "Denoise", levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        """Return samples, in the shape of x.

        Args:
            x: points at the highest noise level, (S, n, d).
            noise: standard normal tensors (S, n, d), at most one for each step but the last.
        """


class Ancestral(Sampler):
    """Sample from q(x_s | x_t, x_0 = E[x_0 | x_t]) level by level (the paper's equation 2).

    Equations 6 and 7 of Ho et al. (2020), for any schedule (Kingma et al. 2021, appendix A.4).
    """

    kind: Literal["ancestral"] = "ancestral"
    variance: Literal["fixed_small", "fixed_large"] = Field(
        "fixed_small", description="Variance of each step: Ho et al.'s beta-tilde, or their beta."
    )

    def run(
        self, denoise: "Denoise", levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        for i, t in enumerate(levels.t):
            alpha, alpha_s = levels.alpha[i : i + 2]
            sigma, sigma_s = levels.sigma[i : i + 2]
            kept = alpha / alpha_s if alpha_s > 0 else 0.0  # both are 0 where they underflow
            added = sigma**2 - (kept * sigma_s) ** 2  # variance of q(x_t | x_s)
            x_0 = denoise(x, t)
            x = (alpha_s * added / sigma**2) * x_0 + (kept * sigma_s**2 / sigma**2) * x
            if sigma_s > 0:
                small = self.variance == "fixed_small"
                transition_variance = added * sigma_s**2 / sigma**2 if small else added
                x = x + math.sqrt(transition_variance) * next(noise)
        return x


class DDIM(Sampler):
    """Deterministic DDIM (Song et al. 2021, DDIM, equation 12 with eta = 0).

    These are Euler steps of the probability-flow ODE in x / alpha over sigma / alpha.
    """

    kind: Literal["ddim"] = "ddim"

    def run(
        self, denoise: "Denoise", levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        for i, t in enumerate(levels.t):
            alpha, alpha_s = levels.alpha[i : i + 2]
            sigma, sigma_s = levels.sigma[i : i + 2]
            x = (alpha_s - alpha * sigma_s / sigma) * denoise(x, t) + (sigma_s / sigma) * x
        return x


class Heun(Sampler):
    """Heun's method for the probability-flow ODE (Karras et al. 2022, algorithm 1).

    Integrates y = x / alpha over s = sigma / alpha with two evaluations per step, and one in the
    last, since the slope is undefined at s = 0; needs a positive alpha at every timestep.
    """

    kind: Literal["heun"] = "heun"
    divides_by_alpha = True

    def evaluations(self, steps: int) -> int:
        return 2 * steps - 1

    def run(
        self, denoise: "Denoise", levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        scale = levels.alpha
        s = [sigma / alpha for alpha, sigma in zip(scale, levels.sigma, strict=True)]
        y = x / scale[0]
        for i, t in enumerate(levels.t):
            h = s[i + 1] - s[i]
            slope = (y - denoise(scale[i] * y, t)) / s[i]
            ahead = y + h * slope
            if s[i + 1] > 0:
                after = (ahead - denoise(scale[i + 1] * ahead, levels.t[i + 1])) / s[i + 1]
                ahead = y + h * 0.5 * (slope + after)
            y = ahead
        return y


class DPMSolver(Sampler):
    """DPM-Solver++(2M) (Lu et al. 2023, algorithm 2).

    Second order from the last two evaluations; first order in the first and the last step.
    """

    kind: Literal["dpm_solver"] = "dpm_solver"

    def run(
        self, denoise: "Denoise", levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        last, before = None, 0.0
        for i, t in enumerate(levels.t):
            alpha, alpha_s = levels.alpha[i : i + 2]
            sigma, sigma_s = levels.sigma[i : i + 2]
            x_0 = denoise(x, t)
            ahead, h = x_0, math.inf
            if sigma_s > 0 and alpha > 0:
                h = math.log(alpha_s / sigma_s) - math.log(alpha / sigma)
                if last is not None and before > 0:
                    ahead = x_0 + (h / (2 * before)) * (x_0 - last)
            x = (sigma_s / sigma) * x + (alpha_s - alpha * sigma_s / sigma) * ahead
            last, before = x_0, h if math.isfinite(h) else 0.0
        return x


AnySampler = Annotated[Sampler, OneOf()]
SAMPLER: TypeAdapter[Sampler] = TypeAdapter(AnySampler)


class Drawing(Part):
    """Prior, sampler and number of steps with which points are drawn from a model."""

    prior: AnyPrior = Field(Standard(), description="Distribution that sampling starts from.")
    sampler: AnySampler = Field(Ancestral(), description="Method of the reverse process.")
    steps: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="How many of the schedule's timesteps the sampler takes; null, all.",
    )

    def evaluations(self, timesteps: int) -> int:
        """Return the number of network function evaluations (NFE) per sample."""
        return self.sampler.evaluations(self.steps or timesteps)

    def require_fit(self, levels: NoiseLevels, at: str = "sampling.") -> None:
        """Raise a ValueError if points cannot be drawn in this way at these noise levels."""
        if self.steps is not None and self.steps > levels.timesteps:
            raise ValueError(
                f"{at}steps is {self.steps}: at most schedule.timesteps, {levels.timesteps}, "
                "is allowed"
            )
        if self.sampler.divides_by_alpha and levels.end_in_noise:
            raise ValueError(
                f"{at}sampler is {self.sampler.kind!r}: it divides by alpha, which is 0 at "
                "this schedule's last timestep"
            )


class Sampling(Drawing):
    """Drawing of the sample on which a model is evaluated."""

    points: int = Field(10_000, ge=1, le=100_000_000, description="Number of generated points.")
