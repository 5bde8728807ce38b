"""The training loss and its gradient."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from dualscale.networks.backbone import Backbone, look_up
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
    """Loss of every model of a stack, with its gradient by hand-written backpropagation.

    Tested against autograd of `weighted_loss`. Buffers are allocated once; autograd allocates every
    intermediate result anew and records the graph, an eighth of a CPU step for networks this small.

    Args:
        backbone: S models of K branches.
        batch: n, points per step.

    Attributes:
        flat: the gradient, in the order of `backbone.flat`.
    """

    def __init__(self, backbone: Backbone, batch: int):
        self.backbone, device = backbone, backbone.flat.device
        self.flat = torch.zeros_like(backbone.flat)
        self.views = backbone.product_views(self.flat)
        models, branches, width = backbone.models, len(backbone.branches), backbone.width
        shape = models * branches, batch, width
        with device:
            self.hidden, self.back, self.inner = torch.zeros(3, *shape)
            self.rectified = list(torch.zeros(backbone.layers + 1, *shape))
            self.features = {
                name: torch.zeros(models, batch, backbone.coordinates(name), backbone.embedding)
                for name in backbone.branches
            }
            self.of_features = {
                name: torch.zeros_like(self.features[name].flatten(2))
                for name, branch in backbone.branches.items()
                if branch.upscaled_dimensions or backbone.learns_frequencies
            }
            self.table = torch.zeros(models * branches, backbone.timesteps, width)
            first = backbone.timesteps * torch.arange(models * branches)
            self.first_row = first.view(models, branches, 1)
        self.by_branch = (models, branches, batch)

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of every model, (S,), and leave its gradient in `flat`.

        Args:
            x, target: input and target of the backbone, (S, n, d).
            t, weight: timestep and loss weight of every point, (S, n).
        """
        rows = (t[:, None] + self.first_row).flatten()
        backbone = self.backbone
        outputs = self._forward(x, t, rows).unflatten(0, self.by_branch[:2])
        values = self._weight_values(x, t)
        table = backbone.gate(values[-1]) if values else backbone.branch_weights()
        weights = 1.0 if table is None else self._of_points(table, t).mT[..., None]
        error = (outputs * weights).sum(dim=1) - target
        weighted = error * weight[..., None]
        of_prediction = weighted[:, None] * (2 / error[0].numel())
        if values and table is not None:
            of_weights = (outputs * of_prediction).sum(dim=-1)
            self._through_weights(values, table, t, of_weights)
        self._backward(x, rows, (weights * of_prediction).flatten(0, 1))
        return (error * weighted).mean(dim=(1, 2))

    def _weight_values(self, x: Tensor, t: Tensor) -> list[Tensor]:
        """Layer inputs and logits of the gating network, by timestep or point; [] without one."""
        backbone = self.backbone
        if backbone.settings.weighting.kind != "learned":
            return []
        if backbone.weighs_points:
            return backbone.weight_network(backbone.point_features(x, t))
        return backbone.weight_network(backbone.time_features)

    def _of_points(self, table: Tensor, t: Tensor) -> Tensor:
        """Branch weights of every point, (S, n, K)."""
        return table if self.backbone.weighs_points else look_up(table[:, None], t)[:, 0]

    def _through_weights(
        self, values: list[Tensor], table: Tensor, t: Tensor, gradient: Tensor
    ) -> None:
        """Backpropagate through the branch weights and the gating network.

        Args:
            values: the gating network's layer inputs and logits.
            table: branch weights by timestep (S, T, K), looked up at t; or by point (S, n, K).
            gradient: with respect to every point's branch weights, (S, K, n).
        """
        of_table = gradient.mT
        if not self.backbone.weighs_points:
            models, timesteps, _ = table.shape
            rows = t + timesteps * torch.arange(models, device=t.device)[:, None]
            of_table = torch.zeros_like(table)
            of_table.flatten(0, 1).index_add_(0, rows.flatten(), gradient.mT.flatten(0, 1))
        weighting = self.backbone.gating
        if weighting.gate == "sigmoid":
            first, second = table.split(1, dim=-1)
            of_layer = (of_table[..., :1] - of_table[..., 1:]) * first * second
        else:
            of_layer = table * (of_table - (of_table * table).sum(dim=-1, keepdim=True))
        for layer in reversed(range(len(values) - 1)):
            name, inputs = f"weighting.{layer}", values[layer]
            torch.bmm(inputs.mT, of_layer, out=self.views[f"{name}.weight"])
            torch.sum(of_layer, 1, keepdim=True, out=self.views[f"{name}.bias"])
            if layer > 0:
                of_inputs = torch.bmm(of_layer, self.backbone.views[f"{name}.weight"].mT)
                of_layer = torch.ops.aten.leaky_relu_backward(
                    of_inputs, inputs, weighting.negative_slope, True
                )

    def _forward(self, x: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        """Outputs of all branches, (S K, n, d)."""
        backbone, hidden = self.backbone, self.hidden
        weight, bias = backbone.layer("time")
        times = backbone.time_features.expand(len(weight), -1, -1)
        torch.baddbmm(bias, times, weight, out=self.table)
        torch.index_select(self.table.flatten(0, 1), 0, rows, out=hidden.view(-1, hidden.shape[-1]))
        for branch, name in zip(self._branches(hidden), backbone.branches, strict=True):
            features = self.features[name]
            frequencies = backbone.frequencies_of(name)
            angle = torch.mul(backbone.seen(name, x)[..., None], frequencies)
            half = frequencies.shape[-1]
            torch.sin(angle, out=features[..., :half])
            torch.cos(angle, out=features[..., half:])
            if backbone.damping is not None:
                features.mul_(backbone.damping[t][:, :, None])
            branch.baddbmm_(features.flatten(2), backbone.views[f"input.{name}.weight"])
        for layer in range(backbone.layers):
            weight, bias = backbone.layer(f"hidden.{layer}")
            torch.clamp_min(hidden, 0, out=self.rectified[layer])
            hidden.add_(bias).baddbmm_(self.rectified[layer], weight)
        torch.clamp_min(hidden, 0, out=self.rectified[-1])
        weight, bias = backbone.layer("output")
        return torch.baddbmm(bias, self.rectified[-1], weight)

    def _branches(self, stacked: Tensor) -> tuple[Tensor, ...]:
        """Split (S K, n, width) into K tensors (S, n, width)."""
        return stacked.view(*self.by_branch, -1).unbind(1)

    def _backward(self, x: Tensor, rows: Tensor, gradient: Tensor) -> None:
        """Backpropagate the gradient of the outputs, (S K, n, d), to the branches' parameters."""
        back, inner = self.back, self.inner
        self._through_linear("output", self.rectified[-1], gradient)
        torch.ops.aten.threshold_backward.grad_input(inner, self.rectified[-1], 0, grad_input=back)
        for layer in reversed(range(self.backbone.layers)):
            rectified = self.rectified[layer]
            self._through_linear(f"hidden.{layer}", rectified, back)
            torch.ops.aten.threshold_backward.grad_input(inner, rectified, 0, grad_input=inner)
            back.add_(inner)
        for branch, name in zip(self._branches(back), self.backbone.branches, strict=True):
            features = self.features[name]
            torch.bmm(features.flatten(2).mT, branch, out=self.views[f"input.{name}.weight"])
            if name in self.of_features:
                self._through_features(name, x, branch)
        of_table = torch.zeros_like(self.table)
        of_table.flatten(0, 1).index_add_(0, rows, back.flatten(0, 1))
        times = self.backbone.time_features.expand(len(of_table), -1, -1)
        torch.bmm(times.mT, of_table, out=self.views["time.weight"])
        torch.sum(of_table, 1, keepdim=True, out=self.views["time.bias"])

    def _through_linear(self, name: str, inputs: Tensor, gradient: Tensor) -> None:
        """Write the gradients of a layer's weight and bias; leave that of its inputs in `inner`."""
        torch.bmm(inputs.mT, gradient, out=self.views[f"{name}.weight"])
        torch.sum(gradient, 1, keepdim=True, out=self.views[f"{name}.bias"])
        torch.bmm(gradient, self.backbone.views[f"{name}.weight"].mT, out=self.inner)

    def _through_features(self, name: str, x: Tensor, gradient: Tensor) -> None:
        """Backpropagate through a branch's features to its up-projection and learned frequencies.

        Args:
            gradient: with respect to the branch's first layer, (S, n, width).
        """
        features, frequencies = self.features[name], self.backbone.frequencies_of(name)
        half = frequencies.shape[-1]
        weight = self.backbone.views[f"input.{name}.weight"]
        of_features = torch.bmm(gradient, weight.mT, out=self.of_features[name]).view_as(features)
        slope = of_features[..., :half] * features[..., half:]
        slope -= of_features[..., half:] * features[..., :half]
        if self.backbone.learns_frequencies:
            seen = self.backbone.seen(name, x)
            self.views[f"frequencies.{name}"][:, 0] = torch.einsum("snch,snc->sh", slope, seen)
        if self.backbone.branches[name].upscaled_dimensions:
            learned = self.backbone.learns_frequencies
            of_seen = (slope * frequencies).sum(dim=-1) if learned else slope @ frequencies
            width = of_seen.shape[-1]
            self.views[f"upscale.{name}.weight"][..., :width] = torch.bmm(x.mT, of_seen)
            self.views[f"upscale.{name}.bias"][..., :width] = of_seen.sum(dim=1, keepdim=True)
