"""Samplers: from the prior to samples, through a denoiser.

A sampler goes through N noise levels that a spacing has chosen, and ends at noise-free data.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, TypeAdapter, model_validator

from dualscale.diffusion.schedules import Sigma
from dualscale.diffusion.spacings import Karras, Visited
from dualscale.parts import Choice, OneOf

if TYPE_CHECKING:
    from torch import Tensor

Denoise = Callable[..., "Tensor"]
"""Estimate of E[x_0 | x_t] from x_t (S, n, d) and a timestep shared by all points.

A network of two stages takes `given` besides: other points x_s (S, n, d) and their timestep.
"""


class Method(Choice):
    """Reverse process, or several of them one after another."""

    divides_by_alpha: ClassVar[bool] = False
    has_score: ClassVar[bool] = True
    """Whether the network estimates E[x_0 | x_t], from which score and density follow."""

    def evaluations(self, levels: Visited) -> int:
        """Return the number of network function evaluations (NFE) per sample."""
        return len(levels.t)

    def draws(self, levels: Visited) -> int:
        """Return the number of noise tensors that `run` is given."""
        return len(levels.t) - 1

    @abstractmethod
    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        """Return samples, in the shape of x.

        Args:
            x: points at the highest noise level, (S, n, d).
            noise: standard normal tensors (S, n, d).
        """


class Sampler(Method):
    """Reverse process."""


class Ancestral(Sampler):
    """Sample from q(x_s | x_t, x_0 = E[x_0 | x_t]) level by level (the paper's equation 2).

    Equations 6 and 7 of Ho et al. (2020), for any schedule (Kingma et al. 2021, appendix A.4).
    """

    kind: Literal["ancestral"] = "ancestral"
    variance: Literal["fixed_small", "fixed_large"] = Field(
        "fixed_small", description="Variance of each step: Ho et al.'s beta-tilde, or their beta."
    )

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
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
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        for i, t in enumerate(levels.t):
            alpha, alpha_s = levels.alpha[i : i + 2]
            sigma, sigma_s = levels.sigma[i : i + 2]
            x = (alpha_s - alpha * sigma_s / sigma) * denoise(x, t) + (sigma_s / sigma) * x
        return x


def heun(
    denoise: Denoise, path: Visited, x: "Tensor", noise: "Iterator[Tensor]", s_noise: float = 1.0
) -> "Tensor":
    """Return x_0 from x at the first level of a path on which the noise may also rise.

    Where it falls, one step of Heun's method for dy/ds, y = x / alpha, s = sigma / alpha; where it
    rises, noise is added, s_noise times as much as the levels say.
    """
    scale, s = path.alpha, path.ratio
    y = x / scale[0]
    for i, t in enumerate(path.t):
        h = s[i + 1] - s[i]
        if h > 0:
            y = y + s_noise * math.sqrt(s[i + 1] ** 2 - s[i] ** 2) * next(noise)
            continue
        slope = (y - denoise(scale[i] * y, t)) / s[i]
        ahead = y + h * slope
        if s[i + 1] > 0:
            after = (ahead - denoise(scale[i + 1] * ahead, path.t[i + 1])) / s[i + 1]
            ahead = y + h * 0.5 * (slope + after)
        y = ahead
    return y


class _Heun(Sampler):
    """Heun's method with two evaluations per step, and one in the last: s = 0 has no slope."""

    divides_by_alpha = True

    @abstractmethod
    def path(self, levels: Visited) -> Visited:
        """Return the levels in the order in which the method goes through them."""

    def evaluations(self, levels: Visited) -> int:
        return 2 * sum(ahead < s for s, ahead in pairwise(self.path(levels).ratio)) - 1


class Heun(_Heun):
    """Heun's method for the probability-flow ODE (Karras et al. 2022, algorithms 1 and 2).

    Integrates y = x / alpha over s = sigma / alpha with two evaluations per step, and one in the
    last, since the slope is undefined at s = 0; needs a positive alpha at every timestep. With
    churn, each of the N steps first adds noise up to s (1 + gamma), or the nearest of the model's
    levels, where gamma = min(s_churn / N, sqrt(2) - 1).
    """

    kind: Literal["heun"] = "heun"
    s_churn: float = Field(0.0, ge=0, le=1e6, description="Amount of noise that is added in all.")
    s_min: Sigma | None = Field(None, description="Lowest s with churn; null, no bound.")
    s_max: Sigma | None = Field(None, description="Highest s with churn; null, no bound.")
    s_noise: float = Field(
        1.0, ge=0.1, le=10, description="Standard deviation of the added noise, relative to s."
    )

    def path(self, levels: Visited) -> Visited:
        gamma = min(self.s_churn / len(levels.t), math.sqrt(2) - 1)
        lowest, highest = self.s_min or 0.0, self.s_max or math.inf
        path: list[int] = []
        for t, s in zip(levels.t, levels.ratio, strict=False):
            raised = int(levels.trained.nearest(s * (1 + gamma)))
            path += [t, raised] if raised > t and lowest <= s <= highest else [t]
        return Visited(levels.trained, path)

    def draws(self, levels: Visited) -> int:
        return len(levels.t) if self.s_churn else len(levels.t) - 1

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        return heun(denoise, self.path(levels), x, noise, self.s_noise)


class Restart(_Heun):
    """Heun's method with restarts (Xu et al. 2023).

    At the visited level nearest to s_min, noise up to s_max is added, from where `steps` steps lead
    back to s_min; this is done `restarts` times. Noise contracts the error of what came before, the
    ODE has a small error of its own. The levels between are those of Karras et al. (2022).
    """

    kind: Literal["restart"] = "restart"
    restarts: int = Field(2, ge=1, le=1000, description="Number of restarts, K.")
    steps: int = Field(2, ge=1, le=1000, description="Heun's steps after each restart.")
    s_min: Sigma = Field(0.06, description="s = sigma / alpha before a restart, t_min.")
    s_max: Sigma = Field(0.3, description="s = sigma / alpha after a restart, t_max.")

    @model_validator(mode="after")
    def _rising(self) -> "Restart":
        if self.s_max <= self.s_min:
            raise ValueError(
                f"s_max is {self.s_max:g}: more than s_min, {self.s_min:g}, is allowed"
            )
        return self

    def path(self, levels: Visited) -> Visited:
        trained = levels.trained
        place = int(np.abs(np.log(levels.ratio[:-1]) - math.log(self.s_min)).argmin())
        between = range(levels.t[place], int(trained.nearest(self.s_max)) + 1)
        if len(between) < 2:
            return levels
        back = Karras().among(trained, between, min(self.steps + 1, len(between)))
        before, after = levels.t[: place + 1], levels.t[place + 1 :]
        return Visited(trained, before + self.restarts * back + after)

    def draws(self, levels: Visited) -> int:
        return self.restarts

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        return heun(denoise, self.path(levels), x, noise)


def multistep(
    denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]", eta: float
) -> "Tensor":
    """Return x_0 by DPM-Solver++(2M) for the reverse SDE with eta times the variance of noise.

    With lambda = ln(alpha / sigma), h its step and D the denoised point, extrapolated from the last
    two to the middle of the step (Lu et al. 2023, SDE-DPM-Solver++(2M); eta = 0 is the ODE):

        x <- sigma_s / sigma e^(-eta h) x + alpha_s (1 - e^(-(1 + eta) h)) D
             + sigma_s sqrt(1 - e^(-2 eta h)) noise
    """
    last, before = None, 0.0
    for i, t in enumerate(levels.t):
        alpha, alpha_s = levels.alpha[i : i + 2]
        sigma, sigma_s = levels.sigma[i : i + 2]
        x_0 = denoise(x, t)
        ahead, h = x_0, 0.0  # a step from or to an infinite lambda is of first order
        if sigma_s > 0 and alpha > 0:
            h = math.log(alpha_s / sigma_s) - math.log(alpha / sigma)
            if last is not None and before > 0:
                ahead = x_0 + (h / (2 * before)) * (x_0 - last)
        decay = (alpha * sigma_s / (alpha_s * sigma)) ** eta if alpha_s > 0 else 1.0
        x = (sigma_s / sigma * decay) * x + (alpha_s - alpha * sigma_s / sigma * decay) * ahead
        if sigma_s > 0 and eta > 0:
            x = x + sigma_s * math.sqrt(1 - decay**2) * next(noise)
        last, before = x_0, h
    return x


class DPMSolver(Sampler):
    """DPM-Solver++(2M) (Lu et al. 2023, algorithm 2).

    Second order from the last two evaluations; first order in the first and the last step.
    """

    kind: Literal["dpm_solver"] = "dpm_solver"

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        return multistep(denoise, levels, x, noise, 0.0)


class SDEDPMSolver(Sampler):
    """SDE-DPM-Solver++(2M) (Lu et al. 2023): DPM-Solver++(2M) for the reverse SDE.

    Its noise contracts the error of earlier steps; second order in the drift from the last two
    evaluations.
    """

    kind: Literal["sde_dpm_solver"] = "sde_dpm_solver"
    eta: float = Field(
        1.0, ge=0, le=10, description="Noise: 1, the reverse SDE; 0, the probability-flow ODE."
    )

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        return multistep(denoise, levels, x, noise, self.eta)


class Consistency(Method):
    """Multistep sampling of a consistency model (Song et al. 2023, algorithm 1).

    The network maps x_t to the end of the probability-flow ODE. At every further level that end is
    perturbed anew, which hides the errors of the evaluations before.
    """

    kind: Literal["consistency"] = "consistency"

    has_score = False

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        end = denoise(x, levels.t[0])
        for t, alpha, sigma in zip(levels.t[1:], levels.alpha[1:], levels.sigma[1:], strict=False):
            end = denoise(alpha * end + sigma * next(noise), t)
        return end


AnySampler = Annotated[Sampler, OneOf()]
SAMPLER: TypeAdapter[Sampler] = TypeAdapter(AnySampler)
