"""Evaluate the KL against NFE for every sampler."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from _job import run, within_runtime
from dualscale.diffusion.sampling import SAMPLERS, Sampler, evaluations
from dualscale.metrics.divergence import Reference
from dualscale.model import load_model
from dualscale.parts import OF_KIND
from dualscale.runtime.devices import open_device
from dualscale.runtime.records import write_rows

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
        neighbours: npz file of the real points from find_neighbours.
        settings: steps, the numbers to evaluate; sampling, the variant's own.
        stream: seed and name that start the names of the random streams.
        architecture: file of the model's class, if that is user-defined.
        runtime: limit of the job, in minutes.
    """
    device = open_device(gpu, threads)
    trained = load_model(model, device, architecture)
    parts = trained.denoiser, trained.schedule, trained.moments
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    sampling = settings["sampling"]
    expect, rows = within_runtime(runtime), []
    for kind in SAMPLERS:
        if kind == "heun" and trained.schedule.alpha[-1] == 0:
            continue  # it has no first step there
        for count in settings["steps"]:
            asked = evaluations(kind, count)
            if count > trained.schedule.timesteps or asked > MOST:
                continue
            chosen = with_sampler(sampling, kind, count)
            sampler = Sampler(*parts, chosen, sampling["points"], [stream], device)
            points = trained.units.into_data(sampler.draw()[0].cpu().numpy())
            bits = reference.kl(points, threads, expect)
            logging.info("%s, %d steps: %.4f bits", kind, count, bits)
            rows.append([kind, count, asked, f"{bits:.6g}"])
    write_rows(steps, ["sampler", "steps", "evaluations", "kl_bits"], rows)


def with_sampler(sampling: Mapping, kind: str, steps: int) -> dict:
    """Return a variant's sampling by another sampler or in other steps; its own sampler keeps its
    settings, such as the variance."""
    own = sampling["sampler"]
    sampler = own if own["kind"] == kind else {"kind": kind} | OF_KIND["sampler"][kind]
    return {**sampling, "sampler": sampler, "steps": steps}


run(main, globals())
