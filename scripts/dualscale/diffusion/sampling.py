"""Samplers: from the prior to samples, through a denoiser and a schedule.

A sampler steps through N of the schedule's timesteps in order of falling noise, and ends at
noise-free data.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from dualscale.data.moments import Moments
from dualscale.diffusion.schedule import Schedule
from dualscale.runtime.devices import captured, seed_generators, to_device
from dualscale.runtime.streams import stream_seed

Denoise = Callable[[Tensor, int], Tensor]
"""Estimate of E[x_0 | x_t] from x_t (S, n, d) and a timestep shared by all points."""
Run = Callable[[Tensor, Iterator[Tensor]], Tensor]
"""Sampler with everything bound but x at the highest noise level and the steps' noise."""

BLOCK = 10_000  # points that share a random stream and are sampled together
TILE = 1000  # points denoised at once on a CPU, so that activations stay in its cache


@dataclass(frozen=True)
class Levels:
    """Noise levels that a sampler visits, in falling order, ending in noise-free data.

    Args:
        t: N timesteps.
        alpha, sigma: N + 1 values, of which the last are 1 and 0.
    """

    t: list[int]
    alpha: list[float]
    sigma: list[float]


def make_levels(schedule: Schedule, steps: int | None) -> Levels:
    """Return the noise levels of `steps` evenly spaced timesteps, including the noisiest.

    This is "trailing" timestep spacing (Lin et al. 2024, table 2; diffusers). None: all timesteps.
    """
    count = schedule.timesteps
    steps = steps or count
    t = [math.ceil(count * (steps - i) / steps) - 1 for i in range(steps)]
    alpha, sigma = schedule.alpha.tolist(), schedule.sigma.tolist()
    return Levels(t, [*(alpha[i] for i in t), 1.0], [*(sigma[i] for i in t), 0.0])


def ancestral(
    denoise: Denoise, levels: Levels, start: Tensor, noise: Iterator[Tensor], variance: str
) -> Tensor:
    """Sample from q(x_s | x_t, x_0 = E[x_0 | x_t]) level by level (the paper's equation 2).

    Equations 6 and 7 of Ho et al. (2020), for any schedule (Kingma et al. 2021, appendix A.4).

    Args:
        start: x at the highest noise level, (S, n, d).
        noise: standard normal tensors (S, n, d), one for each step but the last.
        variance: "posterior", Ho et al.'s beta-tilde (fixed_small), or "forward", their beta
            (fixed_large).
    """
    x = start
    for i, t in enumerate(levels.t):
        (alpha, beyond), (sigma, left) = levels.alpha[i : i + 2], levels.sigma[i : i + 2]
        gained = sigma**2 - (alpha / beyond * left) ** 2  # variance of q(x_t | x_s)
        x_0 = denoise(x, t)
        x = (beyond * gained / sigma**2) * x_0 + (alpha / beyond * left**2 / sigma**2) * x
        if left > 0:
            width = gained * left**2 / sigma**2 if variance == "posterior" else gained
            x = x + math.sqrt(width) * next(noise)
    return x


def ddim(denoise: Denoise, levels: Levels, start: Tensor, noise: Iterator[Tensor]) -> Tensor:
    """Deterministic DDIM (Song et al. 2021, DDIM, equation 12 with eta = 0).

    These are Euler steps of the probability-flow ODE in x / alpha over sigma / alpha.
    """
    x = start
    for i, t in enumerate(levels.t):
        (alpha, beyond), (sigma, left) = levels.alpha[i : i + 2], levels.sigma[i : i + 2]
        x = (beyond - alpha * left / sigma) * denoise(x, t) + (left / sigma) * x
    return x


def heun(denoise: Denoise, levels: Levels, start: Tensor, noise: Iterator[Tensor]) -> Tensor:
    """Heun's method for the probability-flow ODE (Karras et al. 2022, algorithm 1).

    Integrates y = x / alpha over s = sigma / alpha with two evaluations per step, and one in the
    last, since the slope is undefined at s = 0. alpha must be positive.
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
    """DPM-Solver++(2M) (Lu et al. 2023, algorithm 2).

    Second order from the last two evaluations; first order in the first and the last step.
    """
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
    """Number of network function evaluations (NFE) per sample."""
    return 2 * steps - 1 if kind == "heun" else steps


def standard(schedule: Schedule, moments: Moments) -> tuple[Tensor, Tensor]:
    """Prior for data of mean 0 and covariance I: N(0, (alpha² + sigma²) I).

    This is N(0, I) for variance-preserving schedules.
    """
    power = schedule.alpha[-1] ** 2 + schedule.sigma[-1] ** 2
    return torch.zeros_like(moments.mean), power * torch.eye(len(moments.mean)).double()


def matched(schedule: Schedule, moments: Moments) -> tuple[Tensor, Tensor]:
    """Moment-matched Gaussian prior, with the mean and covariance of q(x_T)."""
    alpha, sigma = schedule.alpha[-1], schedule.sigma[-1]
    noise = sigma**2 * torch.eye(len(moments.mean)).double()
    return alpha * moments.mean, alpha**2 * moments.covariance + noise


STARTS: dict[str, Callable[[Schedule, Moments], tuple[Tensor, Tensor]]] = {
    "standard": standard,
    "matched": matched,
}
"""Gaussian priors used in place of q(x_T), each as mean (d,) and covariance (d, d)."""


def normal_numbers(
    generators: Sequence[torch.Generator], steps: int, points: int, d: int
) -> Iterator[Tensor]:
    """Standard normal tensors (S, points, d) for each step, generated a few at a time.

    They equal `torch.randn(steps, points, d)` for each generator. PyTorch transforms uniform into
    normal numbers in groups of sixteen, and recomputes the last sixteen of a call. The pieces are
    therefore multiples of sixteen, and the last has at least sixteen.
    """
    numbers = points * d
    piece = 16 // math.gcd(16, numbers)
    while steps > 0:
        count = piece if (steps - piece) * numbers >= 16 else steps
        drawn = [torch.randn(count, points, d, generator=generator) for generator in generators]
        yield from torch.stack(drawn, dim=1)
        steps -= count


class Sampler:
    """Sampler of a stack of models, each with its own random stream.

    Random numbers are drawn on the CPU, so they are the same for every device.

    Args:
        denoise: denoiser of S models.
        moments: of the data.
        settings: `start`, `sampler` and `steps` of the configuration's `sampling`.
        points: number of samples per model.
        streams: one stream name per model.
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
        """Run the sampler once on zeros; on CUDA, capture all steps of a block as one graph."""
        shape = len(self.streams), self.tile, len(self.mean)
        if self.device.type == "cuda":
            self.run = replayed(self.run, torch.zeros(self.steps, *shape, device=self.device))
        else:
            zeros = torch.zeros(shape, device=self.device)
            self.run(zeros, repeat(zeros))

    @torch.no_grad()
    def draw(self, origin: Tensor | None = None) -> Tensor:
        """Return samples (S, points, d) in float32; repeated calls return the same ones.

        Args:
            origin: clean points (points, d); start from their perturbed versions, not from the
                prior.

        Raises:
            ValueError: a sample is not finite.
        """
        alpha, sigma = self.schedule.alpha[-1].item(), self.schedule.sigma[-1].item()
        # User-defined networks may use random numbers in evaluation mode.
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
        """Standard normal tensors of a block of points, (S, points, d) for each step."""
        generators = [
            torch.Generator().manual_seed(stream_seed(stream, "sampling", block.start))
            for stream in self.streams
        ]
        count = block.stop - block.start
        for numbers in normal_numbers(generators, self.steps, count, len(self.mean)):
            yield to_device(numbers, self.device)

    def _denoise_tiles(self, x: Tensor, t: int) -> Tensor:
        """Denoise tile by tile, padding the last so that all have one shape."""
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
    """Return a sampler's run as one CUDA graph.

    Args:
        noise: the graph's input buffer for x at the highest noise level and the steps' noise, (N,
            S, n, d).
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
