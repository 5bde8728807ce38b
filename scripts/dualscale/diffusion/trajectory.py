"""Trajectory: points at every noise level that the reverse process visits, and at its end."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualscale.diffusion.denoiser import Given
from dualscale.diffusion.reverse_process import ReverseProcess


@dataclass(frozen=True)
class Trajectory:
    """States of one model's points, in the data's units.

    Args:
        t: the timesteps visited, N.
        points: x_t / `rescaling(alpha_t)` at each, and the samples at last; (N + 1, n, columns).
    """

    t: list[int]
    points: NDArray[np.float32]


def rescaling(alpha: float) -> float:
    """Return what x_t is divided by to be shown beside the data: alpha, unless it is near 0."""
    return max(alpha, 0.05)


def trajectory(process: ReverseProcess) -> Trajectory:
    """Draw the points of a reverse process and keep their states.

    A level that is visited again keeps its first state, for example the predictor's in a two-stage
    sampler; of a cascade, whose coarse points come first, the second stage is kept.
    """
    seen: dict[int, Tensor] = {}
    denoise, alpha = process.denoise, process.levels.trained.alpha.tolist()

    def watched(x: Tensor, t: int, *given: Given) -> Tensor:
        if t not in seen or given:
            seen[t] = x[0] / rescaling(alpha[t])
            if process.one_hots is not None:  # 0 and 1, at every noise level
                seen[t] = torch.where(process.one_hots.mask, x[0], seen[t])
        kept: Tensor = denoise(x, t, *given)
        return kept

    process.denoise = watched
    process.tile = process.points  # one tile, so that each call has all points
    end = process.draw()[0]
    states = [process.units.into_data(x.cpu().numpy()) for x in seen.values()]
    return Trajectory(list(seen), np.stack([*states, end]))
