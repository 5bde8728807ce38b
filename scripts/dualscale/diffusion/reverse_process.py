"""Drawing of points: the prior, the steps' random numbers and the sampler, on any device."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualscale.data.moments import Moments
from dualscale.data.units import Units, own_units
from dualscale.diffusion.conditions import Condition
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
        condition: given coordinates of the points, in the units in which they are returned;
            `denoise` is handed them in the models'. None: there are none.
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
        condition: Condition | None = None,
    ):
        self.denoise, self.streams, self.one_hots = denoise, streams, one_hots
        self.points, self.device = points, device
        self.units = units or own_units(len(moments.mean))
        self.levels = drawing.visited(levels)
        self.tensors = 1 + drawing.sampler.draws(self.levels)
        self.run: Run = partial(drawing.sampler.run, self._denoise_tiles, self.levels)
        if one_hots is not None:
            one_hots.process.require_start(self.levels)
            self.tensors += drawing.sampler.evaluations(self.levels) + 1
            self.run = partial(self._accompanied, one_hots, drawing.sampler)
        self.dimensions = len(moments.mean)
        self.tile = min(points, BLOCK if device.type == "cuda" else TILE)
        self.condition, groups = condition, iter([(np.arange(points), moments)])
        if condition is not None:
            given = condition.in_model(self.units)
            groups, self.given_points = given.groups(moments), given.tensor()
            # The denoiser's, of a block: a CUDA graph reads it, and a last tile may be padded.
            size = min(points, BLOCK) + self.tile
            self.given = torch.zeros(2, size, self.dimensions, device=device)
        self.starts: list[tuple[NDArray[np.intp], Tensor, Tensor]] = []
        for rows, known in groups:
            mean, covariance = drawing.prior.moments(levels.up_to(self.levels.t[0]), known)
            factor = torch.linalg.cholesky(torch.from_numpy(covariance)).mT.float().to(device)
            self.starts.append((rows, torch.from_numpy(mean).float().to(device), factor))

    @torch.no_grad()
    def warm_up(self) -> None:
        """Run the sampler once on zeros; on CUDA, capture all steps of a block as one graph."""
        shape = len(self.streams), self.tile, self.dimensions
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
        out = torch.empty(len(self.streams), self.points, self.dimensions, device=self.device)
        for first in range(0, self.points, BLOCK):
            block = slice(first, min(first + BLOCK, self.points))
            noise = self._draw_noise(block)
            start = next(noise)
            if origin is None:
                start = self._start(start, block)
            else:
                clean = torch.from_numpy(origin[block]).to(self.device)
                start = alpha * clean + sigma * start
            if self.condition is not None:
                self.given[:, : start.shape[1]] = self.given_points[:, block]
            out[:, block] = self.run(start, noise)
        points = self.units.into_data(out.cpu().numpy())
        if self.condition is not None:
            points = np.where(self.condition.given, self.condition.values, points)
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
        for numbers in normal_numbers(generators, self.tensors, count, self.dimensions):
            yield to_device(numbers, self.device)

    def _accompanied(
        self, one_hots: OneHots, sampler: Method, x: Tensor, noise: Iterator[Tensor]
    ) -> Tensor:
        """Run the sampler, with categories of discrete noise beside it."""
        denoise = Accompanied(self._denoise_tiles, one_hots, noise)
        return denoise.at(-1, sampler.run(denoise, self.levels, x, noise))

    def _start(self, noise: Tensor, block: slice) -> Tensor:
        """Return points of the prior, from standard normal ones of a block (S, n, d)."""
        if self.condition is None:
            [(_, mean, factor)] = self.starts
            return mean + noise @ factor
        start = torch.empty_like(noise)
        for rows, mean, factor in self.starts:
            here = np.flatnonzero((block.start <= rows) & (rows < block.stop))
            places = to_device(torch.from_numpy(rows[here] - block.start), self.device)
            means = mean[to_device(torch.from_numpy(here), self.device)]
            start[:, places] = means + noise[:, places] @ factor
        return start

    def _denoise_tiles(self, x: Tensor, t: int, given: Given | None = None) -> Tensor:
        """Denoise tile by tile, padding the last so that all have one shape."""
        models, points, d = x.shape
        if points == self.tile:
            more = self._given(0) if given is None else [given]
            return self.denoise(x, t, *more)
        tile, other, x_0 = *x.new_zeros(2, models, self.tile, d), torch.empty_like(x)
        for left in range(0, points, self.tile):
            rows = min(self.tile, points - left)
            tile[:, :rows] = x[:, left : left + rows]
            more = self._given(left)
            if given is not None:
                other[:, :rows] = given[0][:, left : left + rows]
                more = [(other, given[1])]
            x_0[:, left : left + rows] = self.denoise(tile, t, *more)[:, :rows]
        return x_0

    def _given(self, left: int) -> list[Any]:
        """Return what the denoiser of a tile is handed beside its points: values and flags."""
        return [] if self.condition is None else [self.given[:, left : left + self.tile]]


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
