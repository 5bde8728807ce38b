"""A residual MLP whose later layers do not run at timesteps that do without them."""

import torch
from torch import Tensor, nn

from dualscale.networks.features import sums_by_timestep
from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, Count, Sinusoids, checked
from dualscale.networks.systems.two_scales import Residual

RATE = 0.01
"""Weight of a point in the running mean of its timestep."""


class EarlyExit(nn.Module):
    """The baseline with an output layer after each hidden layer (BranchyNet; Teerapittayanon 2016).

    All exits train together: the points of a batch take them in turn. The squared difference
    |F_k - F_L|² / d of exit k from the last one, L, is what stopping there adds to the squared
    error where F_L is the conditional mean; its running mean is kept for each timestep. Elsewhere
    than in training, a point leaves at the first exit at which that mean is within `tolerance`.
    On a CPU, layers that no point needs are not run; on a GPU, where asking would make the host
    wait, all are, and the result is the same.

    Args:
        dimensions: d.
        timesteps: T.
        width, hidden_layers: of the MLP.
        tolerance: error that an exit may add, per coordinate and in the target's units; below 0,
            every point takes the last exit.
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
        tolerance: float = 0.001,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        self.tolerance = tolerance
        self.embedding = Embedding(timesteps, features)
        self.first = nn.Linear((1 + dimensions) * self.embedding.size, width)
        self.hidden = nn.ModuleList(Residual(width) for _ in range(hidden_layers))
        self.exits = nn.ModuleList(nn.Linear(width, dimensions) for _ in range(hidden_layers + 1))
        self.register_buffer("excess", torch.ones(timesteps, hidden_layers))

    def layers(self) -> Tensor:
        """Number of hidden layers that run at every timestep, (T,)."""
        return (self.excess > self.tolerance).int().cumprod(dim=1).sum(dim=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        first, last = 0, len(self.hidden)
        leaves = torch.arange(len(x), device=x.device) % (last + 1)
        if not self.training:
            leaves = self.layers()[t]
            if not x.is_cuda:
                first, last = int(leaves.min()), int(leaves.max())
        h = self.first(self.embedding(x, t))
        outputs = []
        for k, leave in enumerate(self.exits[: last + 1]):
            if k:
                h = self.hidden[k - 1](h)
            if k >= first:
                outputs.append(leave(h.relu()))
        if self.training:
            self._compare(torch.stack(outputs, dim=1).detach(), t)
        found = outputs[-1]
        for k, output in enumerate(outputs[:-1], first):
            found = torch.where(leaves[:, None] == k, output, found)
        return found

    @torch.no_grad()
    def _compare(self, outputs: Tensor, t: Tensor) -> None:
        """Update the running means, from outputs (n, exits, d) at timesteps t (n,)."""
        excess = (outputs[:, :-1] - outputs[:, -1:]).square().mean(dim=-1)
        change = sums_by_timestep(excess - self.excess[t], t, len(self.excess))
        self.excess.add_(RATE * change)
