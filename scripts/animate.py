"""Animate the reverse process: points on their way from noise to data, a panel a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.animation import FuncAnimation, PillowWriter
from torch import Tensor

from dualscale.devices import open_device
from dualscale.figures import INK, frame_cloud, use_style
from dualscale.model import Model, load_model
from dualscale.sampling import Sampler
from job import job, whole

POINTS, FRAMES, HELD = 2000, 60, 15  # points a panel; frames on the way, and at the end
DPI = 100


def main(
    models: Sequence[str],
    real: str | Path,
    output: str | Path,
    settings: Sequence[Mapping],
    stream: str,
) -> None:
    """Write a GIF of the first two coordinates; where there is one, the other is 0.

    Args:
        models: a panel each.
        real: the dataset, whose range every panel shows.
        settings: of each model: label, sampling, and the architecture's file or None.
        stream: seed and what follows it in the names of the random numbers.
    """
    device, cpu = open_device(0, 1), torch.device("cpu")
    paths = []
    for path, chosen in zip(models, settings, strict=True):
        model = load_model(Path(path), device, chosen["architecture"])
        paths.append(trajectory(model, chosen["sampling"], stream, cpu))
    use_style()
    data = planar(np.load(real, allow_pickle=False))
    labels = [chosen["label"] for chosen in settings]
    with whole(output) as part:
        write_gif(part, paths, labels, data)


def trajectory(
    model: Model, sampling: Mapping, stream: str, device: torch.device
) -> list[np.ndarray]:
    """The points at every level that the sampler visits and at the end, in the data's units."""
    seen: list[Tensor] = []
    denoiser, levels = model.denoiser, set()
    alpha = model.schedule.alpha.tolist()

    def watched(x: Tensor, t: int) -> Tensor:
        if t not in levels:  # a sampler may ask twice at one level
            levels.add(t)
            seen.append(x[0] / max(alpha[t], 0.05))
        return denoiser(x, t)

    sampler = Sampler(watched, model.schedule, model.moments, sampling, POINTS, [stream], device)
    sampler.tile = POINTS  # all at once, so that each level is seen whole
    end = sampler.draw()[0]
    return [planar(model.units.into_data(x.numpy())) for x in [*seen, end]]


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


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.models,
            snakemake.input.real,
            snakemake.output[0],
            snakemake.params.settings,
            snakemake.params.stream,
        )
