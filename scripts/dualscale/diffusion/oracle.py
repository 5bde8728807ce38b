"""Optimal (MMSE) denoiser of a known distribution."""

import numpy as np
import torch
from torch import Tensor

from dualscale.data.distributions import Distribution
from dualscale.diffusion.schedules import NoiseLevels


class ExactDenoiser:
    """E[x_0 | x_t] = (x_t + sigma_t² score(x_t)) / alpha_t (Tweedie; Efron 2011, equation 1.4).

    Where alpha is 0, x_t carries no information on x_0, and it is the mean of the data.
    """

    def __init__(self, distribution: Distribution, levels: NoiseLevels):
        self.distribution = distribution
        self.alpha, self.sigma = levels.alpha.tolist(), levels.sigma.tolist()

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return E[x_0 | x_t] for x_t (S, n, d), in the same shape."""
        if self.alpha[t] == 0:
            return torch.from_numpy(self.distribution.mean).to(x.dtype).expand_as(x)
        x_0: Tensor = (x - self.sigma[t] * self.noise(x, t)) / self.alpha[t]
        return x_0

    def noise(self, x: Tensor, t: int) -> Tensor:
        """Return E[eps | x_t] = -sigma_t score(x_t) for x_t (S, n, d), in the same shape."""
        points = x.flatten(0, -2).double().numpy()
        score = self.distribution.score(points, self.alpha[t], self.sigma[t])
        exact = np.asarray(-self.sigma[t] * score, dtype=np.float32)
        return torch.from_numpy(exact).view(x.shape)
