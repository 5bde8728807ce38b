"""TabDDPM's network (Kotelnikov et al. 2023, section 3)."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, checked

Widths = Annotated[list[Width], Field(min_length=1, max_length=64)]


class TabularMLP(nn.Module):
    """Plain ReLU MLP on Linear(x) plus an embedding of t.

        e = Linear(SiLU(Linear(sinusoids of t))),  h = Linear(x) + e,
        h <- ReLU(Linear(h)) in every hidden layer,  F(x, t) = Linear(h).

    Unlike the baseline it sees x itself, not sinusoids of it, and has no residual connections.

    Args:
        dimensions: d.
        timesteps: T.
        layers: widths of the hidden layers.
    """

    @checked
    def __init__(self, dimensions: int, timesteps: int, layers: Widths):
        super().__init__()
        self.embedding = Embedding(timesteps, PAPER)
        embedding = self.embedding.size
        self.time = nn.Sequential(
            nn.Linear(embedding, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.first = nn.Linear(dimensions, embedding)
        hidden: list[nn.Module] = []
        for before, after in pairwise([embedding, *layers]):
            hidden += [nn.Linear(before, after), nn.ReLU()]
        self.hidden = nn.Sequential(*hidden)
        self.last = nn.Linear(layers[-1], dimensions)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        return self.last(self.hidden(self.first(x) + self.time(self.embedding.time(t))))
