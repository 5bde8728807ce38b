"""Density of given points under a trained model, in Python and by `score.py`."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from dualscale.data.distributions import Array
from dualscale.diffusion import likelihood
from dualscale.model import Model
from dualscale.sampling import changed

BLOCK = 500  # points whose Jacobians are held at once


def log_density(model: Model, points: ArrayLike, prior: Any = None) -> Array:
    """Log-density of points under a model, in nats and in the data's units, (n,).

    It is that of the probability-flow ODE from the noisiest timestep to the first (`likelihood`),
    whose noise blurs it. It is a density over the columns that are not constant, and 0 off a
    constant column's value and outside the range of quantiles.

    Args:
        model: from `load_model`.
        points: (n, columns), finite.
        prior: of the noisiest timestep, as in the configuration's `sampling`; None: that of the
            model's file.

    Raises:
        ValueError: the points do not fit the model, or it has no density.
    """
    x = np.asarray(points, np.float64)
    columns = len(model.units.shift)
    if x.ndim != 2 or x.shape[1] != columns:
        raise ValueError(f"points have shape {x.shape}: (n, {columns}), as the model's, is needed")
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"points hold {x[row, column]} in row {row + 1} of column {column}")
    known = model.settings.sampling
    if not known.sampler.has_score:
        raise ValueError(
            f"the model is sampled with {known.sampler.kind!r}: there is no density of one ODE"
        )
    if model.one_hots is not None:
        raise ValueError(
            f"the model has categories of {model.settings.categories.kind} noise: there is no ODE "
            "and no density of points"
        )
    drawing = known if prior is None else changed(known, {"prior": prior})
    levels = model.levels
    if levels.end_in_noise:  # where the ODE's variable, x / alpha, is infinite
        levels = levels.up_to(levels.timesteps - 2)
    moments, alpha = drawing.prior.moments(levels, model.moments), float(levels.alpha[0])
    denoiser, device = model.denoiser, model.backbone.flat.device
    slope = model.units.log_slope(x)
    y = torch.from_numpy(alpha * model.units.into_model(x)).float().to(device)
    found = [
        likelihood.log_density(
            lambda x, t: denoiser.noise(x[None], t)[0], levels, moments, block
        ).numpy()
        for block in y.split(BLOCK)
    ]
    density: Array = np.concatenate(found) + y.shape[1] * np.log(alpha) + slope
    if np.isnan(density).any():
        row = int(np.isnan(density).argmax()) + 1
        raise ValueError(f"the log density of row {row} is NaN, as the network's outputs are")
    return density
