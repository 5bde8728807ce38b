"""A user-defined network: random Fourier features of x (Tancik et al. 2020), and SiLU layers.

variants:
  mine:
    label: Random Fourier features
    architecture: {file: examples/fourier_network.py, class: FourierNetwork, settings: {width: 256}}
"""

import math

import torch
from torch import Tensor, nn


class FourierNetwork(nn.Module):
    """Network F(x, t) with fixed random Fourier features of x.

    Args:
        dimensions: d.
        timesteps: T.
        width: of the hidden layers.
        features: number of random frequencies.
        scale: their standard deviation, in radians per unit.
    """

    frequencies: Tensor

    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        width: int = 256,
        features: int = 64,
        scale: float = 5.0,
    ):
        super().__init__()
        self.register_buffer("frequencies", scale * torch.randn(dimensions, features))
        self.time = nn.Embedding(timesteps, width)
        self.first = nn.Linear(2 * features + dimensions, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
        self.last = nn.Linear(width, dimensions)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        angle = x @ self.frequencies
        features = torch.cat([x, math.sqrt(2) * angle.sin(), math.sqrt(2) * angle.cos()], dim=1)
        h = self.first(features) + self.time(t)
        for layer in self.hidden:
            h = h + layer(nn.functional.silu(h))
        return self.last(nn.functional.silu(h))
