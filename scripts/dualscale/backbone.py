"""The paper's networks: branches at several scales, and the weights that combine them.

A backbone predicts the noise in x_t, or what else a denoiser asks of it. It holds a stack of models
of one architecture (several seeds, say), all of whose parameters lie in one buffer: the optimiser,
the clipping and the EMA are then one pass each, and the branches of all models run as batched
products.

Shapes: S models, K branches, n points of d dimensions, T timesteps, E features a coordinate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from dualscale.streams import stream_seed


class _Sinusoids(torch.autograd.Function):
    """sin and cos of an angle; each is the other's derivative, so backward computes neither."""

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
    """sin then cos of every frequency, for each coordinate in turn: (..., d) to (..., d E).

    Args:
        frequencies: (E / 2,), or broadcast against (..., d, E / 2).
    """
    return _Sinusoids.apply(x, frequencies).flatten(-2)


def embedding_frequencies(count: int, highest: float = 1.0, lowest: float = 1e-4) -> Tensor:
    """Angular frequencies, log-spaced and falling, shape (count,)."""
    spaced = torch.logspace(0, math.log10(lowest / highest), count, dtype=torch.float64)
    return highest * spaced


def look_up(tables: Tensor, t: Tensor) -> Tensor:
    """Rows of tables (S, K, T, columns) at the timesteps t (S, n): (S, K, n, columns)."""
    models, count, timesteps, _ = tables.shape
    first = timesteps * torch.arange(models * count, device=t.device).view(models, count, 1)
    return functional.embedding(t[:, None] + first, tables.flatten(0, 2))


class Backbone:
    """eps_theta(x_t, t) of S models at once (the paper's equations 3 to 8).

    Args:
        settings: the variant's `branches`, `weighting` and `network` (see the config's schema).
        dimensions: d.
        timesteps: T.
        models: S.
        noise: standard deviation of the noise in what the backbone sees, (T,), by which features
            are damped where the settings ask for it.

    Attributes:
        flat: every parameter of every model, one after another: for each name, S blocks.
        views: the same memory by name, each (S, rows, columns), or (S K, rows, columns) for what
            every branch has: the shapes of batched products. Gradients are taken of these.
    """

    def __init__(
        self,
        settings: Mapping,
        dimensions: int,
        timesteps: int,
        models: int = 1,
        device: torch.device | None = None,
        noise: Tensor | None = None,
    ):
        self.settings = dict(settings)
        self.dimensions, self.timesteps, self.models = dimensions, timesteps, models
        self.branches = settings["branches"]
        network = settings["network"]
        self.width, self.layers = network["width"], network["hidden_layers"]
        self.embedding = network["embedding"]
        self.shapes = self._shapes()
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.flat = torch.zeros(models * sum(self.sizes), device=device)
        self.views = self.product_views(self.flat)
        for view in self.views.values():
            view.requires_grad_()
        half = self.embedding // 2
        band = network["highest_frequency"], network["lowest_frequency"]
        times = torch.arange(timesteps, dtype=torch.float64)[:, None]
        self.frequencies = embedding_frequencies(half, *band).float().to(device)
        features = sinusoidal_features(times, embedding_frequencies(half))
        self.time_features = features.float().to(device)
        self.damping: Tensor | None = None
        if network["damped"] and noise is not None:
            kept = torch.exp(-0.5 * (noise[:, None] * embedding_frequencies(half, *band)) ** 2)
            self.damping = torch.cat([kept, kept], dim=1).float().to(device)
        fixed = settings["weighting"].get("weights", {})
        self.fixed_weights = torch.tensor([fixed.get(n, 0.0) for n in self.branches], device=device)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter of one model: weights (in, out), biases (1, out);
        with K in front for what every branch has."""
        d, width, count = self.dimensions, self.width, len(self.branches)
        shapes: dict[str, tuple[int, ...]] = {}
        for name, branch in self.branches.items():
            if up := branch["upscaled_dimensions"]:
                shapes |= {f"upscale.{name}.weight": (d, up), f"upscale.{name}.bias": (1, up)}
            if self.learns_frequencies:
                shapes[f"frequencies.{name}"] = (1, self.embedding // 2)
            shapes[f"input.{name}.weight"] = (self.coordinates(name) * self.embedding, width)
        shapes["time.weight"] = (count, self.embedding, width)
        shapes["time.bias"] = (count, 1, width)
        for layer in range(self.layers):
            shapes[f"hidden.{layer}.weight"] = (count, width, width)
            shapes[f"hidden.{layer}.bias"] = (count, 1, width)
        shapes["output.weight"] = (count, width, d)
        shapes["output.bias"] = (count, 1, d)
        weighting = self.settings["weighting"]
        if weighting["kind"] == "learned":
            logits = 1 if weighting["gate"] == "sigmoid" else count
            seen = self.embedding * (1 + d if self.weighs_points else 1)
            widths = [seen, *weighting["hidden"], logits]
            for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
                shapes[f"weighting.{layer}.weight"] = (fan_in, fan_out)
                shapes[f"weighting.{layer}.bias"] = (1, fan_out)
        # The large ones first: their sizes keep them on whole cache lines of the buffer.
        return dict(sorted(shapes.items(), key=lambda item: -math.prod(item[1])))

    @property
    def learns_frequencies(self) -> bool:
        return self.settings["network"]["frequencies"] == "learned"

    @property
    def weighs_points(self) -> bool:
        """Whether the weights depend on x as well as on t."""
        return self.settings["weighting"].get("sees") == "x_and_t"

    @property
    def parameters_per_model(self) -> int:
        return sum(self.sizes)

    def named_views(self, flat: Tensor) -> dict[str, Tensor]:
        """A buffer such as `flat` as named views of shape (S, *shape)."""
        pieces = flat.split([self.models * size for size in self.sizes])
        return {
            name: piece.view(self.models, *shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def product_views(self, flat: Tensor) -> dict[str, Tensor]:
        """The same, each (S, rows, columns), or (S K, …) for what every branch has."""
        return {name: view.flatten(0, -3) for name, view in self.named_views(flat).items()}

    def constants(self, model: int) -> dict[str, Tensor]:
        """What a model keeps and does not learn: nothing."""
        return {}

    @torch.no_grad()
    def initialise(self, streams: Sequence[int | str]) -> None:
        """Draw U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's own default for a linear layer;
        learned frequencies start from the fixed ones.

        Every parameter of every branch has a stream of its own, so that variants with a branch
        in common start it from the same values.

        Args:
            streams: one name a model.
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
        """A parameter's parts with the branch that each belongs to; "": it is of no branch's."""
        if not name.startswith(("time.", "hidden.", "output.")):
            return [("", value)]
        return zip(self.branches, value, strict=True)

    def _fan_in(self, name: str, branch: str) -> int:
        """Inputs of the layer that a parameter belongs to; the time is an input of the first."""
        layer = name.rpartition(".")[0]
        if layer == "time":
            layer = f"input.{branch}"
        fan_in = self.shapes[f"{layer}.weight"][-2]
        return fan_in + self.embedding if layer.startswith("input.") else fan_in

    def _time_rows(self, t: Tensor | int) -> Tensor:
        """The time's part of the first layer of every branch, (S, K, n or 1, width).

        There are but T timesteps: their rows are computed once and looked up.
        """
        features = self.time_features[t : t + 1] if isinstance(t, int) else self.time_features
        weight, bias = self.views["time.weight"], self.views["time.bias"]
        table = torch.baddbmm(bias, features.expand(len(weight), -1, -1), weight)
        if isinstance(t, int):
            return table.unflatten(0, (self.models, -1))
        return look_up(table.unflatten(0, (self.models, -1)), t)

    def branch_weights(self, times: slice = slice(None)) -> Tensor | None:
        """w(t) for a range of timesteps, (S, range, K), equations 6 and 7; None: one branch.

        Of weights that depend on t alone; `point_weights` gives the others.
        """
        features = self.time_features[times]
        weighting = self.settings["weighting"]
        if weighting["kind"] == "none":
            return None
        if weighting["kind"] == "fixed":
            return self.fixed_weights.expand(self.models, len(features), -1)
        return self.gate(self.weight_network(features)[-1])

    def point_weights(self, x: Tensor, t: Tensor | int) -> Tensor | None:
        """w of points x (S, n, d) at their timesteps, (S, n or 1, K); None: one branch."""
        if self.weighs_points:
            return self.gate(self.weight_network(self.point_features(x, t))[-1])
        if isinstance(t, int):
            return self.branch_weights(slice(t, t + 1))
        weights = self.branch_weights()
        return None if weights is None else look_up(weights[:, None], t)[:, 0]

    def point_features(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Features of t and of x, (S, n, (1 + d) E)."""
        times = self.time_features[t].expand(*x.shape[:2], -1)
        return torch.cat([times, self.embed(x, t, self.frequencies)], dim=-1)

    def embed(self, x: Tensor, t: Tensor | int, frequencies: Tensor) -> Tensor:
        """Features of x (S, n, coordinates), (S, n, coordinates E).

        Damped, each is what it is on average over the noise in x, up to the clean point's own
        spread: sin(f x) e^(-(f sigma)^2 / 2) (Barron et al. 2021, equation 14).
        """
        features = sinusoidal_features(x, frequencies)
        if self.damping is None:
            return features
        kept = self.damping[t].unsqueeze(-2)
        return (features.unflatten(-1, (x.shape[-1], -1)) * kept).flatten(-2)

    def weight_network(self, features: Tensor) -> list[Tensor]:
        """Inputs of each layer of MLP_w (equation 7), each (S, rows, width), then the logits."""
        values = [features.expand(self.models, -1, -1)]
        weighting = self.settings["weighting"]
        for layer in range(len(weighting["hidden"]) + 1):
            if layer > 0:
                values[-1] = functional.leaky_relu(values[-1], weighting["negative_slope"])
            weight, bias = self.layer(f"weighting.{layer}")
            values.append(torch.baddbmm(bias, values[-1], weight))
        return values

    def gate(self, logits: Tensor) -> Tensor:
        """Weights that sum to one, (S, rows, K): a softmax (equation 6), or a sigmoid for two."""
        if self.settings["weighting"]["gate"] == "sigmoid":
            first = logits.sigmoid()
            return torch.cat([first, 1 - first], dim=-1)
        return logits.softmax(dim=-1)

    def __call__(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Predict the noise, or what else it was trained towards, (S, n, d).

        Args:
            x: noisy points, (S, n, d).
            t: timesteps, integers of shape (S, n), or one that all points share.
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
        """Of every branch: (S K, n, width)."""
        times = self._time_rows(t).unbind(1)
        rows = []
        for name, time in zip(self.branches, times, strict=True):
            features = self.embed(self.seen(name, x), t, self.frequencies_of(name))
            rows.append(torch.baddbmm(time, features, self.views[f"input.{name}.weight"]))
        return rows[0] if len(rows) == 1 else torch.stack(rows, dim=1).flatten(0, 1)

    def seen(self, name: str, x: Tensor) -> Tensor:
        """What a branch embeds: x, or the upscaled x (equation 5), (S, n, coordinates)."""
        if not self.branches[name]["upscaled_dimensions"]:
            return x
        weight, bias = self.layer(f"upscale.{name}")
        return torch.baddbmm(bias, x, weight)[..., : self.coordinates(name)]

    def frequencies_of(self, name: str) -> Tensor:
        """Of a branch's input features: (E / 2,), or (S, 1, 1, E / 2) where they are learned."""
        if self.learns_frequencies:
            return self.views[f"frequencies.{name}"][:, None]
        return self.frequencies

    def coordinates(self, name: str) -> int:
        """How many coordinates a branch embeds."""
        branch = self.branches[name]
        return branch["embedded_dimensions"] or branch["upscaled_dimensions"] or self.dimensions

    def layer(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias."""
        return self.views[f"{name}.weight"], self.views[f"{name}.bias"]
