"""First layer of every branch: features of t and of the branch's coordinates.

Shapes: S models, K branches, n points of d dimensions, T timesteps, E features per coordinate.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from dualscale.networks.features import Features, Sinusoids, TimeTable
from dualscale.networks.layers import Linear, Parameters, multiply
from dualscale.networks.settings import Branch


class UpProjection(Linear):
    """Learned linear up-projection of x (S, n, d) (equation 5), cut to (S, n, coordinates)."""

    def __init__(self, parameters: Parameters, name: str, coordinates: int):
        super().__init__(parameters, name)
        self.coordinates = coordinates

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[..., : self.coordinates]

    def learn(self, grad: Tensor) -> None:
        assert self.grad_weight is not None and self.grad_bias is not None
        self.grad_weight[..., : self.coordinates] = torch.bmm(self.x.mT, grad)
        self.grad_bias[..., : self.coordinates] = grad.sum(dim=1, keepdim=True)


class Coordinates:
    """Part of a branch's first layer that depends on x: features of its coordinates times a weight.

    Args:
        parameters: weight (S, coordinates E, width) of the branch's input, and its up-projection
            and learned frequencies where it has them.
        dimensions: d.
        batch: n, if the layer trains.
    """

    def __init__(
        self,
        name: str,
        branch: Branch,
        parameters: Parameters,
        features: Features,
        dimensions: int,
        batch: int | None = None,
    ):
        coordinates = branch.coordinates(dimensions)
        values, learned = parameters.values, f"frequencies.{name}"
        self.weight = values[f"input.{name}.weight"]
        self.grad_weight = parameters.gradient(f"input.{name}.weight")
        self.up_projection = (
            UpProjection(parameters, f"upscale.{name}", coordinates)
            if branch.upscaled_dimensions
            else None
        )
        frequencies, grad_frequencies = features.frequencies, None
        if learned in values:
            frequencies, grad_frequencies = values[learned], parameters.gradient(learned)
        self.train, kept, self.grad_features = batch is not None, None, None
        if batch is not None:
            shape = len(self.weight), batch, coordinates, 2 * frequencies.shape[-1]
            kept = self.weight.new_zeros(shape)
            if self.up_projection or learned in values:
                self.grad_features = torch.zeros_like(kept.flatten(2))
        self.sinusoids = Sinusoids(frequencies, features.damping, grad_frequencies, kept)

    def forward(
        self, x: Tensor, t: Tensor | int, time: Tensor, out: Tensor | None = None
    ) -> Tensor:
        """First layer before its activation, (S, n, width).

        Args:
            x: (S, n, d).
            time: part of the layer that depends on t, (S, n or 1, width).
            out: buffer of the output; None allocates it.
        """
        seen = self.up_projection.forward(x) if self.up_projection else x
        features = self.sinusoids.forward(seen, t).to(time.dtype)
        weight = self.weight.to(time.dtype)
        if self.train:
            self.features, self.used = features, weight
        return torch.baddbmm(time, features, weight, out=out)

    def learn(self, grad: Tensor) -> None:
        assert self.grad_weight is not None
        multiply(self.features.mT, grad, self.grad_weight)
        if self.grad_features is None:
            return
        multiply(grad, self.used.mT, self.grad_features)
        if self.up_projection:
            self.up_projection.learn(self.sinusoids.backward(self.grad_features))
        else:
            self.sinusoids.learn(self.grad_features)


class Given:
    """Part of every branch's first layer that depends on columns that are given or hidden.

    For each of a coordinates that can be: sines and cosines of a given one, not damped since it has
    no noise, and two flags, times a weight. All are 0, as the part is, where nothing is given or
    hidden.

    Args:
        parameters: weight (S, a (E + 2), width) of every branch, `given.{name}.weight`.
    """

    features: Tensor

    def __init__(self, branches: Iterable[str], parameters: Parameters, features: Features):
        names = [f"given.{name}.weight" for name in branches]
        self.weights = [parameters.values[name] for name in names]
        self.grad_weights = [parameters.gradient(name) for name in names]
        self.sinusoids, self.train = Sinusoids(features.frequencies), parameters.train

    def forward(self, x: Tensor, layer: Tensor) -> Tensor:
        """Return the layer (S, K, n, width) with this part added.

        Args:
            x: values and states (`Conditions.inputs`), (S, n, 2 a).
        """
        values, states = x.chunk(2, dim=-1)
        given, hidden = (states > 0).to(x.dtype), (states < 0).to(x.dtype)
        waves = self.sinusoids.forward(values, 0).unflatten(-1, (values.shape[-1], -1))
        features = torch.cat([(waves * given[..., None]).flatten(-2), given, hidden], dim=-1)
        features = features.to(layer.dtype)
        if self.train:
            self.features = features
        pairs = zip(layer.unbind(1), self.weights, strict=True)
        parts = [torch.baddbmm(part, features, weight.to(part.dtype)) for part, weight in pairs]
        return torch.stack(parts, dim=1)

    def learn(self, grad: Tensor) -> None:
        """Write the weights' gradients, from that of the layer (S, K, n, width)."""
        for part, grad_weight in zip(grad.unbind(1), self.grad_weights, strict=True):
            assert grad_weight is not None
            multiply(self.features.mT, part, grad_weight)


class FirstLayer:
    """First layer of every branch before its activation: x (S, n, d) and t to (S K, n, width).

    Where columns can be given, x may have 2 a columns more, as of `Conditions.inputs`.

    Args:
        out: buffer of the output, if the layer trains.
        precision: type of the products and of the output.
    """

    def __init__(
        self,
        branches: Mapping[str, Branch],
        parameters: Parameters,
        features: Features,
        dimensions: int,
        models: int,
        out: Tensor | None = None,
        precision: torch.dtype = torch.float32,
    ):
        rows = table = batch = None
        if out is not None:
            batch, rows = out.shape[1], out.view(-1, out.shape[-1])
            table = out.new_zeros(len(out), len(features.time), out.shape[-1])
        self.time = TimeTable(parameters, features.time.to(precision), models, rows, table)
        self.models, self.dimensions = models, dimensions
        self.given = None
        if any(name.startswith("given.") for name in parameters.values):
            self.given = Given(branches, parameters, features)
        self.branches = [
            Coordinates(name, branch, parameters, features, dimensions, batch)
            for name, branch in branches.items()
        ]

    def forward(self, x: Tensor, t: Tensor | int) -> Tensor:
        times, more = self.time.forward(t), x[..., self.dimensions :]
        out = self._of_points(x[..., : self.dimensions], t, times)
        if more.shape[-1]:
            assert self.given is not None
            out = self.given.forward(more, out)
        return out.flatten(0, 1)

    def _of_points(self, x: Tensor, t: Tensor | int, times: Tensor) -> Tensor:
        """Layer without what is given, (S, K, n, width)."""
        if torch.is_grad_enabled():  # autograd takes no buffers
            pairs = zip(self.branches, times.unbind(1), strict=True)
            parts = [branch.forward(x, t, time) for branch, time in pairs]
            return torch.stack(parts, dim=1)
        out = times.expand(-1, -1, x.shape[1], -1).contiguous()
        for branch, part in zip(self.branches, out.unbind(1), strict=True):
            branch.forward(x, t, part, out=part)
        return out

    def learn(self, grad: Tensor) -> None:
        grad = grad.unflatten(0, (self.models, -1))
        for branch, part in zip(self.branches, grad.unbind(1), strict=True):
            branch.learn(part)
        if self.given is not None:
            self.given.learn(grad)
        self.time.learn(grad)
