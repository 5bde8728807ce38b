"""Samplers: from noise to points, through a denoiser and a schedule."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dualscale.devices import captured
from dualscale.schedule import Schedule
from dualscale.streams import stream_seed

Denoise = Callable[[Tensor, int], Tensor]
"""E[x_0 | x_t] for x_t (S, n, d) and a timestep that all points share."""

BLOCK = 10_000  # points whose noise is drawn at once
TILE = 1000  # points that run through all steps together on a CPU: they stay in its cache


def posterior_coefficients(schedule: Schedule) -> Tensor:
    """q(x_{t-1} | x_t, x_0) = N(a_t x_0 + b_t x_t, c_t^2 I): rows a_t, b_t, c_t, shape (T, 3).

    Equations 6 and 7 of Ho et al. (2020); the variance is beta-tilde, 0 at t = 0.
    """
    alpha_bar, beta = schedule.alpha_bar, schedule.beta
    before = torch.cat([torch.ones(1, dtype=alpha_bar.dtype), alpha_bar[:-1]])
    on_clean = before.sqrt() * beta / (1 - alpha_bar)
    on_noisy = (1 - beta).sqrt() * (1 - before) / (1 - alpha_bar)
    variance = beta * (1 - before) / (1 - alpha_bar)
    return torch.stack([on_clean, on_noisy, variance.sqrt()], dim=1)


def ancestral(denoise: Denoise, schedule: Schedule, start: Tensor, noise: Tensor) -> Tensor:
    """Run the reverse process (equation 2) from t = T-1 to 0.

    Args:
        start: x at t = T-1, (S, n, d).
        noise: standard normal numbers for the steps t = T-1 … 1, (T-1, S, n, d).
    """
    x = start
    coefficients = posterior_coefficients(schedule).tolist()
    for t in reversed(range(schedule.timesteps)):
        on_clean, on_noisy, width = coefficients[t]
        x = on_clean * denoise(x, t) + on_noisy * x
        if t > 0:
            x = x + width * noise[schedule.timesteps - 1 - t]
    return x


class Sampler:
    """Draws points of every model, each on its own random stream, from x_T ~ N(0, I).

    Args:
        denoise: for S models.
        points: how many of each.
        dimensions: d.
        streams: one name a model.
    """

    def __init__(
        self,
        denoise: Denoise,
        schedule: Schedule,
        points: int,
        dimensions: int,
        streams: Sequence[int | str],
        device: torch.device,
    ):
        self.denoise, self.schedule, self.streams = denoise, schedule, streams
        self.points, self.device = points, device
        self.tile = min(points, BLOCK if device.type == "cuda" else TILE)
        shape = len(streams), self.tile, dimensions
        self.noise = torch.zeros(schedule.timesteps, *shape, device=device)
        self.x_0 = torch.zeros(shape, device=device)
        self._reverse: Callable[[], None] = self._ancestral

    @torch.no_grad()
    def warm_up(self) -> None:
        """Draw a tile for nothing; on CUDA, capture all its steps as one graph."""
        if self.device.type == "cuda":
            self._reverse = captured(self._ancestral)
        else:
            self._ancestral()

    @torch.no_grad()
    def draw(self, origin: Tensor | None = None) -> Tensor:
        """All points, (S, points, d) in float32; the same ones each time.

        Args:
            origin: clean points (points, d) whose noisy versions to start from, not N(0, I).
        """
        alpha, sigma = self.schedule.alpha[-1].item(), self.schedule.sigma[-1].item()
        out = torch.empty(len(self.streams), self.points, self.x_0.shape[-1], device=self.device)
        for start in range(0, self.points, BLOCK):
            noise = self._draw_noise(start)
            if origin is not None:
                noise[0] = alpha * origin[start : start + BLOCK] + sigma * noise[0]
            for left in range(0, noise.shape[2], self.tile):
                tile = noise[:, :, left : left + self.tile]
                rows = tile.shape[2]
                self.noise[:, :, :rows] = tile
                self._reverse()
                out[:, start + left : start + left + rows] = self.x_0[:, :rows]
        return out

    def _draw_noise(self, start: int) -> Tensor:
        """The random numbers of a block of points, (T, S, points, d)."""
        timesteps, models, _, d = self.noise.shape
        count = min(BLOCK, self.points - start)
        noise = torch.empty(timesteps, models, count, d, device=self.device)
        generator = torch.Generator(self.device)
        for model, stream in enumerate(self.streams):
            generator.manual_seed(stream_seed(stream, "sampling", start))
            noise[:, model] = torch.randn(
                timesteps, count, d, generator=generator, device=self.device
            )
        return noise

    def _ancestral(self) -> None:
        self.x_0.copy_(ancestral(self.denoise, self.schedule, self.noise[0], self.noise[1:]))
