"""Density and score of a known distribution at several noise levels, exact and by a model."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from dualscale.data.sources import DISTRIBUTION
from dualscale.model import load_model
from dualscale.reporting.figures import use_style, write_figure
from dualscale.runtime.devices import open_device
from execution.job import run

LEVELS = 5  # panels, evenly spaced in the timesteps
GRID, ARROWS = 160, 20  # cells and arrows along each side


def main(
    model: Path, figures: list[Path], *, settings: Mapping, label: str, architecture: str | None
) -> None:
    """Draw two rows of panels over the noise levels and save the figure.

    Above, the exact density with the exact score as arrows; below, the squared error of the model's
    score times sigma², with the model's score as arrows.

    Args:
        settings: of a dataset that is a known distribution in the plane.
        label: the model's name.

    Raises:
        ValueError: the distribution is not two-dimensional.
    """
    distribution = DISTRIBUTION.validate_python(settings["distribution"]).build()
    if distribution.dimensions != 2:
        raise ValueError(f"fields need two dimensions; the dataset has {distribution.dimensions}")
    trained = load_model(model, open_device(0, 1), architecture)
    alpha, sigma = trained.levels.alpha.tolist(), trained.levels.sigma.tolist()
    level = np.exp(trained.levels.log_ratio).tolist()
    use_style()
    figure, axes = plt.subplots(
        2, LEVELS, figsize=(1.9 * LEVELS + 0.6, 4.1), sharex="col", sharey="col"
    )
    for column, t in enumerate(np.linspace(0, len(alpha) - 1, LEVELS).round().astype(int).tolist()):
        reach = 4.6 * alpha[t] + 2 * sigma[t]
        cells, arrows = square(reach, GRID), square(reach, ARROWS)
        density = np.exp(distribution.log_density(cells, alpha[t], sigma[t]))
        with torch.no_grad():
            found, drawn = (
                -trained.denoiser.noise(torch.from_numpy(x).float()[None], t)[0].numpy() / sigma[t]
                for x in (cells, arrows)
            )
        exact, score = (distribution.score(x, alpha[t], sigma[t]) for x in (cells, arrows))
        error = sigma[t] ** 2 * np.square(found - exact).mean(axis=1)
        panel(axes[0, column], density**0.5, reach, arrows, score, None)
        panel(axes[1, column], error, reach, arrows, drawn, 1.0)
        axes[0, column].set_title(f"t = {t}\nsigma / alpha = {level[t]:.3g}")
    axes[0, 0].set_ylabel("exact: root of the density,\nscore")
    axes[1, 0].set_ylabel(f"{label}:\nerror of the score, score", parse_math=False)
    write_figure(figure, figures)


def square(reach: float, count: int) -> np.ndarray:
    """Points of a square grid, (count², 2), row by row."""
    ticks = np.linspace(-reach, reach, count)
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def panel(
    axis: plt.Axes,
    values: np.ndarray,
    reach: float,
    points: np.ndarray,
    score: np.ndarray,
    most: float | None,
) -> None:
    """Draw an image of values from 0 to `most`, with arrows of equal length along the score."""
    axis.imshow(
        values.reshape(GRID, GRID),
        origin="lower",
        extent=(-reach, reach, -reach, reach),
        cmap="cividis",
        vmin=0,
        vmax=most,
    )
    length = np.maximum(np.linalg.norm(score, axis=1, keepdims=True), 1e-12)
    axis.quiver(*points.T, *(score / length).T, color="white", scale=32, width=0.004, alpha=0.8)
    axis.set_xticks([])
    axis.set_yticks([])


run(main, globals())
