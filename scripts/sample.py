"""Draw points from a trained model, and note the weights of its branches."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from dualscale.denoiser import Backbone, NoiseDenoiser, load_backbone
from dualscale.devices import device_name, open_device, wait_for
from dualscale.sampling import Sampler
from dualscale.schedule import linear_schedule
from job import logged, whole, write_json


def main(
    models: Sequence[str | Path],
    samples: Sequence[str | Path],
    weights: Sequence[str | Path],
    records: Sequence[str | Path],
    settings: Mapping,
    stream: str,
    gpus: int,
    threads: int,
) -> None:
    """For every model of a batch: (points, d) float32 samples, weights at each timestep, seconds.

    Args:
        models: paths, named after their seeds; each is sampled alone, so that its time is its own.
        stream: what follows the seed in the names of the random numbers.
    """
    device = open_device(gpus, threads)
    for model, *outputs in zip(models, samples, weights, records, strict=True):
        sample_model(Path(model), *outputs, settings["points"], stream, device)


def sample_model(
    model: Path,
    samples: str | Path,
    weights: str | Path,
    record: str | Path,
    points: int,
    stream: str,
    device: torch.device,
) -> None:
    backbone, about = load_backbone(model, device)
    schedule = linear_schedule(**about["schedule"])
    denoiser = NoiseDenoiser(backbone, schedule)
    streams = [f"{model.stem}/{stream}"]
    sampler = Sampler(denoiser, schedule, points, backbone.dimensions, streams, device)
    sampler.warm_up()
    wait_for(device)
    start = time.perf_counter()
    drawn = sampler.draw()[0]
    wait_for(device)
    seconds = time.perf_counter() - start
    logging.info("%s: %d points in %.3f s on %s", model, points, seconds, device_name(device))
    with whole(samples) as part, part.open("wb") as file:
        np.save(file, drawn.cpu().numpy())
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
    with logged(*snakemake.log):
        main(
            snakemake.input.models,
            snakemake.output.samples,
            snakemake.output.weights,
            snakemake.output.records,
            snakemake.params.settings,
            snakemake.params.stream,
            snakemake.resources.gpu,
            snakemake.threads,
        )
