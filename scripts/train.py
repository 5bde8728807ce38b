"""Train a model, or a stack of several seeds, and save the EMA weights."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from dualscale.data.encoding import read_encoding
from dualscale.data.moments import moments_of
from dualscale.data.normalisations import NORMALISATION
from dualscale.diffusion.drawing import Drawing
from dualscale.model import SETTINGS, Model, load_model
from dualscale.runtime.devices import device_name, open_device, wait_for
from dualscale.runtime.digests import digest_file, digest_settings
from dualscale.runtime.files import atomic_write
from dualscale.runtime.records import run_of, write_record
from dualscale.training.checkpoint import CheckpointFile
from dualscale.training.distillation import Ends, teach
from dualscale.training.loss import distillation_loss, evaluation_loss
from dualscale.training.settings import Training
from dualscale.training.targets import Distilled
from dualscale.training.trainer import Progress, Trainer
from execution.job import run

REPORTS = 20  # lines of progress in the log
SHOWN_SECONDS = 60.0  # between lines of progress for the user
OF_TRAINING = ("normalisation", "training", "visited")  # settings that a model's file does not keep


def main(
    points: Path,
    models: list[Path],
    records: list[Path],
    encoding: Path | None = None,
    teachers: list[Path] = [],  # noqa: B006
    *,
    settings: Mapping,
    sampling: Mapping,
    digest: str,
    stream_suffix: str,
    code: str,
    gpu: int,
    threads: int,
) -> None:
    """Train a stack of seeds; write a model and a record for each.

    During training a checkpoint lies beside the first model, from which an interrupted job resumes.

    Args:
        points: the dataset.
        models: paths named after their runs.
        sampling: the variant's sampling, stored in the models' files only.
        records: paths of the records: seconds, loss, parameters, device, and the seeds of the
            stack.
        encoding: of a dataset from a file, or None.
        teachers: models that a distilled variant learns from, one for each.
        digest: of all settings that determine a model, stored in its file and its record.
        stream_suffix: part of the names of the random streams after the seed.
        code: digest of the training code.
    """
    seeds = [run_of(model)["seed"] for model in models]
    streams = [f"{seed}/{stream_suffix}" for seed in seeds]
    device = open_device(gpu, threads)
    loaded = np.load(points, allow_pickle=False)
    columns = read_encoding(encoding)
    units = NORMALISATION.validate_python(settings["normalisation"]).units(
        loaded, columns and columns.flags
    )
    data = torch.from_numpy(units.into_model(loaded)).to(device)
    training = Training.model_validate(settings["training"])
    kept = {key: settings[key] for key in settings if key not in OF_TRAINING}
    chosen = SETTINGS.validate_python({**kept, "sampling": sampling})
    stack = Model(chosen, moments_of(data), len(seeds), device, units, columns)
    start = time.perf_counter()
    stack.backbone.initialise(streams)
    ends = None
    if isinstance(training.target, Distilled):
        ends = learn_from(teachers, stack, data, training.target, settings["visited"], streams)
    trainer = Trainer(stack, data, training, streams, ends)
    wait_for(device)
    prepared = time.perf_counter() - start if teachers else 0.0
    logging.info("training seeds %s on %s", ", ".join(map(str, seeds)), device_name(device))
    checkpoint = models[0].with_name(f".{seeds[0]}.checkpoint")
    # The device's name is included: rounding and times differ between devices.
    device_and_version = device_name(device), str(torch.__version__)
    learnt_from = [digest_file(teacher) for teacher in teachers]
    origin = digest_settings(settings, streams, code, *device_and_version, loaded, *learnt_from)
    seconds = prepared + timed_training(trainer, training.steps, checkpoint, origin)
    if ends is None:
        losses = evaluation_loss(stack, data, training, streams).tolist()
    else:
        losses = distillation_loss(stack, training, ends).tolist()
    logging.info("%.1f s of training, evaluation loss %s", seconds, listed(losses))
    for index, (model, record, loss) in enumerate(zip(models, records, losses, strict=True)):
        with atomic_write(model) as part:
            stack.save(part, trainer.ema, index, trainer.ema_constants[index], digest)
        write_record(
            record,
            {
                "train_seconds": seconds,
                "eval_loss": loss,
                "parameters": stack.backbone.parameters_per_model,
                "device": device_name(device),
                "seeds": seeds,
                "models_trained_together": len(seeds),
                "settings_digest": digest,
            },
        )
    with suppress(OSError):  # the results exist, so a leftover checkpoint is harmless
        checkpoint.unlink(missing_ok=True)


def learn_from(
    teachers: Sequence[Path],
    stack: Model,
    data: torch.Tensor,
    target: Distilled,
    visited: Mapping,
    streams: Sequence[str],
) -> Ends:
    """Set a stack's parameters to its teachers', and return the ends of their ODEs.

    Args:
        visited: spacing and number of the levels that the variant is sampled at.
    """
    device = data.device
    models = [load_model(teacher, device) for teacher in teachers]
    own = stack.backbone.named_views(stack.backbone.flat)
    for index, model in enumerate(models):
        for name, view in model.backbone.named_views(model.backbone.flat).items():
            own[name][index].copy_(view[0])
    at = Drawing.model_validate(visited).visited(stack.levels)
    ends = teach(models, data, at.t, target, streams)
    sigmas = ", ".join(f"{ratio:.3g}" for ratio in at.ratio[:-1])
    logging.info("ends of %d points of each model's ODE from sigma %s", target.points, sigmas)
    return ends


def listed(losses: Sequence[float]) -> str:
    return ", ".join(f"{loss:.5f}" for loss in losses)


def timed_training(trainer: Trainer, steps: int, path: Path, origin: str) -> float:
    """Train to the end and return the wall time of the optimiser steps in seconds.

    Resumes from a checkpoint of the same origin, whose seconds are included.

    Args:
        path: of the checkpoint.
    """
    trainer.warm_up()
    size = sum(value.nbytes for value in trainer.state().values())
    checkpoint = CheckpointFile(path, origin, size)
    first, before = checkpoint.resume(trainer)
    wait_for(trainer.device)
    report = Reporter(trainer.streams, first, steps)
    start = time.perf_counter()
    for progress in trainer.run(first):
        report(progress)
        if progress.step < steps and checkpoint.due():
            wait_for(trainer.device)
            seconds = before + time.perf_counter() - start
            start += checkpoint.write(progress.step, seconds, trainer.state())
    wait_for(trainer.device)
    return before + time.perf_counter() - start


class Reporter:
    """Training progress: twenty lines in the log, and one per minute for the user."""

    def __init__(self, streams: Sequence[str], first: int, steps: int):
        self.streams, self.first, self.steps = streams, first, steps
        self.logged = first * REPORTS // steps
        self.start = self.shown = time.perf_counter()

    def __call__(self, progress: Progress) -> None:
        now, step = time.perf_counter(), progress.step
        rate = (step - self.first) / (now - self.start)
        left = (self.steps - step) / rate
        if step * REPORTS // self.steps > self.logged:
            self.logged = step * REPORTS // self.steps
            losses = listed(progress.losses.mean(dim=0).tolist())
            message = "step %d of %d, loss %s, %.0f steps/s, %.0f s left"
            logging.info(message, step, self.steps, losses, rate, left)
        if now - self.shown > SHOWN_SECONDS:
            self.shown = now
            print(
                f"train {', '.join(self.streams)}: step {step} of {self.steps}, {left:.0f} s left",
                file=sys.stderr,
            )


run(main, globals())
