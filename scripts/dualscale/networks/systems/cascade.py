"""Cascaded diffusion: points or images at a low resolution, then points or images given those."""

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
Size = Annotated[list[Annotated[int, Field(ge=1, le=512)]], Field(min_length=2, max_length=2)]
Places = list[Annotated[int, Field(ge=0, le=511)]]
NONE: Places = []


def block_means(dimensions: int, image: Size, constant: Places) -> Tensor:
    """Return the matrix (d, d) that gives each pixel the mean of its block of 2 x 2.

    Args:
        image, constant: as in `Cascade`.

    Raises:
        ValueError: the pixels that vary are not d.
    """
    height, width = image
    rows, columns = torch.arange(height) // 2, torch.arange(width) // 2
    blocks = (rows[:, None] * width + columns).flatten()
    varying = torch.ones(len(blocks), dtype=torch.bool)
    varying[constant] = False
    if varying.sum() != dimensions:
        raise ValueError(
            f"image is {height} x {width} with {len(constant)} constant pixels, but {dimensions} "
            "pixels vary: name in `constant` those that do not"
        )
    of = blocks[varying]
    same = (of[:, None] == of).float()
    return same / same.sum(dim=0)


class Cascade(nn.Module):
    """Two baselines, one for each stage (Ho et al. 2022, section 4); sampled by `Cascaded`.

    The low resolution of x is c = cell round(x / cell); of an image, means of 2 x 2 pixels. The
    first stage models c; the second models x given c with the noise of a timestep s, which it is
    told. Both train together, on the mean of their losses. In training s and that noise are t and
    the noise of the point before in the batch, on which they do not depend.

    Args:
        dimensions: d.
        timesteps: T.
        cell: length of the grid's cells, of points.
        image: height and width of images; None: x are points.
        constant: pixels that never vary, counted row by row from 0, which x lacks.
        width, hidden_layers: of both stages.
        features: of the sinusoids.
    """

    means: Tensor | None

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        cell: Length = 0.25,
        image: Size | None = None,
        constant: Places = NONE,
        width: Width = 256,
        hidden_layers: Count = 3,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        self.cell = cell
        means = None if image is None else block_means(dimensions, image, constant)
        self.register_buffer("means", means)
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

    def coarse(self, x: Tensor) -> Tensor:
        """Return points or images (n, d) at the low resolution, (n, d)."""
        if self.means is None:
            return self.cell * (x / self.cell).round()
        return x @ self.means

    def errors(self, x_0: Tensor, t: Tensor, noise: Tensor, make: Make) -> Tensor:
        """Errors of both stages, (n, 2, d), at points x_0 (n, d) and timesteps t (n,)."""
        coarse = self.coarse(x_0)
        x, target = make(coarse, t, noise)
        first = self(x, t) - target
        level = t.roll(1)
        given = make(coarse, level, noise.roll(1, dims=0))[0]
        x, target = make(x_0, t, noise)
        return torch.stack([first, self(x, t, (given, level)) - target], dim=1)
