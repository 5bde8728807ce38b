"""Evaluate what the branch weights of a model do: error and KL with others in their place."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dualscale.diffusion.denoiser import Denoiser
from dualscale.diffusion.drawing import Sampling
from dualscale.metrics.kl import Reference
from dualscale.metrics.scales import SCALES, by_scale
from dualscale.model import Model, load_model
from dualscale.networks.backbone import Backbone
from dualscale.networks.weightings import TabledWeights
from dualscale.runtime.devices import open_device
from dualscale.runtime.records import write_rows
from dualscale.runtime.streams import stream_seed
from execution.job import run, within_runtime

SAMPLED = ("learned", "best", "mean", "shuffled")


@torch.no_grad()
def main(
    model: Path,
    real: Path,
    neighbours: Path,
    exact: Path,
    errors: Path,
    scales: Path,
    kls: Path,
    *,
    settings: Mapping,
    stream: str,
    runtime: int | None = None,
) -> None:
    """Write the squared errors by timestep, and the KL of samples, for every choice of weights.

    The errors of the learned weights and of each branch alone are also split by scale.

    The choices are the learned weights; the best in hindsight; the learned ones frozen at their
    mean over the timesteps; the learned ones shuffled over the timesteps; and each branch alone.

    Args:
        exact: npz file from compute_exact.
        settings: of the variant's sampling.
        stream: seed and name that start the names of the random streams.
    """
    trained = load_model(model, open_device(0, 1))
    with np.load(exact, allow_pickle=False) as file:
        x, noise = (torch.from_numpy(file[name]) for name in ("x", "noise"))
    predicted = torch.stack([branch_noise(trained, points, t) for t, points in enumerate(x)])
    weights = choices(trained, predicted, noise, stream)
    names = list(trained.backbone.branches)
    rows = []
    for choice, table in weights.items():
        error = torch.einsum("tk,tknd->tnd", table, predicted).sub_(noise).square_().mean((1, 2))
        for t, (squared, level) in enumerate(zip(error.tolist(), table.tolist(), strict=True)):
            rows.append([choice, t, *(f"{value:.6g}" for value in (*level, squared))])
    write_rows(errors, ["weights", "timestep", *names, "squared_error"], rows)
    split = {choice: weights[choice] for choice in weights if choice not in SAMPLED[1:]}
    write_rows(
        scales, ["weights", "timestep", *SCALES], list(in_scales(x, predicted, noise, split))
    )

    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    sampling, expect = Sampling.model_validate(settings), within_runtime(runtime)
    found = []
    for choice in SAMPLED:
        mixture = trained.backbone.network.mixture
        mixture.weights = TabledWeights(weights[choice])
        points = trained.sampler(sampling, sampling.points, [stream]).draw()[0]
        found.append([choice, f"{reference.kl(points, expect=expect):.6g}"])
        logging.info("%s weights: %s bits", *found[-1])
    write_rows(kls, ["weights", "kl_bits"], found)


def in_scales(
    x: Tensor, predicted: Tensor, noise: Tensor, weights: Mapping[str, Tensor]
) -> Iterator[list[str | int]]:
    """Yield choice of weights, timestep, and squared error by scale.

    Args:
        x, noise: perturbed points and the optimal denoiser's noise, (T, n, d).
        predicted: noise predicted by each branch, (T, K, n, d).
        weights: by name, (T, K).
    """
    for t, (points, alone, exact) in enumerate(zip(x, predicted, noise, strict=True)):
        tables = torch.stack([table[t] for table in weights.values()])
        errors = torch.einsum("ck,knd->cnd", tables, alone) - exact
        for choice, parts in zip(weights, by_scale(points.numpy(), errors.numpy()), strict=True):
            yield [choice, t, *(f"{value:.6g}" for value in parts.tolist())]


def branch_noise(model: Model, x: Tensor, t: int) -> Tensor:
    """Return the noise that each branch alone predicts for points x (n, d), (K, n, d)."""
    backbone = model.backbone
    assert isinstance(backbone, Backbone)
    outputs = [
        Denoiser(
            lambda x, t, k=k: backbone.branch_outputs(x, t)[:, k], model.levels, model.coefficients
        )
        for k in range(len(backbone.branches))
    ]
    return torch.stack([denoiser.noise(x[None], t)[0] for denoiser in outputs])


def choices(model: Model, predicted: Tensor, noise: Tensor, stream: str) -> dict[str, Tensor]:
    """Return the weights to compare by name, each (T, K).

    Args:
        predicted: noise predicted by each branch, (T, K, n, d).
        noise: the optimal denoiser's, (T, n, d).
    """
    learned = model.backbone.branch_weights()
    assert learned is not None
    learned = learned[0].clone()
    generator = torch.Generator()
    generator.manual_seed(stream_seed(stream, "shuffle weights"))
    found = {
        "learned": learned,
        "best": torch.stack(list(map(best_weights, predicted, noise))),
        "mean": learned.mean(dim=0).expand_as(learned),
        "shuffled": learned[torch.randperm(len(learned), generator=generator)],
    }
    alone = torch.eye(learned.shape[1])
    for name, weights in zip(model.backbone.branches, alone, strict=True):
        found[f"only {name}"] = weights.expand_as(learned)
    return found


def best_weights(predicted: Tensor, noise: Tensor) -> Tensor:
    """Return the weights (K,) with sum 1 that minimise the squared error, by least squares.

    Args:
        predicted: (K, n, d).
        noise: (n, d).
    """
    last = predicted[-1]
    differences = (predicted[:-1] - last).flatten(1).double()
    fitted = torch.linalg.lstsq(differences.T, (noise - last).flatten()[:, None].double())
    others = fitted.solution[:, 0].float()
    return torch.cat([others, 1 - others.sum(dim=0, keepdim=True)])


run(main, globals())
