"""Sample a trained model, and record the weights of its branches."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dualscale.diffusion.drawing import Sampling
from dualscale.model import Model, load_model
from dualscale.networks.own import ModuleBackbone
from dualscale.runtime.devices import device_name, open_device, wait_for
from dualscale.runtime.digests import digest_file
from dualscale.runtime.files import save_points
from dualscale.runtime.records import run_of, write_record, write_rows
from execution.job import run

WEIGHED = 1000  # points for means of what depends on x


def main(
    models: list[Path],
    samples: list[Path],
    weights: list[Path],
    records: list[Path],
    *,
    settings: Mapping,
    digest: str,
    stream_suffix: str,
    architecture: str | None,
    gpu: int,
    threads: int,
) -> None:
    """Sample every model of a batch; write its samples, branch weights and record.

    Samples are (points, d) in float32, weights are one row per timestep. The record holds seconds,
    device, digest of the model and sampling settings.

    Args:
        models: paths named by seed; each is sampled alone, for its own timing.
        stream_suffix: part of the names of the random streams after the seed.
    """
    device, sampling = open_device(gpu, threads), Sampling.model_validate(settings)
    for model, *outputs, record in zip(models, samples, weights, records, strict=True):
        trained = load_model(model, device, architecture)
        stream = f"{run_of(model)['seed']}/{stream_suffix}"
        found = sample_model(trained, *outputs, sampling, stream, device)
        write_record(
            record,
            {
                **found,
                "device": device_name(device),
                "model": digest_file(model),
                "sampling": settings,
                "settings_digest": digest,
            },
        )


def sample_model(
    trained: Model,
    samples: Path,
    weights: Path,
    sampling: Sampling,
    stream: str,
    device: torch.device,
) -> dict[str, Any]:
    """Write samples and branch weights; return the seconds of sampling and depths, for a record."""
    sampler = trained.sampler(sampling, sampling.points, [stream])
    sampler.warm_up()
    wait_for(device)
    start = time.perf_counter()
    drawn = sampler.draw()[0]
    seconds = time.perf_counter() - start
    logging.info("%s: %d points in %.3f s on %s", samples, len(drawn), seconds, device_name(device))
    save_points(samples, drawn)
    write_weights(weights, trained, drawn)
    return {"sample_seconds": seconds, **depths(trained, drawn)}


def write_weights(path: Path, model: Model, points: np.ndarray) -> None:
    """Write a CSV of timestep and mean weight of each branch over the points (n, d)."""
    backbone = model.backbone
    table = mean_weights(model, points)
    rows = [[t, *(f"{weight:.6f}" for weight in row)] for t, row in enumerate(table.tolist())]
    write_rows(path, ["timestep", *backbone.branches], rows)


def mean_weights(model: Model, points: np.ndarray) -> Tensor:
    """Mean branch weights over perturbed points at each timestep, (T, K)."""
    backbone = model.backbone
    if backbone.weighs_points:
        return means(model, points, backbone.point_weights)
    table = backbone.branch_weights()
    return torch.ones(backbone.timesteps, 1) if table is None else table[0]


def depths(model: Model, points: np.ndarray) -> dict[str, list[float]]:
    """Mean depth at each timestep, for a record; empty for a network whose depth does not vary."""
    backbone = model.backbone
    if isinstance(backbone, ModuleBackbone) and backbone.has("depth"):
        return {"depth": means(model, points, backbone.point_depths).tolist()}
    return {}


@torch.no_grad()
def means(model: Model, points: np.ndarray, of: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Mean of a function of x_t (1, n, d) and t over perturbed points at each timestep, (T, …)."""
    levels, c_in = model.levels, model.coefficients.c_in.tolist()
    clean = torch.from_numpy(model.units.into_model(points[:WEIGHED]))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    clean, noise = (each.to(model.backbone.flat.device) for each in (clean, noise))
    rows = []
    for t, (alpha, sigma) in enumerate(
        zip(levels.alpha.tolist(), levels.sigma.tolist(), strict=True)
    ):
        seen = c_in[t] * (alpha * clean + sigma * noise)
        if model.one_hots is not None:
            seen = model.one_hots.among(seen, clean, noise, t)
        rows.append(of(seen[None], t)[0].float().mean(dim=0))
    return torch.stack(rows)


run(main, globals())
