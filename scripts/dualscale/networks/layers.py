"""Layers for stacks of models: each function with its gradient beneath it.

A layer's `forward` computes its function, plainly or under autograd. A layer that trains also keeps
what its gradient needs; its `backward` then takes the gradient with respect to its output, writes
those of its parameters into their views, and returns that with respect to its input. `learn` does
so without the last. Training reuses buffers from step to step: autograd allocates every
intermediate result anew and records a graph, an eighth of a CPU step for networks this small.

Shapes: S models, K branches, B batched products (S or S K), n points, T timesteps, E features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Parameters:
    """Views of parameters by name, and of their gradients if the layers train."""

    values: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor] | None = None

    @property
    def train(self) -> bool:
        return self.gradients is not None

    def gradient(self, name: str) -> Tensor | None:
        return None if self.gradients is None else self.gradients[name]


class Layer:
    """Function of one tensor."""

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def backward(self, grad: Tensor) -> Tensor:
        raise NotImplementedError


class Linear(Layer):
    """x W + b, (B, n, in) to (B, n, out).

    Args:
        parameters: hold `{name}.weight` (B, in, out) and `{name}.bias` (B, 1, out).
        out: buffer of the output; None allocates it.
        grad_x: buffer of the gradient with respect to x; None allocates it.
    """

    x: Tensor

    def __init__(
        self,
        parameters: Parameters,
        name: str,
        out: Tensor | None = None,
        grad_x: Tensor | None = None,
    ):
        weight, bias = f"{name}.weight", f"{name}.bias"
        self.weight, self.bias = parameters.values[weight], parameters.values[bias]
        self.grad_weight, self.grad_bias = parameters.gradient(weight), parameters.gradient(bias)
        self.train, self.out, self.grad_x = parameters.train, out, grad_x

    def forward(self, x: Tensor) -> Tensor:
        if self.train:
            self.x = x
        return torch.baddbmm(self.bias, x, self.weight, out=self.out)

    def backward(self, grad: Tensor) -> Tensor:
        self.learn(grad)
        return torch.bmm(grad, self.weight.mT, out=self.grad_x)

    def learn(self, grad: Tensor) -> None:
        torch.bmm(self.x.mT, grad, out=self.grad_weight)
        torch.sum(grad, 1, keepdim=True, out=self.grad_bias)


class ReLU(Layer):
    """max(x, 0).

    Args:
        out: buffer of the output, for a layer that trains; `backward` changes its argument.
    """

    def __init__(self, out: Tensor | None = None):
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp_min(x, 0, out=self.out)

    def backward(self, grad: Tensor) -> Tensor:
        return torch.ops.aten.threshold_backward.grad_input(grad, self.out, 0, grad_input=grad)


class Residual(Layer):
    """x + Linear(ReLU(x)), (B, n, width) to the same; in place if it trains.

    Args:
        rectified, grad_x: buffers of ReLU(x) and of the gradient with respect to it.
    """

    def __init__(
        self,
        parameters: Parameters,
        name: str,
        rectified: Tensor | None = None,
        grad_x: Tensor | None = None,
    ):
        self.relu, self.linear = ReLU(rectified), Linear(parameters, name, grad_x=grad_x)

    def forward(self, x: Tensor) -> Tensor:
        rectified = self.relu.forward(x)
        if not self.linear.train:
            return torch.baddbmm(x + self.linear.bias, rectified, self.linear.weight)
        self.linear.x = rectified
        return x.add_(self.linear.bias).baddbmm_(rectified, self.linear.weight)

    def backward(self, grad: Tensor) -> Tensor:
        return grad.add_(self.relu.backward(self.linear.backward(grad)))


class LeakyReLU(Layer):
    """x where it is positive, slope x elsewhere."""

    y: Tensor

    def __init__(self, slope: float, train: bool):
        self.slope, self.train = slope, train

    def forward(self, x: Tensor) -> Tensor:
        y = torch.nn.functional.leaky_relu(x, self.slope)
        if self.train:
            self.y = y
        return y

    def backward(self, grad: Tensor) -> Tensor:
        return torch.ops.aten.leaky_relu_backward(grad, self.y, self.slope, True)


class Softmax(Layer):
    """e^x over its sum along the last dimension, (…, K) to the same (equation 6)."""

    y: Tensor

    def __init__(self, train: bool):
        self.train = train

    def forward(self, x: Tensor) -> Tensor:
        y = x.softmax(dim=-1)
        if self.train:
            self.y = y
        return y

    def backward(self, grad: Tensor) -> Tensor:
        return self.y * (grad - (grad * self.y).sum(dim=-1, keepdim=True))


class Sigmoid(Layer):
    """1 / (1 + e^-x), and 1 minus it: (…, 1) to (…, 2)."""

    y: Tensor

    def __init__(self, train: bool):
        self.train = train

    def forward(self, x: Tensor) -> Tensor:
        first = x.sigmoid()
        y = torch.cat([first, 1 - first], dim=-1)
        if self.train:
            self.y = y
        return y

    def backward(self, grad: Tensor) -> Tensor:
        first, second = self.y.split(1, dim=-1)
        return (grad[..., :1] - grad[..., 1:]) * first * second


class LookUp:
    """Rows of tables (S K, T, columns) at the timesteps t (S, n): (S, K, n, columns).

    Args:
        first_rows: from `first_rows`.
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
        tables = grad.new_zeros(self.shape)
        tables.flatten(0, 1).index_add_(0, self.rows.flatten(), grad.flatten(0, 2))
        return tables


def first_rows(models: int, count: int, timesteps: int, device: torch.device) -> Tensor:
    """Number of the first row of every table, among all rows, (S, K, 1)."""
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
