"""Distillation: noisy points, and where a teacher's probability-flow ODE leads from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dualscale.diffusion.reverse_process import TILE
from dualscale.diffusion.samplers import DPMSolver
from dualscale.diffusion.schedules import NoiseLevels
from dualscale.diffusion.spacings import Geometric
from dualscale.model import Model
from dualscale.runtime.devices import to_device
from dualscale.runtime.streams import stream_seed
from dualscale.training.targets import Distilled


@dataclass(frozen=True)
class Ends:
    """Ends of the ODE of S teachers from n noisy points at each of L levels.

    Args:
        timesteps: of the levels, (L,).
        points: the ends, (S, L, n, d).
        noise: with which an end becomes the noisy point that leads to it, (S, L, n, d).
    """

    timesteps: Tensor
    points: Tensor
    noise: Tensor

    def at(self, levels: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return timesteps (…, S, n), ends and noise (…, S, n, d), by places of level and point."""
        models = torch.arange(len(self.points), device=points.device)[:, None]
        chosen = models, levels, points
        return self.timesteps[levels], self.points[chosen], self.noise[chosen]


@torch.no_grad()
def teach(
    teachers: Sequence[Model],
    data: Tensor,
    timesteps: Sequence[int],
    target: Distilled,
    streams: Sequence[int | str],
) -> Ends:
    """Return the ends of every teacher's ODE from perturbed training points at each timestep.

    Args:
        teachers: one model for each of S.
        data: training set, (N, d) in the models' units.
        timesteps: of the levels.
        streams: one stream name per model.
    """
    ends, noises = [], []
    for teacher, stream in zip(teachers, streams, strict=True):
        for t in timesteps:
            generator = torch.Generator().manual_seed(stream_seed(stream, "distillation", t))
            rows = torch.randint(len(data), (target.points,), generator=generator)
            noise = torch.randn(target.points, data.shape[1], generator=generator)
            x_0, noise = data[to_device(rows, data.device)], to_device(noise, data.device)
            alpha, sigma = teacher.levels.alpha[t].item(), teacher.levels.sigma[t].item()
            x = alpha * x_0 + sigma * noise
            ends.append(end_of_ode(teacher, x, t, target.steps))
            noises.append((x - alpha * ends[-1]) / sigma)
    shape = len(teachers), len(timesteps), target.points, data.shape[1]
    levels = torch.tensor(timesteps, device=data.device)
    return Ends(levels, torch.stack(ends).view(shape), torch.stack(noises).view(shape))


def end_of_ode(teacher: Model, x: Tensor, t: int, steps: int) -> Tensor:
    """Return where the probability-flow ODE of a model leads from x_t (n, d), in its units.

    Args:
        steps: from the model's highest level to its lowest; below t, as many as that share asks.
    """
    levels, denoise = teacher.levels, teacher.denoiser
    path = Geometric(sigma_max=(levels.sigma[t] / levels.alpha[t]).item()).visited(
        levels, steps_below(levels, t, steps)
    )
    size = len(x) if x.device.type == "cuda" else TILE
    parts = [DPMSolver().run(denoise, path, part[None], iter(())) for part in x.split(size)]
    return torch.cat(parts, dim=1)[0]


def steps_below(levels: NoiseLevels, t: int, steps: int) -> int:
    """Return the number of steps from timestep t, of those from the highest level; 2 at least."""
    ratio = levels.log_ratio
    share = (ratio[t] - ratio[0]) / (ratio[-1] - ratio[0])
    return min(t + 1, max(2, math.ceil(steps * share)))
