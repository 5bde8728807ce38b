"""What needs the network itself: further samples, the ODE's likelihood, the error of its score."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.devices import open_device
from dualscale.divergence import knn_kl
from dualscale.likelihood import log_density
from dualscale.model import Model, load_model
from dualscale.sampling import STARTS, Sampler
from job import job, whole, write_json


def main(
    model: str | Path,
    real: str | Path,
    exact: str | Path,
    record: str | Path,
    scores: str | Path,
    settings: Mapping,
    digest: str,
    stream: str,
    architecture: str | None,
) -> None:
    """Write a record of KLs, and a CSV of the score's error at each timestep.

    Args:
        exact: the npz that compute_exact wrote.
        settings: draws; k; sampling, with the points to a draw.
        stream: seed and what follows it in the names of the random numbers.
        architecture: the file of the model's class, where that is a user's own.
    """
    trained = load_model(Path(model), open_device(0, 1), architecture)
    with np.load(exact, allow_pickle=False) as file:
        known = {name: file[name] for name in file.files}
    again = further_samples(trained, settings, stream)
    data, k = np.load(real, allow_pickle=False), settings["k"]
    logging.info("%d further samples drawn", settings["draws"])
    write_json(
        record,
        {
            "kl_of_draws_bits": [knn_kl(data, draw, k) for draw in again],
            "kl_of_pooled_draws_bits": knn_kl(data, np.concatenate(again), k),
            "ode_kl_bits": ode_kl(trained, known, settings["sampling"]["start"]),
            "settings_digest": digest,
        },
    )
    write_score_errors(scores, trained, known)


def further_samples(model: Model, settings: Mapping, stream: str) -> list[np.ndarray]:
    """Samples on random numbers of their own, each (points, columns), in the data's units."""
    streams, sampling = [f"{stream}/again"], settings["sampling"]
    count, cpu = settings["draws"] * sampling["points"], torch.device("cpu")
    sampler = Sampler(model.denoiser, model.schedule, model.moments, sampling, count, streams, cpu)
    return np.split(model.units.into_data(sampler.draw()[0].numpy()), settings["draws"])


def ode_kl(model: Model, known: Mapping[str, np.ndarray], start: str) -> float | None:
    """KL(real || model) in bits at the least noise there is, from both exact densities; None where
    the schedule ends without data, from where there is no flow.

    Raises:
        ValueError: the model's noise is not the exact density's: it is as large in every column of
            the model's units, which are not the data's.
    """
    units = model.units
    if units.shift.any() or (units.scale != 1).any():
        raise ValueError("an exact density is of the data's own units: the model has others")
    if model.schedule.alpha[-1] == 0:
        return None
    law = STARTS[start](model.schedule, model.moments)
    denoiser = model.denoiser
    density = torch.cat(
        [
            log_density(lambda x, t: denoiser.noise(x[None], t)[0], model.schedule, law, block)
            for block in torch.from_numpy(known["x"][0]).split(500)
        ]
    )
    return float((known["log_density"] - density.double().numpy()).mean() / math.log(2))


@torch.no_grad()
def write_score_errors(path: str | Path, model: Model, known: Mapping[str, np.ndarray]) -> None:
    """CSV: timestep, sigma / alpha, and the mean squared error of the predicted noise, over d."""
    rows, denoiser = [], model.denoiser
    level = model.schedule.sigma / model.schedule.alpha
    for t, (x, noise) in enumerate(zip(known["x"], known["noise"], strict=True)):
        predicted = denoiser.noise(torch.from_numpy(x)[None], t)[0].numpy()
        rows.append((t, level[t].item(), np.square(predicted - noise).mean()))
    header = "timestep,sigma,squared_error"
    with whole(path) as part:
        np.savetxt(part, rows, ["%d", "%.6g", "%.6g"], ",", header=header, comments="")


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(
            snakemake.input.model,
            snakemake.input.real,
            snakemake.input.exact,
            snakemake.output.record,
            snakemake.output.scores,
            snakemake.params.settings,
            snakemake.params.digest,
            f"{snakemake.wildcards.seed}/{snakemake.params.stream}",
            snakemake.params.architecture,
        )
