"""Evaluate the KL against NFE for every sampler."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.samplers import Sampler
from dualscale.metrics.kl import Reference
from dualscale.model import load_model
from dualscale.parts import parts_of
from dualscale.runtime.devices import open_device
from dualscale.runtime.records import write_rows
from execution.job import run, within_runtime

MOST = 200  # evaluations


def main(
    model: Path,
    real: Path,
    neighbours: Path,
    steps: Path,
    *,
    settings: Mapping,
    stream: str,
    architecture: str | None,
    gpu: int,
    threads: int,
    runtime: int | None = None,
) -> None:
    """Write a CSV of sampler, steps, evaluations and kl_bits.

    Args:
        settings: steps, the numbers to evaluate; sampling, the variant's own.
        stream: seed and name that start the names of the random streams.
    """
    device = open_device(gpu, threads)
    trained = load_model(model, device, architecture)
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    sampling = Sampling.model_validate(settings["sampling"])
    expect, rows = within_runtime(runtime), []
    for kind, chosen in samplings(sampling):
        for count in settings["steps"]:
            drawing = chosen.model_copy(update={"steps": count})
            try:
                drawing.require_fit(trained.levels)
            except ValueError:
                continue
            asked = drawing.evaluations(trained.levels)
            if asked > MOST:
                continue
            points = trained.sampler(drawing, sampling.points, [stream]).draw()[0]
            bits = reference.kl(points, threads, expect)
            logging.info("%s, %d steps: %.4f bits", kind, count, bits)
            rows.append([kind, count, asked, f"{bits:.6g}"])
    write_rows(steps, ["sampler", "steps", "evaluations", "kl_bits"], rows)


def samplings(own: Sampling) -> Iterator[tuple[str, Sampling]]:
    """Iterate over a variant's sampling by every kind of sampler.

    Its own sampler keeps its settings, such as the variance.
    """
    for part in parts_of(Sampler):
        sampler = own.sampler if type(own.sampler) is part else part()
        yield sampler.kind, own.model_copy(update={"sampler": sampler})


run(main, globals())
