"""The perfect denoiser of a known distribution: what no network can beat."""

import numpy as np
import torch
from torch import Tensor

from dualscale.distributions import Distribution
from dualscale.schedule import Schedule


class ExactDenoiser:
    """E[x_0 | x_t] = (x_t + sigma_t^2 score(x_t)) / alpha_t (Tweedie; Efron 2011, equation 1.4)."""

    def __init__(self, distribution: Distribution, schedule: Schedule):
        self.distribution = distribution
        self.alpha, self.sigma = schedule.alpha.tolist(), schedule.sigma.tolist()

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """x: (S, n, d); the same shape comes back."""
        return (x - self.sigma[t] * self.noise(x, t)) / self.alpha[t]

    def noise(self, x: Tensor, t: int) -> Tensor:
        """E[eps | x_t] = -sigma_t score(x_t): what a network is trained to predict, (S, n, d)."""
        points = x.flatten(0, -2).double().numpy()
        score = self.distribution.score(points, self.alpha[t], self.sigma[t])
        exact = np.asarray(-self.sigma[t] * score, dtype=np.float32)
        return torch.from_numpy(exact).view(x.shape)
