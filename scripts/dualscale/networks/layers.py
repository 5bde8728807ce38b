"""Layers for stacks of models: each function with its gradient beneath it.

A layer's `forward` computes its function, plainly or under autograd. A layer that trains also keeps
what its gradient needs; its `backward` then takes the gradient with respect to its output, writes
the gradients of its parameters into their views, and returns the gradient with respect to its
input. `learn` only writes those of the parameters. Training reuses buffers from step to step:
autograd allocates every intermediate result anew and records a graph, which takes an eighth of a
training step on a CPU for networks this small.

Layers compute in the type of their input, float32 or bfloat16; parameters and their gradients are
float32.

Shapes: B batched products (S models, or S K branches of all models), n points.
"""

from abc import ABC, abstractmethod
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


class Layer(ABC):
    """Function of one tensor."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def backward(self, grad: Tensor) -> Tensor: ...


def multiply(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Write the batched product of a and b into `out`, which may be of another type."""
    if a.dtype == out.dtype:
        torch.bmm(a, b, out=out)
    else:
        out.copy_(torch.bmm(a, b))


class Linear(Layer):
    """x W + b, (B, n, in) to (B, n, out).

    Args:
        parameters: hold `{name}.weight` (B, in, out) and `{name}.bias` (B, 1, out).
        out: buffer of the output; None allocates it.
        grad_x: buffer of the gradient with respect to x; None allocates it.
    """

    x: Tensor
    used: Tensor

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
        weight = self.keep(x)
        return torch.baddbmm(self.bias.to(x.dtype), x, weight, out=self.out)

    def keep(self, x: Tensor) -> Tensor:
        """Return the weight in the type of x; keep both for the gradient if the layer trains."""
        weight = self.weight.to(x.dtype)
        if self.train:
            self.x, self.used = x, weight
        return weight

    def backward(self, grad: Tensor) -> Tensor:
        self.learn(grad)
        return torch.bmm(grad, self.used.mT, out=self.grad_x)

    def learn(self, grad: Tensor) -> None:
        assert self.grad_weight is not None and self.grad_bias is not None
        multiply(self.x.mT, grad, self.grad_weight)
        torch.sum(grad, 1, keepdim=True, dtype=self.grad_bias.dtype, out=self.grad_bias)


class ReLU(Layer):
    """max(x, 0).

    Args:
        out: buffer of the output, for a layer that trains; `backward` overwrites its argument.
    """

    def __init__(self, out: Tensor | None = None):
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp_min(x, 0, out=self.out)

    def backward(self, grad: Tensor) -> Tensor:
        return torch.ops.aten.threshold_backward.grad_input(grad, self.out, 0, grad_input=grad)


class Residual(Layer):
    """x + Linear(ReLU(x)), (B, n, width) to the same; in place unless autograd records it.

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
        rectified, bias = self.relu.forward(x), self.linear.bias.to(x.dtype)
        weight = self.linear.keep(rectified)
        if torch.is_grad_enabled():
            return torch.baddbmm(x + bias, rectified, weight)
        return x.add_(bias).baddbmm_(rectified, weight)

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
