"""The training loss and its gradient."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from dualscale.networks.backbone import Backbone
from dualscale.networks.own import ModuleBackbone


def weighted_loss(
    backbone: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    t: Tensor,
    target: Tensor,
    weight: Tensor,
) -> Tensor:
    """Weighted mean of |target - F(x, t)|² over points and coordinates, (S,) (equation 9 over d).

    Args:
        x, target: (S, n, d).
        t, weight: (S, n).
    """
    return ((backbone(x, t) - target).square() * weight[..., None]).mean(dim=(1, 2))


class AutogradGradient:
    """Loss of every model of a stack, with its gradient by autograd.

    Attributes:
        flat: the gradient, in the order of `backbone.flat`.
    """

    def __init__(self, backbone: ModuleBackbone):
        self.backbone = backbone
        self.flat = torch.zeros_like(backbone.flat)
        self.pieces = self.flat.split([parameter.numel() for parameter in backbone.parameters])

    def __call__(
        self,
        x: Tensor,
        t: Tensor,
        target: Tensor,
        weight: Tensor,
        seeds: Sequence[int] | None = None,
    ) -> Tensor:
        """Return the loss of every model, (S,), in training mode, and leave its gradient in `flat`.

        Args:
            x, target: input and target of the backbone, (S, n, d).
            t, weight: timestep and loss weight of every point, (S, n).
            seeds: one per model, for the modules' own random numbers (dropout).
        """
        backbone = partial(self.backbone, seeds=seeds, training=True)
        losses = weighted_loss(backbone, x, t, target, weight)
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

    def __init__(self, backbone: Backbone, batch: int):
        self.flat = torch.zeros_like(backbone.flat)
        self.views = backbone.product_views(self.flat)
        self.network = backbone.training_network(self.views, batch)

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of every model, (S,), and leave its gradient in `flat`.

        Args:
            x, target: input and target of the backbone, (S, n, d).
            t, weight: timestep and loss weight of every point, (S, n).
        """
        error = self.network.forward(x, t) - target
        weighted = error * weight[..., None]
        self.network.learn(weighted * (2 / error[0].numel()))
        return (error * weighted).mean(dim=(1, 2))
