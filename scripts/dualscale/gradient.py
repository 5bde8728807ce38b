"""The training loss and its gradient."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from dualscale.architecture import ModuleBackbone
from dualscale.backbone import Backbone, look_up


def weighted_loss(
    backbone: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    t: Tensor,
    target: Tensor,
    weight: Tensor,
) -> Tensor:
    """The weighted mean over points and coordinates of |target - F(x, t)|^2, (S,) (equation 9,
    over d).

    Args:
        x, target: (S, n, d).
        t, weight: (S, n).
    """
    return ((backbone(x, t) - target).square() * weight[..., None]).mean(dim=(1, 2))


class AutogradGradient:
    """The weighted squared error of every model of a stack, and its gradient by autograd.

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
        """As `LossGradient`'s, in training mode.

        Args:
            seeds: for what the modules draw, one per model.
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
    """The same by the chain rule written out, in memory that lasts.

    The same numbers as autograd's of `weighted_loss`, which it is tested against. Autograd takes
    fresh memory for every intermediate value of every step, and time to keep its books: on networks
    this small, an eighth of a CPU's step.

    Args:
        backbone: S models of K branches.
        batch: n, points a step.

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
                if branch["upscaled_dimensions"] or backbone.learns_frequencies
            }
            self.table = torch.zeros(models * branches, backbone.timesteps, width)
            first = backbone.timesteps * torch.arange(models * branches)
            self.first_row = first.view(models, branches, 1)
        self.by_branch = (models, branches, batch)

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """The loss of every model, (S,); its gradient is then in `flat`.

        Args:
            x, target: what the backbone sees and should predict, (S, n, d).
            t: (S, n).
            weight: of every point, (S, n).
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
        """Inputs and logits of the weight network, of all timesteps or of all points; none: []."""
        backbone = self.backbone
        if backbone.settings["weighting"]["kind"] != "learned":
            return []
        if backbone.weighs_points:
            return backbone.weight_network(backbone.point_features(x, t))
        return backbone.weight_network(backbone.time_features)

    def _of_points(self, table: Tensor, t: Tensor) -> Tensor:
        """The weights of every point, (S, n, K)."""
        return table if self.backbone.weighs_points else look_up(table[:, None], t)[:, 0]

    def _through_weights(
        self, values: list[Tensor], table: Tensor, t: Tensor, gradient: Tensor
    ) -> None:
        """Through the weights, and the network behind them.

        Args:
            values: the network's inputs and logits.
            table: (S, T, K), of which points took rows t; or (S, n, K), theirs.
            gradient: of every point's weights, (S, K, n).
        """
        of_table = gradient.mT
        if not self.backbone.weighs_points:
            models, timesteps, _ = table.shape
            rows = t + timesteps * torch.arange(models, device=t.device)[:, None]
            of_table = torch.zeros_like(table)
            of_table.flatten(0, 1).index_add_(0, rows.flatten(), gradient.mT.flatten(0, 1))
        weighting = self.backbone.settings["weighting"]
        if weighting["gate"] == "sigmoid":
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
                    of_inputs, inputs, weighting["negative_slope"], True
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
        """(S K, n, width) as K of (S, n, width)."""
        return stacked.view(*self.by_branch, -1).unbind(1)

    def _backward(self, x: Tensor, rows: Tensor, gradient: Tensor) -> None:
        """From the gradient of the outputs, (S K, n, d), to that of every parameter."""
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
        """Gradients of a layer's weight and bias; that of its inputs is left in `inner`."""
        torch.bmm(inputs.mT, gradient, out=self.views[f"{name}.weight"])
        torch.sum(gradient, 1, keepdim=True, out=self.views[f"{name}.bias"])
        torch.bmm(gradient, self.backbone.views[f"{name}.weight"].mT, out=self.inner)

    def _through_features(self, name: str, x: Tensor, gradient: Tensor) -> None:
        """Through a branch's sines and cosines to its upscale and its frequencies.

        Args:
            gradient: of the branch's first layer, (S, n, width).
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
        if self.backbone.branches[name]["upscaled_dimensions"]:
            learned = self.backbone.learns_frequencies
            of_seen = (slope * frequencies).sum(dim=-1) if learned else slope @ frequencies
            width = of_seen.shape[-1]
            self.views[f"upscale.{name}.weight"][..., :width] = torch.bmm(x.mT, of_seen)
            self.views[f"upscale.{name}.bias"][..., :width] = of_seen.sum(dim=1, keepdim=True)
