"""Time-dependent multi-head self-attention (DiffiT; Hatamizadeh et al. 2023, equations 1 to 6)."""

import math

import torch
from torch import Tensor, nn

from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, Count, Sinusoids, checked


class TMSA(nn.Module):
    """Self-attention whose queries, keys and values all depend on a token of t.

        [q, k, v] = x W_s + time W_t,  softmax(q kᵀ / sqrt(h / heads) + B) v,

    with one learned bias B for each head and pair of tokens. DiffiT's depends on the relative
    position of two tokens; coordinates have none. What the time adds to all keys alike cancels in
    the softmax; queries and values carry it.
    """

    def __init__(self, tokens: int, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.space = nn.Linear(width, 3 * width)
        self.time = nn.Linear(width, 3 * width, bias=False)
        self.bias = nn.Parameter(torch.zeros(heads, tokens, tokens))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Map tokens (n, tokens, h) and the token of t (n, h) to (n, tokens, h)."""
        mixed = self.space(x) + self.time(time)[:, None]
        q, k, v = mixed.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT / math.sqrt(q.shape[-1]) + self.bias).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x += TMSA(LN(x), time), then x += MLP(LN(x)), four times as wide inside, with a GELU."""

    def __init__(self, tokens: int, width: int, heads: int):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), TMSA(tokens, width, heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        x = x + self.attention(self.norm(x), time)
        return x + self.mlp(x)


class TimeDependentAttention(nn.Module):
    """Transformer with TMSA over one token for each coordinate and band of its frequencies.

    Args:
        dimensions: d.
        timesteps: T.
        bands: into which each coordinate's sinusoids are divided.
        width: h, of the tokens.
        blocks: their number.
        heads: of the attention.
        features: of the sinusoids.
    """

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        bands: Count = 2,
        width: Width = 64,
        blocks: Count = 4,
        heads: Count = 4,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        self.bands, tokens = bands, dimensions * bands
        self.embedding = Embedding(timesteps, features)
        size = self.embedding.size
        if size // 2 % bands:
            raise ValueError(f"bands is {bands}: a divisor of {size // 2} frequencies is allowed")
        if width % heads:
            raise ValueError(f"heads is {heads}: a divisor of width, {width}, is allowed")
        bound = math.sqrt(bands / size)
        self.weight = nn.Parameter(torch.empty(tokens, size // bands, width))
        self.bias = nn.Parameter(torch.empty(tokens, 1, width))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound)
        self.time = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, width))
        self.blocks = nn.ModuleList([Block(tokens, width, heads) for _ in range(blocks)])
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(tokens * width, dimensions)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens of x (n, d), (n, d bands, h), each with weights of its own."""
        waves = self.embedding.coordinates(x).unflatten(-1, (2, self.bands, -1))
        features = waves.transpose(2, 3).flatten(3).flatten(1, 2)
        return torch.baddbmm(self.bias, features.transpose(0, 1), self.weight).transpose(0, 1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        time, h = self.time(self.embedding.time(t)), self.tokens(x)
        for block in self.blocks:
            h = block(h, time)
        return self.last(self.norm(h).flatten(1))
