"""Denoiser: E[x_0 | x_t] from a network's prediction."""

from collections.abc import Callable

import torch
from torch import Tensor

from dualscale.diffusion.one_hots import OneHots
from dualscale.diffusion.predictions import Coefficients
from dualscale.diffusion.schedules import NoiseLevels

Predict = Callable[..., Tensor]
"""Network, or a function in its place: x (S, n, d) and a timestep to a prediction (S, n, d)."""
Given = tuple[Tensor, int] | Tensor
"""Noisy points (S, n, d) and their timestep, on which the second stage of a network depends.

Or coordinates of points that are given: values, and 1 where they are, 0 elsewhere, (2, n, d).
"""


class Denoiser:
    """Estimate of E[x_0 | x_t] by a network: c_skip x + c_out F(c_in x, t).

    Args:
        one_hots: categories with discrete noise, which the network sees as 0 and 1, and of which it
            returns logits; None: there are none.
    """

    def __init__(
        self,
        network: Predict,
        levels: NoiseLevels,
        coefficients: Coefficients,
        one_hots: OneHots | None = None,
    ):
        self.network, self.one_hots = network, one_hots
        self.alpha, self.sigma = levels.alpha.tolist(), levels.sigma.tolist()
        self.c_in, self.c_skip = coefficients.c_in.tolist(), coefficients.c_skip.tolist()
        self.c_out = coefficients.c_out.tolist()

    def __call__(self, x: Tensor, t: int, given: Given | None = None) -> Tensor:
        """Return E[x_0 | x_t], or E[x_0 | x_t, given], for x_t (S, n, d), in the same shape."""
        more: dict[str, Given] = {}
        if isinstance(given, Tensor):
            more["given"] = given
        elif given is not None:
            points, level = given
            more["given"] = self.c_in[level] * points, level
        x_0 = self._estimate(x, t, more)
        return torch.where(given[1] > 0, given[0], x_0) if isinstance(given, Tensor) else x_0

    def _estimate(self, x: Tensor, t: int, more: dict[str, Given]) -> Tensor:
        """Return E[x_0 | x_t] by the network, which also takes `more`."""
        one_hots, seen = self.one_hots, self.c_in[t] * x
        if one_hots is None:
            x_0: Tensor = self.c_skip[t] * x + self.c_out[t] * self.network(seen, t, **more)
            return x_0
        seen = torch.where(one_hots.mask, one_hots.flags(x), seen)
        output = self.network(seen, t, **more)
        x_0 = self.c_skip[t] * x + self.c_out[t] * output
        means = one_hots.means(output, seen, t)
        return one_hots.in_units(torch.where(one_hots.mask, means, x_0))

    def noise(self, x: Tensor, t: int) -> Tensor:
        """Return E[eps | x_t] for x_t (S, n, d), in the same shape."""
        noise: Tensor = (x - self.alpha[t] * self(x, t)) / self.sigma[t]
        return noise
