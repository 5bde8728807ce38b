"""Compute the exact density and score of a known distribution along a reverse process."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.data.sources import DISTRIBUTION
from dualscale.diffusion.schedules import SCHEDULE
from dualscale.diffusion.trajectory import rescaling
from dualscale.reporting.grids import ARROWS, CELLS, lattice
from dualscale.runtime.files import atomic_write
from execution.job import run


def main(trajectory: Path, fields: Path, *, settings: Mapping) -> None:
    """Write an npz file of the exact fields at the L levels and in the panel of a trajectory.

    It holds `log_density` (L, CELLS, CELLS) in nats, of points as the trajectory has them, and
    `scores`, sigma times the score, (L, ARROWS², 2). The samples have the lowest level's. Densities
    have the noise of one cell where the level has less: the lattice shows nothing finer.

    Args:
        settings: distribution in the plane; schedule.
    """
    distribution = DISTRIBUTION.validate_python(settings["distribution"]).build()
    levels = SCHEDULE.validate_python(settings["schedule"]).levels()
    with np.load(trajectory, allow_pickle=False) as file:
        timesteps, low, high = (file[name] for name in ("timesteps", "low", "high"))
    cells, arrows = (lattice(low, high, count) for count in (CELLS, ARROWS))
    cell = (high - low).max() / (CELLS - 1)
    log_density, scores = [], []
    for t in [*timesteps[:-1].tolist(), timesteps[-2].item()]:
        alpha, sigma = levels.alpha[t].item(), levels.sigma[t].item()
        scale = rescaling(alpha)
        noise = max(sigma, scale * cell)
        density = distribution.log_density(scale * cells, alpha, noise) + 2 * np.log(scale)
        log_density.append(density.reshape(CELLS, CELLS))
        scores.append(sigma * distribution.score(scale * arrows, alpha, sigma))
    with atomic_write(fields) as part, part.open("wb") as file:
        np.savez(file, log_density=np.stack(log_density), scores=np.stack(scores))


run(main, globals())
