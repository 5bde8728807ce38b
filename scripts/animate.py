"""Animate the reverse process from noise to data, one panel per model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from torch import Tensor

from dualscale.diffusion.drawing import Sampling
from dualscale.model import Model, load_model
from dualscale.reporting.figures import INK, frame_cloud, use_style
from dualscale.runtime.devices import open_device
from dualscale.runtime.files import atomic_write
from execution.job import run

POINTS, FRAMES, HELD = 2000, 60, 15  # points per panel; frames of motion, then of the result
DPI = 100


def main(
    models: list[Path],
    real: Path,
    animation: Path,
    *,
    settings: Sequence[Mapping],
    stream: str,
) -> None:
    """Write a GIF of the first two coordinates; in one dimension, the second is 0.

    Args:
        models: one file per panel.
        real: the dataset, whose range every panel shows.
        settings: label, sampling and architecture file (or None) of each model.
        stream: seed and name that start the names of the random streams.
    """
    device, paths = open_device(0, 1), []
    for path, chosen in zip(models, settings, strict=True):
        model = load_model(path, device, chosen["architecture"])
        paths.append(trajectory(model, Sampling.model_validate(chosen["sampling"]), stream))
    use_style()
    data = planar(np.load(real, allow_pickle=False))
    labels = [chosen["label"] for chosen in settings]
    with atomic_write(animation) as part:
        write_gif(part, paths, labels, data)


def trajectory(model: Model, sampling: Sampling, stream: str) -> list[np.ndarray]:
    """Points at every noise level that the sampler visits and at its end, in the data's units."""
    seen: list[Tensor] = []
    process = model.sampler(sampling, POINTS, [stream])
    denoiser, levels, alpha = process.denoise, set(), model.levels.alpha.tolist()

    def watched(x: Tensor, t: int) -> Tensor:
        if t not in levels:  # two-stage samplers evaluate a level twice
            levels.add(t)
            seen.append(x[0] / max(alpha[t], 0.05))
        return denoiser(x, t)

    process.denoise = watched
    process.tile = POINTS  # one tile, so that each call has all points
    end = process.draw()[0]
    return [planar(points) for points in [*(model.units.into_data(x.numpy()) for x in seen), end]]


def planar(points: np.ndarray) -> np.ndarray:
    return np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))


def write_gif(
    path: Path, paths: Sequence[list[np.ndarray]], labels: Sequence[str], data: np.ndarray
) -> None:
    figure, axes = plt.subplots(1, len(paths), figsize=(2.4 * len(paths), 2.6), squeeze=False)
    frame_cloud(axes[0], data, margin=0.1)
    clouds = []
    for axis, label in zip(axes[0], labels, strict=True):
        axis.set_title(label, parse_math=False)
        axis.set_xticks([])
        axis.set_yticks([])
        clouds.append(axis.scatter([], [], s=1.2, linewidths=0, color=INK, alpha=0.6))

    def show(frame: int) -> list:
        share = min(frame / (FRAMES - 1), 1.0)
        for cloud, steps in zip(clouds, paths, strict=True):
            cloud.set_offsets(steps[round(share * (len(steps) - 1))])
        return clouds

    animation = FuncAnimation(figure, show, frames=FRAMES + HELD)
    animation.save(path, writer=PillowWriter(fps=20), dpi=DPI)
    plt.close(figure)


run(main, globals())
