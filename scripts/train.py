"""Train a model, or a stack of several seeds, and keep the EMA weights."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from dualscale.devices import device_name, open_device, wait_for
from dualscale.model import Model, moments_of, units_of
from dualscale.training import Progress, Trainer, evaluation_loss
from job import logged, whole, write_json

REPORTS = 20  # lines of progress in the log


def main(
    dataset: str | Path,
    models: Sequence[str | Path],
    records: Sequence[str | Path],
    settings: Mapping,
    stream: str,
    gpus: int,
    threads: int,
) -> None:
    """Write the models of a batch of seeds, trained as one stack, and a record of each.

    Args:
        models: paths, named after their seeds.
        records: paths: seconds, loss, parameters, device, and the seeds that shared the job.
        stream: what follows the seed in the names of the random numbers.
    """
    seeds = [Path(model).stem for model in models]
    streams = [f"{seed}/{stream}" for seed in seeds]
    device = open_device(gpus, threads)
    points = torch.from_numpy(np.load(dataset, allow_pickle=False))
    units = units_of(points, settings["standardise"])
    data = units.into_model(points).to(device)
    stack = Model(settings, moments_of(data), len(seeds), device, units)
    stack.backbone.initialise(streams)
    trainer = Trainer(stack, data, settings["training"], streams)
    logging.info("training seeds %s on %s", ", ".join(seeds), device_name(device))
    seconds = timed_training(trainer, settings["training"]["steps"])
    losses = evaluation_loss(stack, data, settings["training"]["loss"], streams).tolist()
    logging.info("%.1f s of training, evaluation loss %s", seconds, listed(losses))
    for index, (model, record, loss) in enumerate(zip(models, records, losses, strict=True)):
        with whole(model) as part:
            stack.save(part, trainer.ema, index)
        write_json(
            record,
            {
                "train_seconds": seconds,
                "eval_loss": loss,
                "parameters": stack.backbone.parameters_per_model,
                "device": device_name(device),
                "seeds": [int(seed) for seed in seeds],
            },
        )


def listed(losses: Sequence[float]) -> str:
    return ", ".join(f"{loss:.5f}" for loss in losses)


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
        "step %d of %d, loss %s, %.0f steps/s, %.0f s left",
        progress.step,
        steps,
        listed(progress.losses.mean(dim=0).tolist()),
        rate,
        (steps - progress.step) / rate,
    )


if snakemake := globals().get("snakemake"):
    with logged(*snakemake.log):
        main(
            snakemake.input.dataset,
            snakemake.output.models,
            snakemake.output.records,
            snakemake.params.settings,
            snakemake.params.stream,
            snakemake.resources.gpu,
            snakemake.threads,
        )
