"""Train one model and keep its EMA weights."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.denoiser import Backbone, save_backbone
from dualscale.devices import device_name, open_device, wait_for
from dualscale.schedule import linear_schedule
from dualscale.training import Progress, Trainer, evaluation_loss
from job import logged, whole, write_json

REPORTS = 20  # lines of progress in the log


def main(
    dataset: str | Path,
    model: str | Path,
    record: str | Path,
    settings: Mapping,
    stream: str,
    gpus: int,
    threads: int,
) -> None:
    """Write the model and the record of its training: seconds, loss, parameters, device."""
    device = open_device(gpus, threads)
    data = torch.from_numpy(np.load(dataset, allow_pickle=False)).to(device)
    schedule = linear_schedule(**settings["schedule"])
    architecture = {key: settings[key] for key in ("branches", "network", "weighting")}
    backbone = Backbone(architecture, data.shape[1], schedule.timesteps, device=device)
    backbone.initialise([stream])
    trainer = Trainer(backbone, schedule, data, settings["training"], [stream])
    logging.info("training on %s", device_name(device))
    seconds = timed_training(trainer, settings["training"]["steps"])
    loss = float(evaluation_loss(backbone, schedule, data, [stream])[0])
    logging.info("evaluation loss %.5f after %.1f s of training", loss, seconds)
    with whole(model) as part:
        save_backbone(part, backbone, trainer.ema, 0, {"schedule": settings["schedule"]})
    write_json(
        record,
        {
            "train_seconds": seconds,
            "eval_loss": loss,
            "parameters": backbone.parameters_per_model,
            "device": device_name(device),
            "models_trained_together": 1,
        },
    )


def timed_training(trainer: Trainer, steps: int) -> float:
    """Train to the end and return the wall time of the optimiser's steps, in seconds."""
    trainer.warm_up()
    wait_for(trainer.device)
    start, reported = time.perf_counter(), 0
    for progress in trainer.run():
        if progress.step * REPORTS // steps > reported:
            reported = progress.step * REPORTS // steps
            log_progress(progress, steps, time.perf_counter() - start)
    wait_for(trainer.device)
    return time.perf_counter() - start


def log_progress(progress: Progress, steps: int, seconds: float) -> None:
    rate = progress.step / seconds
    logging.info(
        "step %d of %d, loss %.5f, %.0f steps/s, %.0f s left",
        progress.step,
        steps,
        float(progress.losses.mean()),
        rate,
        (steps - progress.step) / rate,
    )


if snakemake := globals().get("snakemake"):
    with logged(snakemake.log[0]):
        main(
            snakemake.input.dataset,
            snakemake.output.model,
            snakemake.output.record,
            snakemake.params.settings,
            snakemake.params.stream,
            snakemake.resources.gpu,
            snakemake.threads,
        )
