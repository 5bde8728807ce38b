"""Evaluate the KL against NFE for every sampler."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from dualscale.diffusion.sampling import SAMPLERS, Sampler, evaluations
from dualscale.metrics.divergence import Reference
from dualscale.model import load_model
from dualscale.parts import OF_KIND
from dualscale.runtime.devices import open_device
from job import job, whole, within_runtime

MOST = 200  # evaluations


def main(
    model: str | Path,
    real: str | Path,
    neighbours: str | Path,
    output: str | Path,
    settings: Mapping,
    stream: str,
    architecture: str | None,
    gpus: int,
    threads: int,
    expect: Callable[[float], None],
) -> None:
    """Write a CSV of sampler, steps, evaluations and kl_bits.

    Args:
        neighbours: npz file of the real points from find_neighbours.
        settings: steps, the numbers to evaluate; sampling, the variant's own.
        stream: seed and name that start the names of the random streams.
        architecture: file of the model's class, if that is user-defined.
        expect: called with the expected seconds of each neighbour search; may raise.
    """
    device = open_device(gpus, threads)
    trained = load_model(Path(model), device, architecture)
    parts = trained.denoiser, trained.schedule, trained.moments
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    sampling = settings["sampling"]
    lines = ["sampler,steps,evaluations,kl_bits"]
    for kind in SAMPLERS:
        if kind == "heun" and trained.schedule.alpha[-1] == 0:
            continue  # it has no first step there
        for steps in settings["steps"]:
            asked = evaluations(kind, steps)
            if steps > trained.schedule.timesteps or asked > MOST:
                continue
            chosen = with_sampler(sampling, kind, steps)
            sampler = Sampler(*parts, chosen, sampling["points"], [stream], device)
            points = trained.units.into_data(sampler.draw()[0].cpu().numpy())
            bits = reference.kl(points, threads, expect)
            logging.info("%s, %d steps: %.4f bits", kind, steps, bits)
            lines.append(f"{kind},{steps},{asked},{bits:.6g}")
    with whole(output) as part:
        part.write_text("\n".join(lines) + "\n")


def with_sampler(sampling: Mapping, kind: str, steps: int) -> dict:
    """Return a variant's sampling by another sampler or in other steps; its own sampler keeps its
    settings, such as the variance."""
    own = sampling["sampler"]
    sampler = own if own["kind"] == kind else {"kind": kind} | OF_KIND["sampler"][kind]
    return {**sampling, "sampler": sampler, "steps": steps}


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.model,
            snakemake.input.real,
            snakemake.input.neighbours,
            snakemake.output[0],
            snakemake.params.settings,
            f"{snakemake.wildcards.seed}/{snakemake.params.stream}",
            snakemake.params.architecture,
            snakemake.resources.gpu,
            snakemake.threads,
            within_runtime(snakemake.resources),
        )
