"""What needs the network itself: further samples, the ODE's likelihood, the error of its score."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.denoiser import Backbone, NoiseDenoiser, load_backbone
from dualscale.devices import open_device
from dualscale.divergence import knn_kl
from dualscale.likelihood import log_density
from dualscale.sampling import Sampler
from dualscale.schedule import Schedule, linear_schedule
from job import logged, whole, write_json


def main(
    model: str | Path,
    real: str | Path,
    exact: str | Path,
    record: str | Path,
    scores: str | Path,
    settings: Mapping,
    stream: str,
) -> None:
    """Write a record of KLs, and a CSV of the score's error at each timestep.

    Args:
        exact: the npz that compute_exact wrote.
        settings: draws, points to a draw, k.
        stream: seed and what follows it in the names of the random numbers.
    """
    device = open_device(0, 1)
    backbone, about = load_backbone(Path(model), device)
    schedule = linear_schedule(**about["schedule"])
    with np.load(exact, allow_pickle=False) as file:
        known = {name: file[name] for name in file.files}
    again = further_samples(backbone, schedule, settings, stream)
    data, k = np.load(real, allow_pickle=False), settings["k"]
    logging.info("%d further samples drawn", settings["draws"])
    write_json(
        record,
        {
            "kl_of_draws_bits": [knn_kl(data, draw, k) for draw in again],
            "kl_of_pooled_draws_bits": knn_kl(data, np.concatenate(again), k),
            "ode_kl_bits": ode_kl(backbone, schedule, known),
        },
    )
    write_score_errors(scores, backbone, schedule, known)


def further_samples(
    backbone: Backbone, schedule: Schedule, settings: Mapping, stream: str
) -> list[np.ndarray]:
    """Samples on random numbers of their own, each (points, d)."""
    streams = [f"{stream}/again"]
    count = settings["draws"] * settings["points"]
    denoiser = NoiseDenoiser(backbone, schedule)
    cpu = torch.device("cpu")
    sampler = Sampler(denoiser, schedule, count, backbone.dimensions, streams, cpu)
    return np.split(sampler.draw()[0].numpy(), settings["draws"])


def ode_kl(backbone: Backbone, schedule: Schedule, known: Mapping[str, np.ndarray]) -> float:
    """KL(real || model) in bits at the least noise there is, from both exact densities."""
    blocks = torch.from_numpy(known["x"][0]).split(500)
    density = torch.cat(
        [log_density(lambda x, t: backbone(x[None], t)[0], schedule, block) for block in blocks]
    )
    return float((known["log_density"] - density.double().numpy()).mean() / math.log(2))


@torch.no_grad()
def write_score_errors(
    path: str | Path, backbone: Backbone, schedule: Schedule, known: Mapping[str, np.ndarray]
) -> None:
    """CSV: timestep, sigma, and the mean squared error of the predicted noise, over d."""
    rows = []
    for t, (x, noise) in enumerate(zip(known["x"], known["noise"], strict=True)):
        predicted = backbone(torch.from_numpy(x)[None], t)[0].numpy()
        rows.append((t, schedule.sigma[t].item(), np.square(predicted - noise).mean()))
    header = "timestep,sigma,squared_error"
    with whole(path) as part:
        np.savetxt(part, rows, ["%d", "%.6g", "%.6g"], ",", header=header, comments="")


if snakemake := globals().get("snakemake"):
    with logged(snakemake.log[0]):
        main(
            snakemake.input.model,
            snakemake.input.real,
            snakemake.input.exact,
            snakemake.output.record,
            snakemake.output.scores,
            snakemake.params.settings,
            f"{snakemake.wildcards.seed}/{snakemake.params.stream}",
        )
