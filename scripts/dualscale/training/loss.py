"""The training loss and its gradient."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from dualscale.diffusion.one_hots import OneHots
from dualscale.model import Model
from dualscale.networks.backbone import Backbone
from dualscale.networks.own import ModuleBackbone
from dualscale.runtime.devices import to_device
from dualscale.runtime.streams import stream_seed
from dualscale.training.distillation import Ends
from dualscale.training.examples import examples, training_coefficients
from dualscale.training.settings import Training


def weighted_loss(
    backbone: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    t: Tensor,
    target: Tensor,
    weight: Tensor,
    one_hots: OneHots | None = None,
) -> Tensor:
    """Weighted mean of |target - F(x, t)|² over points and coordinates, (S,): equation 9 / d.

    A category with discrete noise has one term, its cross-entropy, in place of its coordinates'.

    Args:
        x, target: (S, n, d).
        t: (S, n).
        weight: of points, (S, n), or of coordinates, (S, n, d).
    """
    output = backbone(x, t)
    if one_hots is None:
        return mean_square(output - target, weight)
    weights = of_coordinates(weight, output)
    squares = weights * (output - target).square()
    numbers = squares.masked_fill(one_hots.mask, 0).sum(dim=-1)
    entropy = one_hots.cross_entropy(output, target, x, t, weights)
    return (numbers + entropy).mean(dim=-1) / one_hots.terms


def of_coordinates(weight: Tensor, output: Tensor) -> Tensor:
    """Return loss weights (S, n) or (S, n, d) as ones that outputs (S, n, d) are multiplied by."""
    return weight if weight.ndim == output.ndim else weight[..., None]


def mean_square(errors: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean square of errors (S, n, …) with weights (S, n) or of their shape: (S,)."""
    weights = weight.view(*weight.shape, *(1 for _ in errors.shape[weight.ndim :]))
    return (errors.square() * weights).mean(dim=tuple(range(1, errors.ndim)))


def own_loss(
    backbone: ModuleBackbone,
    table: Tensor,
    x_0: Tensor,
    t: Tensor,
    noise: Tensor,
    seeds: Sequence[int] | None = None,
    training: bool = False,
    one_hots: OneHots | None = None,
) -> Tensor:
    """Loss of every model of a stack of networks of one's own, (S,).

    Args:
        table: from `training_coefficients`.
        x_0, noise: clean points and their noise, (S, n, d).
        t: timesteps, (S, n).
        seeds: one per model, for the modules' own random numbers (dropout).
        training: run the modules in training mode.
        one_hots: categories with discrete noise; None: there are none.
    """
    if one_hots is not None:
        seen, target, weight = examples(x_0, t, noise, table, one_hots)
        network = partial(backbone, seeds=seeds, training=training)
        return weighted_loss(network, seen, t, target, weight, one_hots)

    def make(x_0: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return examples(x_0, t, noise, table)[:2]

    return mean_square(backbone.errors(x_0, t, noise, make, seeds, training), table[t][..., 4])


class AutogradGradient:
    """Loss of every model of a stack, with its gradient by autograd.

    Args:
        table: from `training_coefficients`.

    Attributes:
        flat: the gradient, in the order of `backbone.flat`.
    """

    def __init__(self, backbone: ModuleBackbone, table: Tensor, one_hots: OneHots | None = None):
        self.backbone, self.table, self.one_hots = backbone, table, one_hots
        self.flat = torch.zeros_like(backbone.flat)
        self.pieces = self.flat.split([parameter.numel() for parameter in backbone.parameters])

    def __call__(
        self, x_0: Tensor, t: Tensor, noise: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Return the loss of every model, (S,), in training mode, and leave its gradient in `flat`.

        Args: as of `own_loss`.
        """
        losses = own_loss(
            self.backbone, self.table, x_0, t, noise, seeds, True, one_hots=self.one_hots
        )
        gradients = torch.autograd.grad(
            losses.sum(), self.backbone.parameters, materialize_grads=True
        )
        for piece, gradient in zip(self.pieces, gradients, strict=True):
            piece.copy_(gradient.flatten())
        return losses.detach()


class LossGradient:
    """Loss of every model of a stack, with its gradient by the layers' own backpropagation.

    Tested against autograd of `weighted_loss`.

    Args:
        backbone: S models.
        batch: n, points per step.

    Attributes:
        flat: the gradient, in the order of `backbone.flat`.
    """

    def __init__(self, backbone: Backbone, batch: int, one_hots: OneHots | None = None):
        self.one_hots = one_hots
        self.flat = torch.zeros_like(backbone.flat)
        self.views = backbone.product_views(self.flat)
        self.network = backbone.training_network(self.views, batch)

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of every model, (S,), and leave its gradient in `flat`.

        Args:
            x, target: input and target of the backbone, (S, n, d).
            t: timestep of every point, (S, n).
            weight: of the loss of every point, (S, n), or of every coordinate, (S, n, d).
        """
        output, one_hots = self.network.forward(x, t), self.one_hots
        error, weights = output - target, of_coordinates(weight, output)
        if one_hots is None:
            weighted = error * weights
            self.network.learn(weighted * (2 / error[0].numel()))
            return (error * weighted).mean(dim=(1, 2))
        error = error.masked_fill(one_hots.mask, 0)
        weighted, terms = error * weights, one_hots.terms
        slope = 2 * weighted + one_hots.residuals(output, target, x, t, weights)
        self.network.learn(slope / (terms * x.shape[1]))
        entropy = one_hots.cross_entropy(output, target, x, t, weights)
        return ((error * weighted).sum(dim=-1) + entropy).mean(dim=-1) / terms


@torch.no_grad()
def evaluation_loss(
    model: Model, data: Tensor, settings: Training, streams: Sequence[int | str]
) -> Tensor:
    """Training objective averaged over the whole data set, (S,).

    Each point has one timestep and one noise, drawn on the CPU for every device, and coupled in
    batches of the training's size.
    """
    backbone, one_hots = model.backbone, model.one_hots
    table = training_coefficients(model, settings.loss, data.device)
    total = torch.zeros(backbone.models, device=data.device)
    pair, batch = settings.coupling.over(data), settings.batch_size
    rows = 1000  # rows that fit a CPU's cache
    generators = [
        torch.Generator().manual_seed(stream_seed(stream, "evaluation loss")) for stream in streams
    ]
    for start in range(0, len(data), rows):
        x_0 = data[start : start + rows]
        drawn = [
            torch.randint(0, backbone.timesteps, x_0.shape[:1], generator=g) for g in generators
        ]
        times = to_device(torch.stack(drawn), data.device)
        drawn = [torch.randn(x_0.shape, generator=g) for g in generators]
        points = torch.arange(start, start + len(x_0)).split(batch)
        drawn = [torch.cat([*map(pair, points, noise.split(batch))]) for noise in drawn]
        noise = to_device(torch.stack(drawn), data.device)
        x_0 = x_0.expand(backbone.models, -1, -1)
        if isinstance(backbone, ModuleBackbone):
            seeds = [stream_seed(s, "evaluation loss", "module", start) for s in streams]
            losses = own_loss(backbone, table, x_0, times, noise, seeds, one_hots=one_hots)
        else:
            states = []
            if model.conditions is not None:
                seeds = [stream_seed(s, "evaluation loss", "given", start) for s in streams]
                drawn = [model.conditions.draw(x_0.shape[1:2], seed) for seed in seeds]
                states.append(to_device(torch.stack(drawn), data.device))
            made = examples(x_0, times, noise, table, one_hots, model.conditions, *states)
            seen, target, weight = made
            losses = weighted_loss(backbone, seen, times, target, weight, one_hots)
        total += losses * x_0.shape[1]
    return total / len(data)


@torch.no_grad()
def distillation_loss(model: Model, settings: Training, ends: Ends) -> Tensor:
    """Training objective averaged over all ends of teachers' ODEs, (S,)."""
    backbone, (models, levels, points) = model.backbone, ends.points.shape[:3]
    table = training_coefficients(model, settings.loss, ends.points.device)
    total = torch.zeros(models, device=ends.points.device)
    for level in range(levels):
        for rows in torch.arange(points, device=ends.points.device).split(1000):
            rows = rows.expand(models, -1)
            t, x_0, noise = ends.at(torch.full_like(rows, level), rows)
            seen, target, weight = examples(x_0, t, noise, table)
            total += weighted_loss(backbone, seen, t, target, weight) * rows.shape[1]
    return total / (levels * points)
