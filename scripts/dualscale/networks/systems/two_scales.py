"""The paper's two branches, for weightings that see their outputs."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, Count, Sinusoids, checked


class Residual(nn.Module):
    """x + Linear(ReLU(x))."""

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear(x.relu())


def branch(inputs: int, width: int, hidden_layers: int, outputs: int) -> nn.Sequential:
    """Return the baseline's residual MLP, (n, inputs) to (n, outputs)."""
    hidden = [Residual(width) for _ in range(hidden_layers)]
    return nn.Sequential(nn.Linear(inputs, width), *hidden, nn.ReLU(), nn.Linear(width, outputs))


class TwoScales(nn.Module, ABC):
    """Global and local branch, added with weights that a subclass gives (equations 3 to 8).

    Args:
        dimensions: d.
        timesteps: T.
        width, hidden_layers: of both branches.
        upscaled_dimensions: of the local branch's linear up-projection.
        features: of the sinusoids.
    """

    branch_names = ("global", "local")

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        width: Width = 256,
        hidden_layers: Count = 3,
        upscaled_dimensions: Count = 4,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        self.embedding = Embedding(timesteps, features)
        self.upscale = nn.Linear(dimensions, upscaled_dimensions)
        seen = (dimensions, upscaled_dimensions)
        self.branches = nn.ModuleList(
            branch((1 + count) * self.embedding.size, width, hidden_layers, dimensions)
            for count in seen
        )

    @abstractmethod
    def weigh(self, outputs: Tensor, time: Tensor) -> Tensor:
        """Return weights (n, 2) from outputs (n, 2, d) of the branches and features of t (n, E)."""

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        """Outputs of both branches at x (n, d) and timesteps t (n,), (n, 2, d)."""
        pairs = zip(self.branches, (x, self.upscale(x)), strict=True)
        return torch.stack([each(self.embedding(seen, t)) for each, seen in pairs], dim=1)

    def weights(self, x: Tensor, t: Tensor) -> Tensor:
        """Weights of global and local branch at x (n, d) and timesteps t (n,), (n, 2)."""
        return self.weigh(self.outputs(x, t), self.embedding.time(t))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        outputs = self.outputs(x, t)
        weights = self.weigh(outputs, self.embedding.time(t))
        return (weights[..., None] * outputs).sum(dim=1)
