"""Compute the optimal denoiser's predictions for perturbed real points at every timestep."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.data.sources import DISTRIBUTION
from dualscale.diffusion.oracle import ExactDenoiser
from dualscale.diffusion.schedules import SCHEDULE
from dualscale.runtime.files import atomic_write
from dualscale.runtime.streams import stream_seed
from execution.job import run


def main(exact: Path, *, settings: Mapping, dataset: str) -> None:
    """Write exact references for evaluation as an npz file.

    It holds perturbed points `x` and E[eps | x] `noise`, both (T, n, d) in float32, and the exact
    log-density `log_density` (n,) in nats of the points at the lowest noise level.
    """
    distribution = DISTRIBUTION.validate_python(settings["distribution"]).build()
    levels = SCHEDULE.validate_python(settings["schedule"]).levels()
    optimal = ExactDenoiser(distribution, levels)
    rng = np.random.default_rng(stream_seed(dataset, "exact"))
    x, noise = [], []
    for t, (alpha, sigma) in enumerate(zip(optimal.alpha, optimal.sigma, strict=True)):
        real = distribution.sample(settings["points"], rng)
        noisy = alpha * real + sigma * rng.standard_normal(real.shape)
        x.append(noisy.astype(np.float32))
        noise.append(optimal.noise(torch.from_numpy(x[t])[None], t)[0].numpy())
    log_density = distribution.log_density(
        x[0].astype(np.float64), optimal.alpha[0], optimal.sigma[0]
    )
    with atomic_write(exact) as part, part.open("wb") as file:
        np.savez(file, x=np.stack(x), noise=np.stack(noise), log_density=log_density)


run(main, globals())
