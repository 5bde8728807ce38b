"""Grid-based noise adaptation: the authors' sibling experiment on the paper's datasets."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from dualscale.networks.own import Make
from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, Count, Sinusoids, checked
from dualscale.networks.systems.two_scales import branch

MOST_DIMENSIONS = 3
Grids = Annotated[list[Count], Field(min_length=1, max_length=8)]


class GridNoise(nn.Module):
    """The baseline, trained on noise that is multiplied by learned factors.

    A factor belongs to a timestep and the cell of x_0 in a grid over [-1, 1]^d, points outside to
    the nearest cell; factors of several grids are multiplied. They start at 1, and the network sees
    them:

        x_t = alpha x_0 + sigma f(x_0, t) eps,  |F(x_t, t, f(x_0, t)) - asked|²

    Where x_0 is not known, the factor is that of the network's own input. The experiment asked for
    `drawn`, eps, as if it had been added. `added` asks for f eps, a constant to the gradient: its
    own would lower the loss by lowering all factors to 0.

    Args:
        dimensions: d.
        timesteps: T.
        asked: `drawn` or `added`.
        grids: cells along an axis, of each grid.
        width, hidden_layers: of the MLP.
        features: of the sinusoids.
    """

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        asked: Literal["drawn", "added"],
        grids: Grids,
        width: Width = 256,
        hidden_layers: Count = 3,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(
                f"a grid over {dimensions} dimensions: {MOST_DIMENSIONS} or less are allowed"
            )
        self.asked = asked
        self.grids = nn.ParameterList(
            torch.ones(timesteps, *[cells] * dimensions) for cells in grids
        )
        self.embedding = Embedding(timesteps, features)
        inputs = (1 + dimensions) * self.embedding.size + 1
        self.network = branch(inputs, width, hidden_layers, dimensions)

    def factors(self, x: Tensor, t: Tensor) -> Tensor:
        """Factors of the cells of x (n, d) at timesteps t (n,), (n, 1)."""
        found = []
        for grid in self.grids:
            cells = grid.shape[1]
            place = ((x + 1) / 2 * cells).clamp(0, cells - 1).long()
            found.append(grid[(t, *place.unbind(dim=1))])
        return torch.stack(found).prod(dim=0)[:, None]

    def predict(self, x: Tensor, t: Tensor, factors: Tensor) -> Tensor:
        """Outputs (n, d) for x (n, d), timesteps t (n,) and factors (n, 1)."""
        return self.network(torch.cat([self.embedding(x, t), factors], dim=1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        return self.predict(x, t, self.factors(x, t))

    def errors(self, x_0: Tensor, t: Tensor, noise: Tensor, make: Make) -> Tensor:
        """Errors of the outputs (n, d) at points x_0 (n, d) perturbed with factors times noise."""
        factors = self.factors(x_0, t)
        x, added = make(x_0, t, factors * noise)
        asked = added.detach() if self.asked == "added" else make(x_0, t, noise)[1]
        return self.predict(x, t, factors) - asked
