"""Cascaded diffusion in the plane: points rounded to a grid, then points given rounded ones."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dualscale.networks.own import Make
from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, Count, Sinusoids, checked
from dualscale.networks.systems.two_scales import branch

Length = Annotated[float, Field(gt=0, le=1e6)]


class Cascade(nn.Module):
    """Two baselines, one for each stage (Ho et al. 2022, section 4); sampled by `Cascaded`.

    The low resolution of x is c = cell round(x / cell). The first stage models c; the second
    models x given c with the noise of a timestep s, which it is told. Both train together, on the
    mean of their losses. In training s and that noise are t and the noise of the point before in
    the batch, on which they do not depend.

    Args:
        dimensions: d.
        timesteps: T.
        cell: length of the grid's cells.
        width, hidden_layers: of both stages.
        features: of the sinusoids.
    """

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        cell: Length = 0.25,
        width: Width = 256,
        hidden_layers: Count = 3,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        self.cell = cell
        self.embedding = Embedding(timesteps, features)
        inputs = (1 + dimensions) * self.embedding.size
        self.first = branch(inputs, width, hidden_layers, dimensions)
        self.second = branch(2 * inputs, width, hidden_layers, dimensions)

    def forward(self, x: Tensor, t: Tensor, given: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d).

        Args:
            given: noisy coarse points (n, d) and their timesteps (n,), for the second stage; None
                for the first.
        """
        features = self.embedding(x, t)
        if given is None:
            return self.first(features)
        return self.second(torch.cat([features, self.embedding(*given)], dim=1))

    def errors(self, x_0: Tensor, t: Tensor, noise: Tensor, make: Make) -> Tensor:
        """Errors of both stages, (n, 2, d), at points x_0 (n, d) and timesteps t (n,)."""
        coarse = self.cell * (x_0 / self.cell).round()
        x, target = make(coarse, t, noise)
        first = self(x, t) - target
        level = t.roll(1)
        given = make(coarse, level, noise.roll(1, dims=0))[0]
        x, target = make(x_0, t, noise)
        return torch.stack([first, self(x, t, (given, level)) - target], dim=1)
