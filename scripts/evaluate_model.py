"""Evaluate a model beyond one sample: further samples, ODE likelihood and score error."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.likelihood import log_density
from dualscale.diffusion.priors import Prior
from dualscale.metrics.kl import Reference
from dualscale.model import Model, load_model
from dualscale.runtime.devices import open_device
from dualscale.runtime.records import write_record, write_rows
from execution.job import run, within_runtime


def main(
    model: Path,
    real: Path,
    neighbours: Path,
    record: Path,
    exact: Path | None = None,
    scores: Path | None = None,
    *,
    settings: Mapping,
    digest: str,
    stream: str,
    architecture: str | None,
    runtime: int | None = None,
) -> None:
    """Write a record of KL estimates, and a CSV of the score error at each timestep.

    Args:
        exact: npz file from compute_exact, or None for a dataset from a file, whose density is
            unknown: then only further samples are evaluated.
        settings: draws; sampling, with the number of points per draw.
        stream: seed and name that start the names of the random streams.
    """
    trained = load_model(model, open_device(0, 1), architecture)
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    expect = within_runtime(runtime)
    sampling = Sampling.model_validate(settings["sampling"])
    again = further_samples(trained, sampling, settings["draws"], stream)
    logging.info("%d further samples drawn", settings["draws"])
    found: dict[str, object] = {
        f"kl_draw{number}_bits": reference.kl(draw, expect=expect)
        for number, draw in enumerate(again, 1)
    }
    found |= {
        "kl_of_pooled_draws_bits": reference.kl(np.concatenate(again), expect=expect),
        "settings_digest": digest,
    }
    if exact is not None and scores is not None:
        with np.load(exact, allow_pickle=False) as file:
            known = {name: file[name] for name in file.files}
        found["ode_kl_bits"] = ode_kl(trained, known, sampling.prior)
        write_score_errors(scores, trained, known)
    write_record(record, found)


def further_samples(model: Model, sampling: Sampling, draws: int, stream: str) -> list[np.ndarray]:
    """Samples on random numbers of their own, each (points, columns), in the data's units."""
    sampler = model.sampler(sampling, draws * sampling.points, [f"{stream}/again"])
    return np.split(sampler.draw()[0], draws)


def ode_kl(model: Model, known: Mapping[str, np.ndarray], prior: Prior) -> float | None:
    """KL(real || model) in bits at the lowest noise level, from both exact densities.

    None with zero terminal SNR, where the probability-flow ODE cannot start.

    Raises:
        ValueError: the model has units of its own: noise that is isotropic in them is not so in the
            data's, which the exact density is in.
    """
    if not model.units.own:
        raise ValueError("the exact density is in the data's units, the model in units of its own")
    if model.levels.end_in_noise:
        return None
    moments = prior.moments(model.levels, model.moments)
    denoiser = model.denoiser
    density = torch.cat(
        [
            log_density(lambda x, t: denoiser.noise(x[None], t)[0], model.levels, moments, block)
            for block in torch.from_numpy(known["x"][0]).split(500)
        ]
    )
    return float((known["log_density"] - density.double().numpy()).mean() / math.log(2))


@torch.no_grad()
def write_score_errors(path: Path, model: Model, known: Mapping[str, np.ndarray]) -> None:
    """Write a CSV of timestep, sigma / alpha and mean squared error of a coordinate's noise."""
    rows, denoiser = [], model.denoiser
    level = np.exp(model.levels.log_ratio)
    for t, (x, noise) in enumerate(zip(known["x"], known["noise"], strict=True)):
        predicted = denoiser.noise(torch.from_numpy(x)[None], t)[0].numpy()
        error = np.square(predicted - noise).mean()
        rows.append([t, f"{level[t].item():.6g}", f"{error:.6g}"])
    write_rows(path, ["timestep", "sigma", "squared_error"], rows)


run(main, globals())
