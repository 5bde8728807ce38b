"""Samplers: from noise to points, through a denoiser and a schedule.

A sampler runs through N of the schedule's timesteps, from the noisiest on, and ends at clean data.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from dualscale.devices import captured, seed_generators, to_device
from dualscale.model import Moments
from dualscale.schedule import Schedule
from dualscale.streams import stream_seed

Denoise = Callable[[Tensor, int], Tensor]
"""E[x_0 | x_t] for x_t (S, n, d) and a timestep that all points share."""
Run = Callable[[Tensor, Iterator[Tensor]], Tensor]
"""A sampler with all but its start and its noise."""

BLOCK = 10_000  # points that share a random stream, and take every step together
TILE = 1000  # points that a CPU denoises at once: what the network makes of them stays in its cache


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
    denoise: Denoise, levels: Levels, start: Tensor, noise: Iterator[Tensor], variance: str
) -> Tensor:
    """Draw from q(x_s | x_t, E[x_0 | x_t]), level by level (the paper's equation 2).

    Equations 6 and 7 of Ho et al. (2020) for any schedule (Kingma et al. 2021, appendix A.4).

    Args:
        start: x at the noisiest level, (S, n, d).
        noise: standard normal numbers (S, n, d) for each step but the last, in turn.
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
            x = x + math.sqrt(width) * next(noise)
    return x


def ddim(denoise: Denoise, levels: Levels, start: Tensor, noise: Iterator[Tensor]) -> Tensor:
    """The probability flow's Euler steps in x / alpha (Song et al. 2021, DDIM, equation 12 with
    eta = 0)."""
    x = start
    for i, t in enumerate(levels.t):
        (alpha, beyond), (sigma, left) = levels.alpha[i : i + 2], levels.sigma[i : i + 2]
        x = (beyond - alpha * left / sigma) * denoise(x, t) + (left / sigma) * x
    return x


def heun(denoise: Denoise, levels: Levels, start: Tensor, noise: Iterator[Tensor]) -> Tensor:
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


def dpm_solver(denoise: Denoise, levels: Levels, start: Tensor, noise: Iterator[Tensor]) -> Tensor:
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


def normal_numbers(
    generators: Sequence[torch.Generator], steps: int, points: int, d: int
) -> Iterator[Tensor]:
    """Standard normal numbers (S, points, d) for each step in turn: the very numbers of one call
    `torch.randn(steps, points, d)` for each generator, of which few are held at a time.

    PyTorch turns uniform numbers into normal ones by sixteens, and makes the last sixteen of a call
    anew. Pieces of the call are therefore multiples of sixteen, and the last holds sixteen or more.
    """
    numbers = points * d
    piece = 16 // math.gcd(16, numbers)
    while steps > 0:
        count = piece if (steps - piece) * numbers >= 16 else steps
        drawn = [torch.randn(count, points, d, generator=generator) for generator in generators]
        yield from torch.stack(drawn, dim=1)
        steps -= count


class Sampler:
    """Draws points of every model, each on its own random stream.

    The random numbers come from the CPU and are the same for every device.

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
        self.denoise, self.schedule, self.streams = denoise, schedule, streams
        self.points, self.device = points, device
        levels = make_levels(schedule, settings["steps"])
        self.steps = len(levels.t)
        options = {key: value for key, value in settings["sampler"].items() if key != "kind"}
        sampler = SAMPLERS[settings["sampler"]["kind"]]
        self.run: Run = partial(sampler, self._denoise_tiles, levels, **options)
        mean, covariance = STARTS[settings["start"]](schedule, moments)
        self.mean = mean.float().to(device)
        self.factor = torch.linalg.cholesky(covariance).mT.float().to(device)
        self.tile = min(points, BLOCK if device.type == "cuda" else TILE)

    @torch.no_grad()
    def warm_up(self) -> None:
        """Draw a tile for nothing; on CUDA, capture all steps of a block as one graph."""
        shape = len(self.streams), self.tile, len(self.mean)
        if self.device.type == "cuda":
            self.run = replayed(self.run, torch.zeros(self.steps, *shape, device=self.device))
        else:
            zeros = torch.zeros(shape, device=self.device)
            self.run(zeros, repeat(zeros))

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
        out = torch.empty(len(self.streams), self.points, len(self.mean), device=self.device)
        for first in range(0, self.points, BLOCK):
            block = slice(first, min(first + BLOCK, self.points))
            noise = self._draw_noise(block)
            start = next(noise)
            if origin is None:
                start = self.mean + start @ self.factor
            else:
                start = alpha * origin[block] + sigma * start
            out[:, block] = self.run(start, noise)
        finite = out.isfinite().all(dim=-1)
        if not finite.all():
            broken = finite.numel() - int(finite.sum())
            raise ValueError(
                f"{broken} of {finite.numel()} points drawn are NaN or infinite, "
                "as the network's outputs are: train it again"
            )
        return out

    def _draw_noise(self, block: slice) -> Iterator[Tensor]:
        """The random numbers of a block of points, (S, points, d) for each step in turn."""
        generators = [
            torch.Generator().manual_seed(stream_seed(stream, "sampling", block.start))
            for stream in self.streams
        ]
        count = block.stop - block.start
        for numbers in normal_numbers(generators, self.steps, count, len(self.mean)):
            yield to_device(numbers, self.device)

    def _denoise_tiles(self, x: Tensor, t: int) -> Tensor:
        """Denoise a tile at a time; the last one is filled up, so that all have one shape."""
        models, points, d = x.shape
        if points == self.tile:
            return self.denoise(x, t)
        tile, x_0 = x.new_zeros(models, self.tile, d), torch.empty_like(x)
        for left in range(0, points, self.tile):
            rows = min(self.tile, points - left)
            tile[:, :rows] = x[:, left : left + rows]
            x_0[:, left : left + rows] = self.denoise(tile, t)[:, :rows]
        return x_0


def replayed(run: Run, noise: Tensor) -> Run:
    """A sampler's run as one CUDA graph.

    Args:
        noise: where the graph finds its start and the noise of every step, (N, S, n, d).
    """
    x_0 = torch.zeros_like(noise[0])
    replay = captured(lambda: x_0.copy_(run(noise[0], iter(noise[1:]))))

    def run_graph(start: Tensor, drawn: Iterator[Tensor]) -> Tensor:
        points = start.shape[1]
        noise[0, :, :points] = start
        for here, numbers in zip(noise[1:], drawn, strict=True):
            here[:, :points] = numbers
        replay()
        return x_0[:, :points]

    return run_graph
