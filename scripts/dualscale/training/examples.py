"""Training examples: inputs, targets and loss weights from clean points and noise."""

import numpy as np
import torch
from torch import Tensor

from dualscale.diffusion.conditions import Conditions
from dualscale.diffusion.losses import LossWeighting
from dualscale.diffusion.one_hots import OneHots
from dualscale.model import Model


def training_coefficients(model: Model, loss: LossWeighting, device: torch.device) -> Tensor:
    """Return the per-timestep coefficients that make inputs, targets and weights, (T, 5).

    The columns are the coefficients of x_0 and eps in the network's input, those in its target,
    and the weight of the squared error.
    """
    levels, prediction = model.levels, model.coefficients
    columns = [
        prediction.c_in * levels.alpha,
        prediction.c_in * levels.sigma,
        prediction.target_data,
        prediction.target_noise,
        loss.weights(levels, prediction),
    ]
    return torch.from_numpy(np.stack(columns, axis=1)).float().to(device)


def examples(
    x_0: Tensor,
    t: Tensor,
    noise: Tensor,
    table: Tensor,
    one_hots: OneHots | None = None,
    conditions: Conditions | None = None,
    states: Tensor | None = None,
    *,
    asked: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs and targets of the backbone, (…, n, d), and loss weights, (…, n).

    The inputs are scaled x_t = alpha_t x_0 + sigma_t noise (equation 1). Categories with discrete
    noise are 0 and 1: perturbed in the inputs, those of the data in the targets. Where columns can
    be given, inputs are (…, n, d + 2 a), and weights (…, n, d): 0 for what is given or hidden.

    Args:
        t: timesteps, (…, n).
        table: from `training_coefficients`.
        states: of the coordinates that can be given, (…, n, a).
        asked: clean points that the targets are made from, (…, n, d); None: x_0.
    """
    row = table[t]
    seen = row[..., 0:1] * x_0 + row[..., 1:2] * noise
    target = row[..., 2:3] * x_0 + row[..., 3:4] * noise
    if asked is not None:  # and the noise that led from there to x_t
        change = row[..., 2:3] - row[..., 3:4] * row[..., 0:1] / row[..., 1:2]
        target = target + change * (asked - x_0)
    if one_hots is not None:
        seen = one_hots.among(seen, x_0, noise, t)
        target = torch.where(one_hots.mask, one_hots.flags(x_0), target)
    weight = row[..., 4]
    if conditions is None or states is None:
        return seen, target, weight
    weights = conditions.noisy(weight[..., None].expand_as(target), states)
    return conditions.inputs(seen, x_0, states), target, weights


def mirror(pairs: int, *drawn: Tensor, noise: Tensor) -> None:
    """Make the ends of each batch the other halves of antithetic pairs.

    The last examples have the points and timesteps of the first, and the opposite noise.

    At low noise levels the noise contributes more to the gradient's variance than the data, and
    pairs cancel it (antithetic variates, Hammersley and Morton 1956).

    Args:
        pairs: how many, at most half the batch.
        drawn: points and timesteps of batches, or more, each (…, batch), changed in place.
        noise: of the same batches, (…, batch, d), changed in place.
    """
    last = noise.shape[-2] - pairs
    for values in drawn:
        values[..., last:] = values[..., :pairs]
    noise[..., last:, :] = -noise[..., :pairs, :]
