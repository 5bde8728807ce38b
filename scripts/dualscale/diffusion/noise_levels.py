"""Noise levels of schedules in NumPy, so that planning a workflow loads no PyTorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def noise_levels(settings: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return ln(sigma / alpha) at each timestep, (T,); infinite where alpha is 0.

    Args:
        settings: `schedule` of the configuration, of any kind that does not end at alpha = 0 by
            definition. Formulas and sources are in `dualscale.diffusion.schedule`.
    """
    kind, share = settings["kind"], np.linspace(0, 1, settings["timesteps"])
    if kind == "log_linear":
        first, last = np.log([settings["sigma_first"], settings["sigma_last"]])
        return first + (last - first) * share
    if kind == "karras":
        power = 1 / settings["rho"]
        first, last = settings["sigma_first"] ** power, settings["sigma_last"] ** power
        return np.log(first + (last - first) * share) / power
    if kind == "cosine":
        t = np.linspace(0, 1, settings["timesteps"] + 1)
        signal = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
        beta = np.minimum(1 - signal[1:] / signal[:-1], 0.999)
    else:
        power = 0.5 if kind == "quadratic" else 1.0
        first, last = settings["beta_first"] ** power, settings["beta_last"] ** power
        beta = (first + (last - first) * share) ** (1 / power)
    alpha_bar = np.cumprod(1 - beta)
    with np.errstate(divide="ignore"):
        return 0.5 * (np.log(1 - alpha_bar) - np.log(alpha_bar))
