"""Samplers: from noise to points, through a denoiser and a schedule."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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


@torch.no_grad()
def sample(
    denoise: Denoise,
    schedule: Schedule,
    points: int,
    dimensions: int,
    streams: Sequence[int | str],
    device: torch.device,
) -> Tensor:
    """Draw points of every model, each on its own random stream, from x_T ~ N(0, I).

    Returns:
        (S, points, d), float32.
    """
    out = torch.empty(len(streams), points, dimensions, device=device)
    generator = torch.Generator(device)
    for start in range(0, points, BLOCK):
        count = min(BLOCK, points - start)
        noise = torch.empty(schedule.timesteps, len(streams), count, dimensions, device=device)
        for model, stream in enumerate(streams):
            generator.manual_seed(stream_seed(stream, "sampling", start))
            noise[:, model] = torch.randn(
                schedule.timesteps, count, dimensions, generator=generator, device=device
            )
        width = count if device.type == "cuda" else TILE
        for left in range(0, count, width):
            tile = noise[:, :, left : left + width]
            x = ancestral(denoise, schedule, tile[0], tile[1:])
            out[:, start + left : start + left + x.shape[1]] = x
    return out
