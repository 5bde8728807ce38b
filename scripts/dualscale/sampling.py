"""Samplers: from noise to points, through a denoiser and a schedule.

A sampler runs through N of the schedule's timesteps, from the noisiest on, and ends at clean data.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dualscale.devices import captured, seed_generators
from dualscale.model import Moments
from dualscale.schedule import Schedule
from dualscale.streams import stream_seed

Denoise = Callable[[Tensor, int], Tensor]
"""E[x_0 | x_t] for x_t (S, n, d) and a timestep that all points share."""

BLOCK = 10_000  # points whose noise is drawn at once
TILE = 1000  # points that run through all steps together on a CPU: they stay in its cache


@dataclass(frozen=True)
class Levels:
    """The noise levels that a sampler visits, noisiest first, and then clean data.

    Args:
        t: N timesteps.
        alpha, sigma: N + 1 values; the last are 1 and 0.
    """

    t: list[int]
    alpha: list[float]
    sigma: list[float]


def make_levels(schedule: Schedule, steps: int | None) -> Levels:
    """The noisiest of the T timesteps and, evenly spaced below it, steps - 1 more (diffusers'
    "trailing", Lin et al. 2024, table 2); steps None: all."""
    count = schedule.timesteps
    steps = steps or count
    t = [math.ceil(count * (steps - i) / steps) - 1 for i in range(steps)]
    alpha, sigma = schedule.alpha.tolist(), schedule.sigma.tolist()
    return Levels(t, [*(alpha[i] for i in t), 1.0], [*(sigma[i] for i in t), 0.0])


def ancestral(
    denoise: Denoise, levels: Levels, start: Tensor, noise: Tensor, variance: str
) -> Tensor:
    """Draw from q(x_s | x_t, E[x_0 | x_t]), level by level (the paper's equation 2).

    Equations 6 and 7 of Ho et al. (2020) for any schedule (Kingma et al. 2021, appendix A.4).

    Args:
        start: x at the noisiest level, (S, n, d).
        noise: standard normal numbers for every step but the last, (N-1, S, n, d).
        variance: "posterior", Ho et al.'s beta-tilde, or "forward", their beta.
    """
    x = start
    for i, t in enumerate(levels.t):
        (alpha, beyond), (sigma, left) = levels.alpha[i : i + 2], levels.sigma[i : i + 2]
        gained = sigma**2 - (alpha / beyond * left) ** 2  # variance of the noise between the two
        x_0 = denoise(x, t)
        x = (beyond * gained / sigma**2) * x_0 + (alpha / beyond * left**2 / sigma**2) * x
        if left > 0:
            width = gained * left**2 / sigma**2 if variance == "posterior" else gained
            x = x + math.sqrt(width) * noise[i]
    return x


def ddim(denoise: Denoise, levels: Levels, start: Tensor, noise: Tensor) -> Tensor:
    """The probability flow's Euler steps in x / alpha (Song et al. 2021, DDIM, equation 12 with
    eta = 0)."""
    x = start
    for i, t in enumerate(levels.t):
        (alpha, beyond), (sigma, left) = levels.alpha[i : i + 2], levels.sigma[i : i + 2]
        x = (beyond - alpha * left / sigma) * denoise(x, t) + (left / sigma) * x
    return x


def heun(denoise: Denoise, levels: Levels, start: Tensor, noise: Tensor) -> Tensor:
    """Euler steps corrected by the slope at their end (Karras et al. 2022, algorithm 1).

    The flow in y = x / alpha against s = sigma / alpha; but for the last step, which ends where
    there is no slope, two evaluations a step. alpha must be above 0.
    """
    scale = levels.alpha
    s = [sigma / alpha for alpha, sigma in zip(scale, levels.sigma, strict=True)]
    y = start / scale[0]
    for i, t in enumerate(levels.t):
        h = s[i + 1] - s[i]
        slope = (y - denoise(scale[i] * y, t)) / s[i]
        ahead = y + h * slope
        if s[i + 1] > 0:
            after = (ahead - denoise(scale[i + 1] * ahead, levels.t[i + 1])) / s[i + 1]
            ahead = y + h * 0.5 * (slope + after)
        y = ahead
    return y


def dpm_solver(denoise: Denoise, levels: Levels, start: Tensor, noise: Tensor) -> Tensor:
    """DPM-Solver++ (2M): second order from the last two evaluations (Lu et al. 2023, algorithm 2),
    of first order in the first and the last step."""
    x, last, before = start, None, 0.0
    for i, t in enumerate(levels.t):
        (alpha, beyond), (sigma, left) = levels.alpha[i : i + 2], levels.sigma[i : i + 2]
        x_0 = denoise(x, t)
        ahead, h = x_0, math.inf
        if left > 0 and alpha > 0:
            h = math.log(beyond / left) - math.log(alpha / sigma)
            if last is not None and before > 0:
                ahead = x_0 + (h / (2 * before)) * (x_0 - last)
        x = (left / sigma) * x + (beyond - alpha * left / sigma) * ahead
        last, before = x_0, h if math.isfinite(h) else 0.0
    return x


SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "ancestral": ancestral,
    "ddim": ddim,
    "heun": heun,
    "dpm_solver": dpm_solver,
}


def evaluations(kind: str, steps: int) -> int:
    """How often a sampler asks the network, a point."""
    return 2 * steps - 1 if kind == "heun" else steps


def standard(schedule: Schedule, moments: Moments) -> tuple[Tensor, Tensor]:
    """As though the data had mean 0 and covariance I: N(0, I) where the variance is preserved."""
    power = schedule.alpha[-1] ** 2 + schedule.sigma[-1] ** 2
    return torch.zeros_like(moments.mean), power * torch.eye(len(moments.mean)).double()


def matched(schedule: Schedule, moments: Moments) -> tuple[Tensor, Tensor]:
    """With the mean and covariance that the noised data have."""
    alpha, sigma = schedule.alpha[-1], schedule.sigma[-1]
    noise = sigma**2 * torch.eye(len(moments.mean)).double()
    return alpha * moments.mean, alpha**2 * moments.covariance + noise


STARTS: dict[str, Callable[[Schedule, Moments], tuple[Tensor, Tensor]]] = {
    "standard": standard,
    "matched": matched,
}
"""Mean (d,) and covariance (d, d) of the normal law that takes the place of the noised data's."""


class Sampler:
    """Draws points of every model, each on its own random stream.

    Args:
        denoise: for S models.
        moments: of the data.
        settings: of the config's `sampling`: start, sampler (kind, and what it takes), steps.
        points: how many of each.
        streams: one name a model.
    """

    def __init__(
        self,
        denoise: Denoise,
        schedule: Schedule,
        moments: Moments,
        settings: Mapping[str, Any],
        points: int,
        streams: Sequence[int | str],
        device: torch.device,
    ):
        self.schedule, self.streams, self.points, self.device = schedule, streams, points, device
        levels = make_levels(schedule, settings["steps"])
        options = {key: value for key, value in settings["sampler"].items() if key != "kind"}
        self.run = partial(SAMPLERS[settings["sampler"]["kind"]], denoise, levels, **options)
        mean, covariance = STARTS[settings["start"]](schedule, moments)
        self.mean = mean.float().to(device)
        self.factor = torch.linalg.cholesky(covariance).mT.float().to(device)
        self.tile = min(points, BLOCK if device.type == "cuda" else TILE)
        shape = len(streams), self.tile, len(mean)
        self.noise = torch.zeros(len(levels.t), *shape, device=device)
        self.x_0 = torch.zeros(shape, device=device)
        self._reverse: Callable[[], None] = self._run_tile

    @torch.no_grad()
    def warm_up(self) -> None:
        """Draw a tile for nothing; on CUDA, capture all its steps as one graph."""
        if self.device.type == "cuda":
            self._reverse = captured(self._run_tile)
        else:
            self._run_tile()

    @torch.no_grad()
    def draw(self, origin: Tensor | None = None) -> Tensor:
        """All points, (S, points, d) in float32; the same ones each time.

        Args:
            origin: clean points (points, d) whose noisy versions to start from instead.

        Raises:
            ValueError: a point is not finite.
        """
        alpha, sigma = self.schedule.alpha[-1].item(), self.schedule.sigma[-1].item()
        # A network of the user's own may draw in evaluation mode too.
        seed_generators(stream_seed("/".join(map(str, self.streams)), "module"), self.device)
        out = torch.empty(len(self.streams), self.points, self.x_0.shape[-1], device=self.device)
        for first in range(0, self.points, BLOCK):
            noise = self._draw_noise(first)
            if origin is None:
                noise[0] = self.mean + noise[0] @ self.factor
            else:
                noise[0] = alpha * origin[first : first + BLOCK] + sigma * noise[0]
            for left in range(0, noise.shape[2], self.tile):
                tile = noise[:, :, left : left + self.tile]
                rows = tile.shape[2]
                self.noise[:, :, :rows] = tile
                self._reverse()
                out[:, first + left : first + left + rows] = self.x_0[:, :rows]
        finite = out.isfinite().all(dim=-1)
        if not finite.all():
            broken = finite.numel() - int(finite.sum())
            raise ValueError(
                f"{broken} of {finite.numel()} points drawn are NaN or infinite, "
                "as the network's outputs are: train it again"
            )
        return out

    def _draw_noise(self, first: int) -> Tensor:
        """The random numbers of a block of points, (N, S, points, d)."""
        steps, models, _, d = self.noise.shape
        count = min(BLOCK, self.points - first)
        noise = torch.empty(steps, models, count, d, device=self.device)
        generator = torch.Generator(self.device)
        for model, stream in enumerate(self.streams):
            generator.manual_seed(stream_seed(stream, "sampling", first))
            noise[:, model] = torch.randn(steps, count, d, generator=generator, device=self.device)
        return noise

    def _run_tile(self) -> None:
        self.x_0.copy_(self.run(self.noise[0], self.noise[1:]))
