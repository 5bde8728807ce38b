"""Input features that the systems share: those of the paper's branches."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dualscale.networks.features import make_features, sines_and_cosines
from dualscale.networks.settings import Size


class Embedding(nn.Module):
    """Sines and cosines of t and of each coordinate of x, E of each (the paper's equation 3).

    Args:
        timesteps: T.
        settings: those keys of the configuration's `network` that concern the features.
    """

    times: Tensor
    frequencies: Tensor

    def __init__(self, timesteps: int, settings: Mapping[str, Any] | None = None):
        super().__init__()
        made = make_features(Size.model_validate(settings or {}), timesteps, None, None)
        self.register_buffer("times", made.time)
        self.register_buffer("frequencies", made.frequencies)

    @property
    def size(self) -> int:
        """E."""
        return self.times.shape[1]

    def coordinates(self, x: Tensor) -> Tensor:
        """Features of x (n, d), (n, d, E)."""
        return sines_and_cosines(x[..., None] * self.frequencies)

    def time(self, t: Tensor) -> Tensor:
        """Features of integer timesteps t (n,), (n, E)."""
        return self.times[t]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Features of x (n, d) and t (n,) side by side, (n, d E + E)."""
        return torch.cat([self.coordinates(x).flatten(1), self.time(t)], dim=1)
