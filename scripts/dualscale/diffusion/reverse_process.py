"""Drawing of points: the prior, the steps' random numbers and the sampler, on any device."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualscale.data.moments import Moments
from dualscale.data.units import Units, own_units
from dualscale.diffusion.denoiser import Given
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.one_hots import Accompanied, OneHots
from dualscale.diffusion.samplers import Denoise, Method
from dualscale.diffusion.schedules import NoiseLevels
from dualscale.runtime.devices import captured, seed_generators, to_device
from dualscale.runtime.streams import stream_seed

Run = Callable[[Tensor, Iterator[Tensor]], Tensor]
"""Sampler with everything bound but x at the highest noise level and the steps' noise."""

BLOCK = 10_000  # points that share a random stream and are sampled together
TILE = 1000  # points denoised at once on a CPU, so that activations stay in its cache


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


class ReverseProcess:
    """Drawing of points from a stack of models, each with its own random stream.

    Random numbers are drawn on the CPU, so they are the same for every device.

    Args:
        denoise: denoiser of S models.
        moments: of the training data, in the models' units.
        drawing: prior, sampler and number of steps.
        points: number of points per model.
        streams: one stream name per model.
        units: in which points are returned; None: the models'.
        one_hots: categories with discrete noise; None: there are none.
    """

    def __init__(
        self,
        denoise: Denoise,
        levels: NoiseLevels,
        moments: Moments,
        drawing: Drawing,
        points: int,
        streams: Sequence[int | str],
        device: torch.device,
        units: Units | None = None,
        one_hots: OneHots | None = None,
    ):
        self.denoise, self.streams, self.one_hots = denoise, streams, one_hots
        self.points, self.device = points, device
        self.units = units or own_units(len(moments.mean))
        self.levels = drawing.visited(levels)
        self.tensors = 1 + drawing.sampler.draws(self.levels)
        self.run: Run = partial(drawing.sampler.run, self._denoise_tiles, self.levels)
        if one_hots is not None:
            self.tensors += drawing.sampler.evaluations(self.levels) + 1
            self.run = partial(self._accompanied, one_hots, drawing.sampler)
        mean, covariance = drawing.prior.moments(levels.up_to(self.levels.t[0]), moments)
        self.mean = torch.from_numpy(mean).float().to(device)
        factor = torch.linalg.cholesky(torch.from_numpy(covariance))
        self.factor = factor.mT.float().to(device)
        self.tile = min(points, BLOCK if device.type == "cuda" else TILE)

    @torch.no_grad()
    def warm_up(self) -> None:
        """Run the sampler once on zeros; on CUDA, capture all steps of a block as one graph."""
        shape = len(self.streams), self.tile, len(self.mean)
        if self.device.type == "cuda":
            self.run = replayed(self.run, torch.zeros(self.tensors, *shape, device=self.device))
        else:
            zeros = torch.zeros(shape, device=self.device)
            self.run(zeros, repeat(zeros))

    @torch.no_grad()
    def draw(self, origin: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return points (S, points, columns); repeated calls return the same ones.

        Args:
            origin: clean points (points, d) in the models' units; start from their perturbed
                versions, not from the prior.

        Raises:
            ValueError: a point is not finite.
        """
        alpha, sigma = self.levels.alpha[0], self.levels.sigma[0]
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
                clean = torch.from_numpy(origin[block]).to(self.device)
                start = alpha * clean + sigma * start
            out[:, block] = self.run(start, noise)
        points = self.units.into_data(out.cpu().numpy())
        finite = np.isfinite(points).all(axis=-1)
        if not finite.all():
            broken = finite.size - int(finite.sum())
            raise ValueError(
                f"{broken} of {finite.size} points drawn are NaN or infinite, "
                "as the network's outputs are: train it again"
            )
        return points

    def _draw_noise(self, block: slice) -> Iterator[Tensor]:
        """Standard normal tensors of a block of points, (S, points, d) for each step."""
        generators = [
            torch.Generator().manual_seed(stream_seed(stream, "sampling", block.start))
            for stream in self.streams
        ]
        count = block.stop - block.start
        for numbers in normal_numbers(generators, self.tensors, count, len(self.mean)):
            yield to_device(numbers, self.device)

    def _accompanied(
        self, one_hots: OneHots, sampler: Method, x: Tensor, noise: Iterator[Tensor]
    ) -> Tensor:
        """Run the sampler, with categories of discrete noise beside it."""
        denoise = Accompanied(self._denoise_tiles, one_hots, noise)
        return denoise.at(-1, sampler.run(denoise, self.levels, x, noise))

    def _denoise_tiles(self, x: Tensor, t: int, given: Given | None = None) -> Tensor:
        """Denoise tile by tile, padding the last so that all have one shape."""
        models, points, d = x.shape
        if points == self.tile:
            return self.denoise(x, t) if given is None else self.denoise(x, t, given)
        tile, other, x_0 = *x.new_zeros(2, models, self.tile, d), torch.empty_like(x)
        for left in range(0, points, self.tile):
            rows = min(self.tile, points - left)
            tile[:, :rows] = x[:, left : left + rows]
            more = []
            if given is not None:
                other[:, :rows] = given[0][:, left : left + rows]
                more.append((other, given[1]))
            x_0[:, left : left + rows] = self.denoise(tile, t, *more)[:, :rows]
        return x_0


def replayed(run: Run, noise: Tensor) -> Run:
    """Return a sampler's run as one CUDA graph.

    Args:
        noise: the graph's input buffer for x at the highest noise level and the steps' noise, (N,
            S, n, d).
    """
    x_0 = torch.zeros_like(noise[0])
    replay = captured(lambda: x_0.copy_(run(noise[0], iter(noise[1:]))), noise.device)

    def run_graph(start: Tensor, drawn: Iterator[Tensor]) -> Tensor:
        points = start.shape[1]
        noise[0, :, :points] = start
        for here, numbers in zip(noise[1:], drawn, strict=True):
            here[:, :points] = numbers
        replay()
        return x_0[:, :points]

    return run_graph
