"""Stacks of the paper's networks, whose parameters share one buffer.

A backbone predicts the noise in x_t, or another target that a denoiser needs. It holds a stack of
models of one architecture (several seeds, say) whose parameters share one buffer, so that the
optimiser, gradient clipping and the EMA each take one pass, and the branches of all models run as
batched products.

Shapes: S models, K branches, n points of d dimensions, T timesteps, E features per coordinate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from dualscale.networks.features import make_features
from dualscale.networks.layers import Parameters
from dualscale.networks.network import Network
from dualscale.networks.settings import DualScale, Learned
from dualscale.runtime.streams import stream_seed


class Backbone:
    """Network eps_theta(x_t, t) of S models at once (the paper's equations 3 to 8).

    Args:
        settings: branches, their weighting and their size.
        dimensions: d.
        timesteps: T.
        models: S.
        noise: standard deviation of the noise in the backbone's input, (T,); needed for damped
            features.
        precision: type of the branches' products and activations; parameters, inputs and outputs
            are float32.
        given: a, how many coordinates can be given; the inputs can then have d + 2 a columns, as of
            `Conditions.inputs`.

    Attributes:
        flat: all parameters of all models in one buffer; each name has S consecutive blocks.
        views: named views of `flat`, shaped for batched products: (S, rows, columns), or (S K,
            rows, columns) for parameters that every branch has. Differentiate with respect to
            these.
    """

    def __init__(
        self,
        settings: DualScale,
        dimensions: int,
        timesteps: int,
        models: int = 1,
        device: torch.device | None = None,
        noise: Tensor | None = None,
        precision: torch.dtype = torch.float32,
        given: int = 0,
    ):
        self.settings, self.precision = settings, precision
        self.dimensions, self.timesteps, self.models = dimensions, timesteps, models
        self.branches = settings.branches
        self.shapes = settings.parameter_shapes(dimensions, given)
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.flat = torch.zeros(models * sum(self.sizes), device=device)
        self.views = self.product_views(self.flat)
        for view in self.views.values():
            view.requires_grad_()
        self.features = make_features(settings.network, timesteps, noise, device)
        self.network = self._network(Parameters(self.views))

    @property
    def weighs_points(self) -> bool:
        """Whether the weights depend on x as well as on t."""
        weighting = self.settings.weighting
        return isinstance(weighting, Learned) and weighting.inputs == "x_and_t"

    @property
    def parameters_per_model(self) -> int:
        return sum(self.sizes)

    def named_views(self, flat: Tensor) -> dict[str, Tensor]:
        """Split a buffer laid out as `flat` into named views of shape (S, *shape)."""
        pieces = flat.split([self.models * size for size in self.sizes])
        return {
            name: piece.view(self.models, *shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def product_views(self, flat: Tensor) -> dict[str, Tensor]:
        """Named views of a buffer, shaped for batched products as `views` are."""
        return {name: view.flatten(0, -3) for name, view in self.named_views(flat).items()}

    def constants(self, model: int) -> dict[str, Tensor]:
        """Non-learned tensors of a model: none. `ModuleBackbone` may have some."""
        return {}

    @torch.no_grad()
    def initialise(self, streams: Sequence[int | str]) -> None:
        """Draw from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for linear layers.

        Learned frequencies start at the fixed ones. Every parameter of every branch has its own
        random stream, so variants that share a branch start it from the same values.

        Args:
            streams: one stream name per model.
        """
        for model, stream in enumerate(streams):
            for name, view in self.named_views(self.flat).items():
                if name.startswith("frequencies."):
                    view.copy_(self.features.frequencies.expand_as(view))
                    continue
                for branch, part in self._by_branch(name, view[model]):
                    bound = 1 / math.sqrt(self._fan_in(name, branch))
                    generator = torch.Generator()
                    generator.manual_seed(stream_seed(stream, "initialise", name, branch))
                    drawn = torch.rand(part.shape, generator=generator) * 2 * bound - bound
                    if name in self._orthogonal:
                        left, _, right = torch.linalg.svd(drawn, full_matrices=False)
                        # The root mean square of the singular values of entries so drawn.
                        drawn = bound * math.sqrt(max(drawn.shape) / 3) * left @ right
                    part.copy_(drawn)

    @property
    def _orthogonal(self) -> set[str]:
        """Names of the parameters that start with equal singular values."""
        return {
            f"upscale.{name}.weight"
            for name, branch in self.branches.items()
            if branch.upscale_initialisation == "orthogonal"
        }

    def _by_branch(self, name: str, value: Tensor) -> Iterable[tuple[str, Tensor]]:
        """Pairs of branch name and part of a parameter; "" for a parameter of no branch."""
        if not name.startswith(("time.", "hidden.", "output.")):
            return [("", value)]
        return zip(self.branches, value, strict=True)

    def _fan_in(self, name: str, branch: str) -> int:
        """Number of inputs of a parameter's layer; the first layer's include the time features."""
        layer = name.rpartition(".")[0]
        if layer == "time":
            layer = f"input.{branch}"
        fan_in = self.shapes[f"{layer}.weight"][-2]
        return fan_in + self.settings.network.embedding if layer.startswith("input.") else fan_in

    def _network(self, parameters: Parameters, batch: int | None = None) -> Network:
        shape = self.dimensions, self.models, batch
        return Network(self.settings, parameters, self.features, *shape, self.precision)

    def training_network(self, gradients: Mapping[str, Tensor], batch: int) -> Network:
        """Return the network on the same parameters, with buffers for training.

        Args:
            gradients: named views of the gradient's buffer, from `product_views`.
            batch: n, points per step.
        """
        return self._network(Parameters(self.views, gradients), batch)

    def branch_weights(self) -> Tensor | None:
        """Branch weights w(t) at every timestep, (S, T, K) (equations 6 and 7).

        Only for weights that depend on t alone; otherwise use `point_weights`. None for one branch.
        """
        return self.network.mixture.weights.table() if self.network.mixture else None

    def point_weights(self, x: Tensor, t: Tensor | int) -> Tensor | None:
        """Branch weights of points x (S, n, d) at t, (S, n or 1, K); None for one branch."""
        return self.network.mixture.weights.forward(x, t) if self.network.mixture else None

    def branch_outputs(self, x: Tensor, t: int) -> Tensor:
        """Outputs of every branch for points x (S, n, d) at a timestep, (S, K, n, d)."""
        return self.network.outputs(x, t).unflatten(0, (self.models, -1))

    def __call__(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Predict the noise, or the target that the backbone was trained on, (S, n, d).

        Args:
            x: noisy points, (S, n, d).
            t: integer timesteps (S, n), or one timestep shared by all points.
        """
        return self.network.forward(x, t)
