"""Features of timesteps and of coordinates, with their gradients.

Shapes: S models, K branches, n points of d dimensions, T timesteps, E features per coordinate.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dualscale.networks.layers import Linear, Parameters
from dualscale.networks.settings import Size


class LookUp:
    """Rows of tables (S K, T, columns) at the timesteps t (S, n): (S, K, n, columns).

    Args:
        first_rows: index of every table's first row, from `first_rows`.
        out: buffer of the rows, (S K n, columns); None allocates it.
    """

    rows: Tensor

    def __init__(self, first_rows: Tensor, train: bool, out: Tensor | None = None):
        self.first_rows, self.train, self.out = first_rows, train, out

    def forward(self, tables: Tensor, t: Tensor) -> Tensor:
        rows = t[:, None] + self.first_rows
        if self.train:
            self.rows, self.shape = rows, tables.shape
        found = torch.index_select(tables.flatten(0, 1), 0, rows.flatten(), out=self.out)
        return found.view(*rows.shape, -1)

    def backward(self, grad: Tensor) -> Tensor:
        """Gradient with respect to the tables, from that of the rows (S, K, n, columns)."""
        if grad.is_cuda:  # index_add_ would sort there to be deterministic
            return sums_by_timestep(grad, self.rows - self.first_rows, self.shape[1]).flatten(0, 1)
        tables = torch.zeros(self.shape, device=grad.device)
        rows = grad.flatten(0, 2).float()  # sums in bfloat16 would lose small terms
        tables.flatten(0, 1).index_add_(0, self.rows.flatten(), rows)
        return tables.to(grad.dtype)


def sums_by_timestep(values: Tensor, t: Tensor, timesteps: int) -> Tensor:
    """Sums of the values (…, n, columns) that share a timestep t (…, n): (…, T, columns).

    A product with one-hot rows: deterministic, and captured in CUDA graphs.
    """
    every = torch.arange(timesteps, device=t.device)
    return (t[..., None, :] == every[:, None]).to(values.dtype) @ values


def first_rows(models: int, count: int, timesteps: int, device: torch.device) -> Tensor:
    """Index of every table's first row among the rows of all tables, (S, K, 1)."""
    first = timesteps * torch.arange(models * count, device=device)
    return first.view(models, count, 1)


class TimeTable:
    """Linear(features of t) of every branch, t (S, n) or an integer to (S, K, n or 1, width).

    It is computed once for each of the T timesteps, then looked up.

    Args:
        features: of every timestep, (T, E).
        out: buffer of the output, (S K n, width).
        table: buffer of the linear layer at all timesteps, (S K, T, width).
    """

    def __init__(
        self,
        parameters: Parameters,
        features: Tensor,
        models: int,
        out: Tensor | None = None,
        table: Tensor | None = None,
    ):
        self.linear = Linear(parameters, "time", out=table)
        self.features, self.models = features, models
        products = len(self.linear.weight)
        first = first_rows(models, products // models, len(features), features.device)
        self.look_up = LookUp(first, parameters.train, out)

    def forward(self, t: Tensor | int) -> Tensor:
        features = self.features[t : t + 1] if isinstance(t, int) else self.features
        table = self.linear.forward(features.expand(len(self.linear.weight), -1, -1))
        if isinstance(t, int):
            return table.unflatten(0, (self.models, -1))
        return self.look_up.forward(table, t)

    def learn(self, grad: Tensor) -> None:
        self.linear.learn(self.look_up.backward(grad))


class Sinusoids:
    """sin(f x), then cos(f x), of each coordinate at all frequencies: (S, n, d) to (S, n, d E).

    With damping they are replaced by their expectations over N(x, sigma²), that is multiplied by
    e^(-(f sigma)² / 2) (integrated positional encoding; Barron et al. 2021, equation 14).

    Args:
        frequencies: fixed (E / 2,), or learned (S, 1, E / 2).
        damping: factor of every feature at every timestep, (T, E).
        grad_frequencies: view of the gradient of learned frequencies.
        out: buffer of the features, (S, n, d, E), for a layer that trains.
    """

    x: Tensor
    features: Tensor

    def __init__(
        self,
        frequencies: Tensor,
        damping: Tensor | None = None,
        grad_frequencies: Tensor | None = None,
        out: Tensor | None = None,
    ):
        self.values, self.damping = frequencies, damping
        self.grad_frequencies, self.out = grad_frequencies, out

    @property
    def learned(self) -> bool:
        return self.values.ndim > 1

    @property
    def frequencies(self) -> Tensor:
        """Frequencies that broadcast against (S, n, d, E / 2)."""
        return self.values[:, None] if self.learned else self.values

    def forward(self, x: Tensor, t: Tensor | int) -> Tensor:
        features = sines_and_cosines(x[..., None] * self.frequencies, self.out)
        if self.damping is not None:
            kept = self.damping[t].unsqueeze(-2)
            features = features * kept if features.requires_grad else features.mul_(kept)
        if self.out is not None:
            self.x, self.features = x, features
        return features.flatten(-2)

    def backward(self, grad: Tensor) -> Tensor:
        """Gradient with respect to x, (S, n, d); sin and cos are each other's derivatives."""
        slope = self.learn(grad)
        if self.learned:
            return (slope * self.frequencies).sum(dim=-1)
        return slope @ self.frequencies

    def learn(self, grad: Tensor) -> Tensor:
        """Return the gradient with respect to f x, (S, n, d, E / 2)."""
        grad, features = grad.view_as(self.features), self.features
        half = features.shape[-1] // 2
        slope = grad[..., :half] * features[..., half:]
        slope -= grad[..., half:] * features[..., :half]
        if self.grad_frequencies is not None:
            self.grad_frequencies[:, 0] = torch.einsum("snch,snc->sh", slope, self.x)
        return slope


def sines_and_cosines(angle: Tensor, out: Tensor | None = None) -> Tensor:
    """Sines, then cosines, (…, E / 2) to (…, E)."""
    if angle.requires_grad:  # autograd takes no buffers
        return torch.cat([angle.sin(), angle.cos()], dim=-1)
    half = angle.shape[-1]
    if out is None:
        out = angle.new_empty(*angle.shape[:-1], 2 * half)
    torch.sin(angle, out=out[..., :half])
    torch.cos(angle, out=out[..., half:])
    return out


def embedding_frequencies(count: int, highest: float = 1.0, lowest: float = 1e-4) -> Tensor:
    """Angular frequencies in falling order, log-spaced, shape (count,)."""
    spaced = torch.logspace(0, math.log10(lowest / highest), count, dtype=torch.float64)
    return highest * spaced


@dataclass(frozen=True)
class Features:
    """Constants of the features.

    Args:
        time: features of every timestep, (T, E).
        frequencies: initial frequencies of the coordinates' features, (E / 2,).
        damping: factor of the coordinates' features at every timestep, (T, E); None: undamped.
    """

    time: Tensor
    frequencies: Tensor
    damping: Tensor | None


def make_features(
    size: Size, timesteps: int, noise: Tensor | None, device: torch.device | None
) -> Features:
    """Return the constants of a network's features.

    Args:
        noise: standard deviation of the noise in the network's input, (T,); without it, features
            are not damped.
    """
    half = size.embedding // 2
    times = torch.arange(timesteps, dtype=torch.float64)[:, None]
    time = sines_and_cosines(times * embedding_frequencies(half))
    frequencies = embedding_frequencies(half, size.highest_frequency, size.lowest_frequency)
    damping = None
    if size.damped and noise is not None:
        kept = torch.exp(-0.5 * (noise[:, None] * frequencies) ** 2)
        damping = torch.cat([kept, kept], dim=1).float().to(device)
    return Features(time.float().to(device), frequencies.float().to(device), damping)
