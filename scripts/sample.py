"""Draw points from a trained model, and note the weights of its branches."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.denoiser import Backbone, NoiseDenoiser, load_backbone
from dualscale.devices import device_name, open_device, wait_for
from dualscale.sampling import TILE, sample
from dualscale.schedule import linear_schedule
from job import logged, whole, write_json


def main(
    model: str | Path,
    samples: str | Path,
    weights: str | Path,
    record: str | Path,
    settings: Mapping,
    stream: str,
    gpus: int,
    threads: int,
) -> None:
    """Write (points, d) float32 samples, the weights at each timestep, and the seconds taken."""
    device = open_device(gpus, threads)
    backbone, about = load_backbone(Path(model), device)
    schedule = linear_schedule(**about["schedule"])
    denoiser = NoiseDenoiser(backbone, schedule)

    def draw(points: int) -> torch.Tensor:
        return sample(denoiser, schedule, points, backbone.dimensions, [stream], device)

    # Warm up on the shapes that will be timed: all points at once on a GPU, tiles on a CPU.
    draw(settings["points"] if device.type == "cuda" else min(settings["points"], TILE))
    wait_for(device)
    start = time.perf_counter()
    points = draw(settings["points"])
    wait_for(device)
    seconds = time.perf_counter() - start
    logging.info("%d points in %.3f s on %s", len(points[0]), seconds, device_name(device))
    with whole(samples) as part, part.open("wb") as file:
        np.save(file, points[0].cpu().numpy())
    write_weights(weights, backbone)
    write_json(record, {"sample_seconds": seconds, "device": device_name(device)})


def write_weights(path: str | Path, backbone: Backbone) -> None:
    """CSV: timestep, then a column of weights for each branch."""
    with torch.no_grad():
        table = backbone.branch_weights()
    if table is None:
        table = torch.ones(1, backbone.timesteps, 1)
    rows = np.column_stack([np.arange(backbone.timesteps), table[0].cpu().numpy()])
    header = ",".join(["timestep", *backbone.branches])
    with whole(path) as part:
        np.savetxt(
            part,
            rows,
            fmt=["%d"] + ["%.6f"] * len(backbone.branches),
            delimiter=",",
            header=header,
            comments="",
        )


if snakemake := globals().get("snakemake"):
    with logged(snakemake.log[0]):
        main(
            snakemake.input.model,
            snakemake.output.samples,
            snakemake.output.weights,
            snakemake.output.record,
            snakemake.params.settings,
            snakemake.params.stream,
            snakemake.resources.gpu,
            snakemake.threads,
        )
