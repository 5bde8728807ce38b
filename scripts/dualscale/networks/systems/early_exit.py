"""A residual MLP whose later layers do not run at timesteps that do without them."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dualscale.networks.features import sums_by_timestep
from dualscale.networks.own import Make
from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, Count, Sinusoids, checked
from dualscale.networks.systems.two_scales import Residual

RATE = 0.01
"""Weight of a point in the running mean of its timestep."""


class EarlyExit(nn.Module):
    """The baseline with an output layer after each hidden layer (Teerapittayanon et al. 2016).

    All exits train together, on the mean of their losses. Where the last output, F_L, is the
    conditional mean, |F_k - F_L|² / d is what leaving at exit k adds to the squared error; its
    running mean is kept for each timestep. Elsewhere than in training, a point leaves at the first
    exit at which that mean is within `tolerance`. On a CPU, layers that no point needs are not run;
    on a GPU, where asking would make the host wait, all are, and the result is the same.

    Args:
        dimensions: d.
        timesteps: T.
        width, hidden_layers: of the MLP.
        tolerance: squared error that an exit may add, per coordinate, in the target's units; with
            0, every point takes the last exit.
        features: of the sinusoids.
    """

    excess: Tensor

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        width: Width = 256,
        hidden_layers: Count = 3,
        tolerance: Annotated[float, Field(ge=0)] = 0.002,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        self.tolerance = tolerance
        self.embedding = Embedding(timesteps, features)
        self.first = nn.Linear((1 + dimensions) * self.embedding.size, width)
        self.hidden = nn.ModuleList(Residual(width) for _ in range(hidden_layers))
        self.exits = nn.ModuleList(nn.Linear(width, dimensions) for _ in range(hidden_layers + 1))
        self.register_buffer("excess", torch.ones(timesteps, hidden_layers))

    def depth(self, x: Tensor, t: Tensor) -> Tensor:
        """Number of hidden layers that run for x (n, d) at timesteps t (n,), (n,)."""
        needed = (self.excess >= self.tolerance).int().cumprod(dim=1).sum(dim=1)
        return needed[t]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        depth, first, last = self.depth(x, t), 0, len(self.hidden)
        if not x.is_cuda:
            first, last = int(depth.min()), int(depth.max())
        outputs = self.outputs(x, t, first, last)
        return outputs.gather(1, (depth - first).view(-1, 1, 1).expand(-1, 1, x.shape[1]))[:, 0]

    def outputs(self, x: Tensor, t: Tensor, first: int, last: int) -> Tensor:
        """Outputs of the exits from `first` to `last`, (n, exits, d), with `last` hidden layers."""
        h, outputs = self.first(self.embedding(x, t)), []
        for k, leave in enumerate(self.exits[: last + 1]):
            if k:
                h = self.hidden[k - 1](h)
            if k >= first:
                outputs.append(leave(h.relu()))
        return torch.stack(outputs, dim=1)

    def errors(self, x_0: Tensor, t: Tensor, noise: Tensor, make: Make) -> Tensor:
        """In training, errors of all exits, (n, exits, d); elsewhere of the output, (n, d)."""
        x, target = make(x_0, t, noise)
        if not self.training:
            return self(x, t) - target
        outputs = self.outputs(x, t, 0, len(self.hidden))
        self._compare(outputs.detach(), t)
        return outputs - target[:, None]

    @torch.no_grad()
    def _compare(self, outputs: Tensor, t: Tensor) -> None:
        """Update the running means, from outputs (n, exits, d) at timesteps t (n,)."""
        excess = (outputs[:, :-1] - outputs[:, -1:]).square().mean(dim=-1)
        change = sums_by_timestep(excess - self.excess[t], t, len(self.excess))
        self.excess.add_(RATE * change)
