"""Animate the reverse process from noise to data, one panel per model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from mpl_toolkits.mplot3d import Axes3D

from dualscale.data.encoding import Encoding
from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.trajectory import trajectory
from dualscale.model import load_model
from dualscale.reporting.figures import INK, frame_cloud, planar, use_style
from dualscale.reporting.space import AZIMUTH, ELEVATION, frame_space, in_space, scatter_in_space
from dualscale.runtime.devices import open_device
from dualscale.runtime.files import atomic_write
from execution.job import run

POINTS, FRAMES, HELD = 2000, 60, 15  # points per panel; frames of motion, then of the result
DPI, TURN = 100, 0.8  # degrees per frame


def main(
    models: list[Path],
    real: Path,
    animation: Path,
    *,
    settings: Sequence[Mapping],
    stream: str,
) -> None:
    """Write a GIF of points in space or, in other dimensions than three, of two coordinates.

    These are the first two, of a table the first two numbers; in one dimension, the second is 0.
    The view into space turns.

    Args:
        models: one file per panel.
        real: the dataset, whose range every panel shows.
        settings: label, sampling and architecture file (or None) of each model.
        stream: seed and name that start the names of the random streams.
    """
    device, paths = open_device(0, 1), []
    for path, chosen in zip(models, settings, strict=True):
        model = load_model(path, device, chosen["architecture"])
        sampling = Sampling.model_validate(chosen["sampling"])
        states = trajectory(model.sampler(sampling, POINTS, [stream])).points
        paths.append([shown(points, model.columns) for points in states])
    use_style()
    data = shown(np.load(real, allow_pickle=False), model.columns)
    labels = [chosen["label"] for chosen in settings]
    with atomic_write(animation) as part:
        write_gif(part, paths, labels, data)


def shown(points: np.ndarray, columns: Encoding) -> np.ndarray:
    """Return the coordinates of points (n, d) that are drawn, (n, 3) for d = 3, else (n, 2)."""
    points = columns.numbers_first(points)
    return points if points.shape[1] == 3 else planar(points)


def write_gif(
    path: Path, paths: Sequence[list[np.ndarray]], labels: Sequence[str], data: np.ndarray
) -> None:
    figure, axes = plt.subplots(1, len(paths), figsize=(2.4 * len(paths), 2.6), squeeze=False)
    panels, clouds = axes[0], []
    if data.shape[1] == 3:
        panels[:] = [in_space(panel) for panel in panels]
        frame_space(panels, data, margin=0.1)
    else:
        frame_cloud(panels, data, margin=0.1)
        plt.setp(panels, xticks=[], yticks=[])
    for panel, label in zip(panels, labels, strict=True):
        panel.set_title(label, parse_math=False)
    if data.shape[1] == 3:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # which would move the panels as they turn

    def show(frame: int) -> list:
        while clouds:
            clouds.pop().remove()
        share = min(frame / (FRAMES - 1), 1.0)
        for panel, steps in zip(panels, paths, strict=True):
            points = steps[round(share * (len(steps) - 1))]
            clouds.append(draw_cloud(panel, points, AZIMUTH + TURN * frame))
        return clouds

    animation = FuncAnimation(figure, show, frames=FRAMES + HELD)
    animation.save(path, writer=PillowWriter(fps=20), dpi=DPI)
    plt.close(figure)


def draw_cloud(panel: Axes, points: np.ndarray, azimuth: float) -> PathCollection:
    """Draw points in a panel; one into space is turned first."""
    if isinstance(panel, Axes3D):
        panel.view_init(ELEVATION, azimuth)
        return scatter_in_space(panel, points, size=1.2)
    return panel.scatter(*points.T, s=1.2, linewidths=0, color=INK, alpha=0.6)


run(main, globals())
