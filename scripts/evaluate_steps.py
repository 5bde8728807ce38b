"""Evaluate a model's samples, drawn in several ways, against NFE."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.diffusion.drawing import Sampling
from dualscale.metrics.distances import METRICS
from dualscale.metrics.kl import Reference
from dualscale.metrics.metric import Samples, measured
from dualscale.model import load_model
from dualscale.runtime.devices import open_device
from dualscale.runtime.records import write_rows
from execution.job import run, within_runtime

MOST = 200  # evaluations


def main(
    model: Path,
    real: Path,
    neighbours: Path,
    steps: Path,
    training: Path | None = None,
    *,
    dataset: str,
    settings: Mapping,
    stream: str,
    architecture: str | None,
    gpu: int,
    threads: int,
    runtime: int | None = None,
) -> None:
    """Write a CSV of sampling, steps, evaluations, kl_bits and the metrics.

    Args:
        neighbours: npz file of the real points, first with the k of the KL.
        training: training points of a dataset from a file; None: the real points are those.
        settings: samplings, by name, each with the numbers of steps to evaluate; metrics;
            distribution, which a dataset from a file lacks.
        stream: seed and name that start the names of the random streams.
    """
    trained = load_model(model, open_device(gpu, threads), architecture)
    data = np.load(real, allow_pickle=False)
    trained_on = data if training is None else np.load(training, allow_pickle=False)
    reference = Reference.load(neighbours, data)
    metrics = METRICS.validate_python(settings["metrics"])
    search, rows = (threads, within_runtime(runtime)), []
    for way, (chosen, counts) in settings["samplings"].items():
        sampling = Sampling.model_validate(chosen)
        for count in counts:
            drawing = sampling.model_copy(update={"steps": count})
            try:
                drawing.require_fit(trained.levels)
            except ValueError:
                continue
            asked = drawing.evaluations(trained.levels)
            if asked > MOST:
                continue
            points = trained.sampler(drawing, sampling.points, [stream]).draw()[0]
            bits = reference.kl(points, *search)
            logging.info("%s, %d steps: %.4f bits", way, count, bits)
            samples = Samples.of_dataset(dataset, settings, reference, points, *search, trained_on)
            found = measured(samples, metrics).values()
            rows.append([way, count, asked, *map(shown, [bits, *found])])
    columns = [column.name for metric in metrics for column in metric.columns()]
    write_rows(steps, ["sampling", "steps", "evaluations", "kl_bits", *columns], rows)


def shown(value: float | None) -> str:
    """Return six digits of a value; nothing for None."""
    return "" if value is None else f"{value:.6g}"


run(main, globals())
