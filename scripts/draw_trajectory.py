"""Draw points from a model, and store their way from noise to data and the model's score field."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.trajectory import rescaling, trajectory
from dualscale.model import Model, load_model
from dualscale.reporting.figures import planar
from dualscale.reporting.grids import ARROWS, lattice, panel
from dualscale.runtime.devices import open_device
from dualscale.runtime.files import atomic_write
from execution.job import run

POINTS, FRAMES = 1500, 24
END = -1  # in place of a timestep: the samples


def main(
    model: Path,
    real: Path,
    states: Path,
    *,
    settings: Mapping,
    stream: str,
    architecture: str | None,
) -> None:
    """Write an npz file of two coordinates at L noise levels, of which the last is END.

    They are the first two, of a table the first two numbers. It holds `timesteps` (L,); `ratios`,
    sigma / alpha, (L,); `points` (L, n, 2) as the trajectory has them; the corners of the panel,
    `low` and `high`, (2,), which frame the real points; and in the plane `scores`, sigma times the
    model's score on a lattice of the panel, (L, ARROWS², 2). A model whose units mix columns has
    none, nor one whose sampler has no score.

    Args:
        settings: of the variant's sampling.
        stream: name of the random stream.
    """
    trained = load_model(model, open_device(0, 1), architecture)
    sampling = Sampling.model_validate(settings)
    drawn = trajectory(trained.sampler(sampling, POINTS, [stream]))
    chosen = np.linspace(0, len(drawn.t), FRAMES).round().astype(int)
    timesteps = np.array([*drawn.t, END])[chosen]
    levels = np.where(timesteps == END, drawn.t[-1], timesteps)
    first = trained.columns.numbers_first
    low, high = panel(first(np.load(real, allow_pickle=False)))
    found = {
        "timesteps": timesteps,
        "ratios": np.where(timesteps == END, 0, np.exp(trained.levels.log_ratio[levels])),
        "points": np.stack([planar(first(drawn.points[i])) for i in chosen]),
        "low": low,
        "high": high,
    }
    in_the_plane = len(trained.units.shift) == len(trained.moments.mean) == 2
    if in_the_plane and not trained.units.mixes_columns and sampling.sampler.has_score:
        places = lattice(low, high, ARROWS)
        found["scores"] = np.stack([scores(trained, places, t) for t in levels.tolist()])
    with atomic_write(states) as part, part.open("wb") as file:
        np.savez(file, **found)


@torch.no_grad()
def scores(model: Model, places: np.ndarray, t: int) -> np.ndarray:
    """Return sigma times the model's score at places (n, 2) in the data's units, as a trajectory's.

    The score is in the model's units.
    """
    scale = rescaling(model.levels.alpha[t].item())
    x = scale * torch.from_numpy(model.units.into_model(places.astype(np.float32)))
    return -model.denoiser.noise(x[None], t)[0].numpy()


run(main, globals())
