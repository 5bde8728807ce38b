"""Input features that the systems share: those of the paper's branches."""

import torch
from torch import Tensor, nn

from dualscale.networks.features import embedding_frequencies, sines_and_cosines
from dualscale.networks.systems.settings import Sinusoids


class Embedding(nn.Module):
    """Sines and cosines of t and of each coordinate of x, E of each (the paper's equation 3).

    Args:
        timesteps: T.
    """

    times: Tensor
    frequencies: Tensor

    def __init__(self, timesteps: int, settings: Sinusoids):
        super().__init__()
        self.size = settings.embedding
        half, bounds = self.size // 2, (settings.highest_frequency, settings.lowest_frequency)
        times = torch.arange(timesteps, dtype=torch.float64)[:, None]
        made = sines_and_cosines(times * embedding_frequencies(half))
        self.register_buffer("times", made.float())
        self.register_buffer("frequencies", embedding_frequencies(half, *bounds).float())

    def coordinates(self, x: Tensor) -> Tensor:
        """Features of x (n, d), (n, d, E)."""
        return sines_and_cosines(x[..., None] * self.frequencies)

    def time(self, t: Tensor) -> Tensor:
        """Features of integer timesteps t (n,), (n, E)."""
        return self.times[t]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Features of x (n, d) and t (n,) side by side, (n, d E + E)."""
        return torch.cat([self.coordinates(x).flatten(1), self.time(t)], dim=1)
