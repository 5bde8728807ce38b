"""TabDDPM's network for numerical columns (Kotelnikov et al. 2022, section 3)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from dualscale.networks.systems.embedding import Embedding


class TabularMLP(nn.Module):
    """Plain ReLU MLP on Linear(x) plus an embedding of t.

        e = Linear(SiLU(Linear(sinusoids of t))),  h = Linear(x) + e,
        h <- ReLU(Linear(h)) in every hidden layer,  F(x, t) = Linear(h).

    Unlike the baseline it sees x itself, not sinusoids of it, and has no residual connections.

    Args:
        dimensions: d.
        timesteps: T.
        layers: widths of the hidden layers.
        embedding: E, width of the embedding of t.
        dropout: share of the hidden activations set to 0 in training.
    """

    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        layers: Sequence[int] = (256, 288, 288, 256),
        embedding: int = 128,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.embedding = Embedding(timesteps, {"embedding": embedding})
        self.time = nn.Sequential(
            nn.Linear(embedding, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        self.first = nn.Linear(dimensions, embedding)
        hidden: list[nn.Module] = []
        for before, after in pairwise([embedding, *layers]):
            hidden += [nn.Linear(before, after), nn.ReLU()]
            if dropout:
                hidden.append(nn.Dropout(dropout))
        self.hidden = nn.Sequential(*hidden)
        self.last = nn.Linear(layers[-1], dimensions)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        return self.last(self.hidden(self.first(x) + self.time(self.embedding.time(t))))
