"""The paper's network as a list of layers, with its gradient."""

import torch
from torch import Tensor

from dualscale.networks.branches import FirstLayer
from dualscale.networks.features import Features
from dualscale.networks.layers import Layer, Linear, Parameters, ReLU, Residual
from dualscale.networks.settings import DualScale
from dualscale.networks.weightings import make_mixture


class Network:
    """F(x, t) of S models of K branches (the paper's equations 3 to 8).

    Args:
        parameters: views of all parameters; with their gradients, the network trains.
        features: constants of the features.
        dimensions: d.
        models: S.
        batch: n, the number of points, if the network trains.
        precision: type of the branches' products and activations; the up-projections, the weights
            of the branches and the sum of their outputs are float32.
    """

    def __init__(
        self,
        settings: DualScale,
        parameters: Parameters,
        features: Features,
        dimensions: int,
        models: int,
        batch: int | None = None,
        precision: torch.dtype = torch.float32,
    ):
        size = settings.network
        shape = None if batch is None else (models * len(settings.branches), batch, size.width)

        def buffer() -> Tensor | None:
            return None if shape is None else features.time.new_zeros(shape, dtype=precision)

        self.first = FirstLayer(
            settings.branches, parameters, features, dimensions, models, buffer(), precision
        )
        self.dimensions, self.precision = dimensions, precision
        inner = buffer()
        self.layers: list[Layer] = [
            *(
                Residual(parameters, f"hidden.{layer}", buffer(), inner)
                for layer in range(size.hidden_layers)
            ),
            ReLU(buffer()),
            Linear(parameters, "output", grad_x=buffer()),
        ]
        self.mixture = make_mixture(settings, parameters, features, models)

    def outputs(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Outputs of the branches (S K, n, d) for x (S, n, d) and timesteps t as in `forward`."""
        value = self.first.forward(x, t)
        for layer in self.layers:
            value = layer.forward(value)
        return value.to(x.dtype)

    def forward(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Outputs (S, n, d) for x (S, n, d) and timesteps t (S, n), or one for all points.

        Where columns can be given, x may have 2 a columns more, as of `Conditions.inputs`.
        """
        value, x = self.outputs(x, t), x[..., : self.dimensions]
        return self.mixture.forward(value, x, t) if self.mixture else value

    def learn(self, grad: Tensor) -> None:
        """Write the parameters' gradients, from that of the outputs (S, n, d)."""
        if self.mixture:
            grad = self.mixture.backward(grad)
        grad = grad.to(self.precision)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        self.first.learn(grad)
