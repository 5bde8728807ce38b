"""The paper's networks: branches at several scales, and the weights that combine them.

A backbone predicts the noise in x_t, or another target that a denoiser needs. It holds a stack of
models of one architecture (several seeds, say) whose parameters share one buffer, so that the
optimiser, gradient clipping and the EMA each take one pass, and the branches of all models run as
batched products.

Shapes: S models, K branches, n points of d dimensions, T timesteps, E features per coordinate.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dualscale.networks.settings import DualScale, Fixed, Learned
from dualscale.runtime.streams import stream_seed


class _Sinusoids(torch.autograd.Function):
    """sin and cos of x times frequencies; backward reuses them as each other's derivatives."""

    @staticmethod
    def forward(context, x: Tensor, frequencies: Tensor) -> Tensor:
        half = frequencies.shape[-1]
        out = x.new_empty(*x.shape, 2 * half)
        angle = torch.mul(x[..., None], frequencies)
        torch.sin(angle, out=out[..., :half])
        torch.cos(angle, out=out[..., half:])
        context.save_for_backward(x, out, frequencies)
        return out

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, out, frequencies = context.saved_tensors
        half = frequencies.shape[-1]
        slope = gradient[..., :half] * out[..., half:] - gradient[..., half:] * out[..., :half]
        of_x = (slope * frequencies).sum(-1) if context.needs_input_grad[0] else None
        of_frequencies = None
        if context.needs_input_grad[1]:
            of_frequencies = (slope * x[..., None]).sum_to_size(frequencies.shape)
        return of_x, of_frequencies


def sinusoidal_features(x: Tensor, frequencies: Tensor) -> Tensor:
    """Sines, then cosines, of each coordinate in turn at all frequencies: (..., d) to (..., d E).

    Args:
        frequencies: (E / 2,), or a shape that broadcasts against (..., d, E / 2).
    """
    return _Sinusoids.apply(x, frequencies).flatten(-2)


def embedding_frequencies(count: int, highest: float = 1.0, lowest: float = 1e-4) -> Tensor:
    """Angular frequencies in falling order, log-spaced, shape (count,)."""
    spaced = torch.logspace(0, math.log10(lowest / highest), count, dtype=torch.float64)
    return highest * spaced


def look_up(tables: Tensor, t: Tensor) -> Tensor:
    """Rows of `tables` (S, K, T, columns) at the timesteps `t` (S, n): (S, K, n, columns)."""
    models, count, timesteps, _ = tables.shape
    first = timesteps * torch.arange(models * count, device=t.device).view(models, count, 1)
    return functional.embedding(t[:, None] + first, tables.flatten(0, 2))


class Backbone:
    """Network eps_theta(x_t, t) of S models at once (the paper's equations 3 to 8).

    Args:
        settings: branches, their weighting and their size.
        dimensions: d.
        timesteps: T.
        models: S.
        noise: standard deviation of the noise in the backbone's input, (T,); needed for damped
            features.

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
    ):
        self.settings = settings
        self.dimensions, self.timesteps, self.models = dimensions, timesteps, models
        self.branches = settings.branches
        network = settings.network
        self.width, self.layers = network.width, network.hidden_layers
        self.embedding = network.embedding
        self.shapes = settings.parameter_shapes(dimensions)
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.flat = torch.zeros(models * sum(self.sizes), device=device)
        self.views = self.product_views(self.flat)
        for view in self.views.values():
            view.requires_grad_()
        half = self.embedding // 2
        band = network.highest_frequency, network.lowest_frequency
        times = torch.arange(timesteps, dtype=torch.float64)[:, None]
        self.frequencies = embedding_frequencies(half, *band).float().to(device)
        features = sinusoidal_features(times, embedding_frequencies(half))
        self.time_features = features.float().to(device)
        self.damping: Tensor | None = None
        if network.damped and noise is not None:
            kept = torch.exp(-0.5 * (noise[:, None] * embedding_frequencies(half, *band)) ** 2)
            self.damping = torch.cat([kept, kept], dim=1).float().to(device)
        weighting = settings.weighting
        fixed = weighting.weights if isinstance(weighting, Fixed) else {}
        self.fixed_weights = torch.tensor([fixed.get(n, 0.0) for n in self.branches], device=device)

    @property
    def learns_frequencies(self) -> bool:
        return self.settings.network.frequencies == "learned"

    @property
    def weighs_points(self) -> bool:
        """Whether the weights depend on x as well as on t."""
        weighting = self.settings.weighting
        return isinstance(weighting, Learned) and weighting.inputs == "x_and_t"

    @property
    def gating(self) -> Learned:
        """Settings of the gating network, for weights that are learned."""
        assert isinstance(self.settings.weighting, Learned)
        return self.settings.weighting

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
                    view.copy_(self.frequencies.expand_as(view))
                    continue
                for branch, part in self._by_branch(name, view[model]):
                    bound = 1 / math.sqrt(self._fan_in(name, branch))
                    generator = torch.Generator()
                    generator.manual_seed(stream_seed(stream, "initialise", name, branch))
                    part.copy_(torch.rand(part.shape, generator=generator) * 2 * bound - bound)

    def _by_branch(self, name: str, value: Tensor) -> Iterable[tuple[str, Tensor]]:
        """Pairs of branch and its part of a parameter; the branch is "" for a parameter of none."""
        if not name.startswith(("time.", "hidden.", "output.")):
            return [("", value)]
        return zip(self.branches, value, strict=True)

    def _fan_in(self, name: str, branch: str) -> int:
        """Number of inputs of a parameter's layer; the first layer's include the time features."""
        layer = name.rpartition(".")[0]
        if layer == "time":
            layer = f"input.{branch}"
        fan_in = self.shapes[f"{layer}.weight"][-2]
        return fan_in + self.embedding if layer.startswith("input.") else fan_in

    def _time_rows(self, t: Tensor | int) -> Tensor:
        """Contribution of the time to the first layer of every branch, (S, K, n or 1, width).

        Computed once for each of the T timesteps, then looked up.
        """
        features = self.time_features[t : t + 1] if isinstance(t, int) else self.time_features
        weight, bias = self.views["time.weight"], self.views["time.bias"]
        table = torch.baddbmm(bias, features.expand(len(weight), -1, -1), weight)
        if isinstance(t, int):
            return table.unflatten(0, (self.models, -1))
        return look_up(table.unflatten(0, (self.models, -1)), t)

    def branch_weights(self, times: slice = slice(None)) -> Tensor | None:
        """Branch weights w(t) for a range of timesteps, (S, range, K) (equations 6 and 7).

        Only for weights that depend on t alone; otherwise use `point_weights`. None for one branch.
        """
        features = self.time_features[times]
        weighting = self.settings.weighting
        if weighting.kind == "none":
            return None
        if weighting.kind == "fixed":
            return self.fixed_weights.expand(self.models, len(features), -1)
        return self.gate(self.weight_network(features)[-1])

    def point_weights(self, x: Tensor, t: Tensor | int) -> Tensor | None:
        """Branch weights of points x (S, n, d) at t, (S, n or 1, K); None for one branch."""
        if self.weighs_points:
            return self.gate(self.weight_network(self.point_features(x, t))[-1])
        if isinstance(t, int):
            return self.branch_weights(slice(t, t + 1))
        weights = self.branch_weights()
        return None if weights is None else look_up(weights[:, None], t)[:, 0]

    def point_features(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Sinusoidal features of t and x, (S, n, (1 + d) E)."""
        times = self.time_features[t].expand(*x.shape[:2], -1)
        return torch.cat([times, self.embed(x, t, self.frequencies)], dim=-1)

    def embed(self, x: Tensor, t: Tensor | int, frequencies: Tensor) -> Tensor:
        """Sinusoidal features of x (S, n, coordinates), (S, n, coordinates E).

        With damping, sin(f x) is replaced by its expectation over N(x, sigma²), that is
        multiplied by e^(-(f sigma)² / 2) (integrated positional encoding; Barron et al. 2021,
        equation 14).
        """
        features = sinusoidal_features(x, frequencies)
        if self.damping is None:
            return features
        kept = self.damping[t].unsqueeze(-2)
        return (features.unflatten(-1, (x.shape[-1], -1)) * kept).flatten(-2)

    def weight_network(self, features: Tensor) -> list[Tensor]:
        """Layer inputs, then logits, of the gating network MLP_w (equation 7), (S, rows, width)."""
        values = [features.expand(self.models, -1, -1)]
        weighting = self.gating
        for layer in range(len(weighting.hidden) + 1):
            if layer > 0:
                values[-1] = functional.leaky_relu(values[-1], weighting.negative_slope)
            weight, bias = self.layer(f"weighting.{layer}")
            values.append(torch.baddbmm(bias, values[-1], weight))
        return values

    def gate(self, logits: Tensor) -> Tensor:
        """Branch weights, (S, rows, K): softmax (equation 6), or sigmoid for two branches."""
        if self.gating.gate == "sigmoid":
            first = logits.sigmoid()
            return torch.cat([first, 1 - first], dim=-1)
        return logits.softmax(dim=-1)

    def __call__(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Predict the noise, or the target that the backbone was trained on, (S, n, d).

        Args:
            x: noisy points, (S, n, d).
            t: integer timesteps (S, n), or one timestep shared by all points.
        """
        hidden = self._first_layer(x, t)
        for layer in range(self.layers):
            weight, bias = self.layer(f"hidden.{layer}")
            hidden = torch.baddbmm(hidden + bias, hidden.relu(), weight)  # x + Linear(ReLU(x))
        weight, bias = self.layer("output")
        outputs = torch.baddbmm(bias, hidden.relu(), weight)
        weights = self.point_weights(x, t)
        if weights is None:
            return outputs
        return (outputs.unflatten(0, (self.models, -1)) * weights.mT[..., None]).sum(dim=1)

    def _first_layer(self, x: Tensor, t: Tensor | int) -> Tensor:
        """First hidden layer of every branch, before its activation: (S K, n, width)."""
        times = self._time_rows(t).unbind(1)
        rows = []
        for name, time in zip(self.branches, times, strict=True):
            features = self.embed(self.seen(name, x), t, self.frequencies_of(name))
            rows.append(torch.baddbmm(time, features, self.views[f"input.{name}.weight"]))
        return rows[0] if len(rows) == 1 else torch.stack(rows, dim=1).flatten(0, 1)

    def seen(self, name: str, x: Tensor) -> Tensor:
        """Coordinates that a branch embeds, (S, n, coordinates): x or upscaled x (equation 5)."""
        if not self.branches[name].upscaled_dimensions:
            return x
        weight, bias = self.layer(f"upscale.{name}")
        return torch.baddbmm(bias, x, weight)[..., : self.coordinates(name)]

    def frequencies_of(self, name: str) -> Tensor:
        """Frequencies of a branch's input features: (E / 2,), or (S, 1, 1, E / 2) if learned."""
        if self.learns_frequencies:
            return self.views[f"frequencies.{name}"][:, None]
        return self.frequencies

    def coordinates(self, name: str) -> int:
        """Number of coordinates that a branch embeds."""
        branch = self.branches[name]
        return branch.coordinates(self.dimensions)

    def layer(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer, shaped for batched products."""
        return self.views[f"{name}.weight"], self.views[f"{name}.bias"]
