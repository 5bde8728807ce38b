"""The paper's networks: branches at several scales, and the weights that combine them.

A backbone predicts the noise in x_t. It holds a stack of models of one architecture (several
seeds, say), all of whose parameters lie in one buffer: the optimiser, the clipping and the EMA are
then one pass each, and the branches of all models run as batched products.

Shapes: S models, K branches, n points of d dimensions, T timesteps, E features a coordinate.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from dualscale.schedule import Schedule
from dualscale.streams import stream_seed


class _Sinusoids(torch.autograd.Function):
    """sin and cos of an angle; each is the other's derivative, so backward computes neither."""

    @staticmethod
    def forward(context, x: Tensor, frequencies: Tensor) -> Tensor:
        half = len(frequencies)
        out = x.new_empty(*x.shape, 2 * half)
        angle = torch.mul(x[..., None], frequencies)
        torch.sin(angle, out=out[..., :half])
        torch.cos(angle, out=out[..., half:])
        context.save_for_backward(out, frequencies)
        return out

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor | None, None]:
        if not context.needs_input_grad[0]:
            return None, None
        out, frequencies = context.saved_tensors
        half = len(frequencies)
        slope = gradient[..., :half] * out[..., half:] - gradient[..., half:] * out[..., :half]
        return slope @ frequencies, None


def sinusoidal_features(x: Tensor, frequencies: Tensor) -> Tensor:
    """sin then cos of every frequency, for each coordinate in turn: (..., d) to (..., d E)."""
    return _Sinusoids.apply(x, frequencies).flatten(-2)


def embedding_frequencies(count: int) -> Tensor:
    """Angular frequencies from 1 down to 1e-4, log-spaced, shape (count,)."""
    return torch.logspace(0, -4, count, dtype=torch.float64)


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
        frequencies = embedding_frequencies(self.embedding // 2)
        times = torch.arange(timesteps, dtype=torch.float64)[:, None]
        self.frequencies = (network["input_scale"] * frequencies).float().to(device)
        self.time_features = sinusoidal_features(times, frequencies).float().to(device)
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
            widths = [self.embedding, *weighting["hidden"], logits]
            for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
                shapes[f"weighting.{layer}.weight"] = (fan_in, fan_out)
                shapes[f"weighting.{layer}.bias"] = (1, fan_out)
        # The large ones first: their sizes keep them on whole cache lines of the buffer.
        return dict(sorted(shapes.items(), key=lambda item: -math.prod(item[1])))

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

    @torch.no_grad()
    def initialise(self, streams: Sequence[int | str]) -> None:
        """Draw U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's own default for a linear layer.

        Every parameter of every branch has a stream of its own, so that variants with a branch
        in common start it from the same values.

        Args:
            streams: one name a model.
        """
        for model, stream in enumerate(streams):
            for name, view in self.named_views(self.flat).items():
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
        """w(t) for a range of timesteps, (S, range, K), equations 6 and 7; None: one branch."""
        features = self.time_features[times]
        weighting = self.settings["weighting"]
        if weighting["kind"] == "none":
            return None
        if weighting["kind"] == "fixed":
            return self.fixed_weights.expand(self.models, len(features), -1)
        return self.gate(self.weight_network(features)[-1])

    def weight_network(self, features: Tensor) -> list[Tensor]:
        """Inputs of each layer of MLP_w (equation 7), each (S, T, width), then the logits."""
        values = [features.expand(self.models, -1, -1)]
        weighting = self.settings["weighting"]
        for layer in range(len(weighting["hidden"]) + 1):
            if layer > 0:
                values[-1] = functional.leaky_relu(values[-1], weighting["negative_slope"])
            weight, bias = self.layer(f"weighting.{layer}")
            values.append(torch.baddbmm(bias, values[-1], weight))
        return values

    def gate(self, logits: Tensor) -> Tensor:
        """Weights that sum to one, (S, T, K): a softmax (equation 6), or a sigmoid for two."""
        if self.settings["weighting"]["gate"] == "sigmoid":
            first = logits.sigmoid()
            return torch.cat([first, 1 - first], dim=-1)
        return logits.softmax(dim=-1)

    def __call__(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Predict the noise.

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
        weights = self.branch_weights(slice(t, t + 1) if isinstance(t, int) else slice(None))
        if weights is None:
            return outputs
        if not isinstance(t, int):
            weights = look_up(weights[:, None], t)[:, 0]
        return (outputs.unflatten(0, (self.models, -1)) * weights.mT[..., None]).sum(dim=1)

    def _first_layer(self, x: Tensor, t: Tensor | int) -> Tensor:
        """Of every branch: (S K, n, width)."""
        times = self._time_rows(t).unbind(1)
        rows = []
        for name, time in zip(self.branches, times, strict=True):
            features = sinusoidal_features(self.seen(name, x), self.frequencies)
            rows.append(torch.baddbmm(time, features, self.views[f"input.{name}.weight"]))
        return rows[0] if len(rows) == 1 else torch.stack(rows, dim=1).flatten(0, 1)

    def seen(self, name: str, x: Tensor) -> Tensor:
        """What a branch embeds: x, or the upscaled x (equation 5), (S, n, coordinates)."""
        if not self.branches[name]["upscaled_dimensions"]:
            return x
        weight, bias = self.layer(f"upscale.{name}")
        return torch.baddbmm(bias, x, weight)[..., : self.coordinates(name)]

    def coordinates(self, name: str) -> int:
        """How many coordinates a branch embeds."""
        branch = self.branches[name]
        return branch["embedded_dimensions"] or branch["upscaled_dimensions"] or self.dimensions

    def layer(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias."""
        return self.views[f"{name}.weight"], self.views[f"{name}.bias"]


class NoiseDenoiser:
    """E[x_0 | x_t] from a backbone that predicts the noise: (x_t - sigma_t eps) / alpha_t."""

    def __init__(self, backbone: Callable[[Tensor, int], Tensor], schedule: Schedule):
        self.backbone = backbone
        self.alpha, self.sigma = schedule.alpha.tolist(), schedule.sigma.tolist()

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """x: (S, n, d); the same shape comes back."""
        return (x - self.sigma[t] * self.backbone(x, t)) / self.alpha[t]


def save_backbone(path: Path, backbone: Backbone, flat: Tensor, model: int, notes: Mapping) -> None:
    """Write one model of the stack as safetensors, with all that is needed to build it again.

    Args:
        flat: the buffer to save: the EMA's, say.
        model: which of the S.
        notes: settings to keep beside it, as JSON.
    """
    views = backbone.named_views(flat.detach())
    tensors = {name: view[model].cpu().contiguous() for name, view in views.items()}
    about = {
        "settings": backbone.settings,
        "dimensions": backbone.dimensions,
        "timesteps": backbone.timesteps,
        **notes,
    }
    path.write_bytes(save(tensors, metadata={"dualscale": json.dumps(about)}))


def load_backbone(path: Path, device: torch.device | None = None) -> tuple[Backbone, dict]:
    """Read a model that `save_backbone` wrote, and its notes. Runs no code of the file's."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["dualscale"])
        shape = about["settings"], about["dimensions"], about["timesteps"]
        backbone = Backbone(*shape, device=device)
        for name, view in backbone.named_views(backbone.flat).items():
            view.copy_(file.get_tensor(name)[None])
    return backbone, about
