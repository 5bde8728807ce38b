"""Weights of the branches, and the weighted sum of their outputs.

Shapes: S models, K branches, n points of d dimensions, T timesteps, E features per coordinate.
"""

import torch
from torch import Tensor

from dualscale.networks.features import Features, LookUp, Sinusoids, first_rows
from dualscale.networks.layers import Layer, LeakyReLU, Linear, Parameters, Sigmoid, Softmax
from dualscale.networks.settings import DualScale, Fixed, Learned


class ConstantWeights:
    """Constant weights, the same for all points and timesteps.

    Args:
        weights: (K,).
    """

    def __init__(self, weights: Tensor, models: int, timesteps: int):
        self.weights = weights.expand(models, timesteps, -1)

    def table(self) -> Tensor:
        """Weights at every timestep, (S, T, K)."""
        return self.weights

    def forward(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Weights of points x (S, n, d) at t, (S, n or 1, K)."""
        points = 1 if isinstance(t, int) else x.shape[1]
        # Laid out as a gating network's, since the rounding of later products depends on it.
        return self.weights[:, :1].expand(-1, points, -1).contiguous()

    def learn(self, grad: Tensor) -> None:
        """Nothing is learned."""


class TabledWeights:
    """Given weights for every timestep, in place of a trained model's.

    Args:
        weights: (T, K).
    """

    def __init__(self, weights: Tensor):
        self.weights = weights

    def forward(self, x: Tensor, t: int) -> Tensor:
        """Weights of all points at t, (S, 1, K)."""
        return self.weights[t].expand(len(x), 1, -1)


class GatingNetwork:
    """Weights from an MLP on features of t, or of t and x, and a gate (equations 6 and 7)."""

    def __init__(
        self,
        settings: Learned,
        parameters: Parameters,
        features: Features,
        models: int,
    ):
        self.of_points, self.models = settings.inputs == "x_and_t", models
        self.features, train = features.time, parameters.train
        self.sinusoids = Sinusoids(features.frequencies, features.damping)
        self.first = Linear(parameters, "weighting.0")
        self.layers: list[Layer] = []
        for layer in range(1, len(settings.hidden) + 1):
            self.layers.append(LeakyReLU(settings.negative_slope, train))
            self.layers.append(Linear(parameters, f"weighting.{layer}"))
        self.layers.append((Sigmoid if settings.gate == "sigmoid" else Softmax)(train))
        rows = first_rows(models, 1, len(features.time), features.time.device)
        self.look_up = LookUp(rows, train)

    def table(self) -> Tensor:
        """Weights at every timestep, (S, T, K); for weights that depend on t alone."""
        return self._weights(self.features)

    def forward(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Weights of points x (S, n, d) at t, (S, n or 1, K)."""
        if self.of_points:
            times = self.features[t].expand(*x.shape[:2], -1)
            return self._weights(torch.cat([times, self.sinusoids.forward(x, t)], dim=-1))
        if isinstance(t, int):
            return self._weights(self.features[t : t + 1])
        return self.look_up.forward(self.table(), t)[:, 0]

    def learn(self, grad: Tensor) -> None:
        """Backpropagate the gradient with respect to the weights, (S, n, K)."""
        if not self.of_points:
            grad = self.look_up.backward(grad[:, None])
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        self.first.learn(grad)

    def _weights(self, features: Tensor) -> Tensor:
        value = self.first.forward(features.expand(self.models, -1, -1))
        for layer in self.layers:
            value = layer.forward(value)
        return value


class Mixture:
    """Sum of the branches' outputs times their weights, (S K, n, d) to (S, n, d) (equation 8)."""

    outputs: Tensor
    factors: Tensor

    def __init__(self, weights: ConstantWeights | GatingNetwork, models: int, train: bool):
        self.weights, self.models, self.train = weights, models, train

    def forward(self, outputs: Tensor, x: Tensor, t: Tensor | int) -> Tensor:
        outputs = outputs.unflatten(0, (self.models, -1))
        factors = self.weights.forward(x, t).mT[..., None]
        if self.train:
            self.outputs, self.factors = outputs, factors
        return (outputs * factors).sum(dim=1)

    def backward(self, grad: Tensor) -> Tensor:
        grad = grad[:, None]
        self.weights.learn((self.outputs * grad).sum(dim=-1).mT)
        return (self.factors * grad).flatten(0, 1)


def make_mixture(
    settings: DualScale, parameters: Parameters, features: Features, models: int
) -> Mixture | None:
    """Return the combination of a network's branches; None for one branch."""
    weighting, time = settings.weighting, features.time
    weights: ConstantWeights | GatingNetwork
    if isinstance(weighting, Fixed):
        constant = [weighting.weights[name] for name in settings.branches]
        constants = torch.tensor(constant, device=time.device)
        weights = ConstantWeights(constants, models, len(time))
    elif isinstance(weighting, Learned):
        weights = GatingNetwork(weighting, parameters, features, models)
    else:
        return None
    return Mixture(weights, models, parameters.train)
