"""Targets: which clean points the network is asked for in training."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from dualscale.parts import Choice, Name, OneOf

if TYPE_CHECKING:
    from torch import Tensor


class Target(Choice):
    """Clean point that an example asks for."""

    @abstractmethod
    def means(self, x_0: "Tensor", noise: "Tensor", ratio: "Tensor", drawn: int) -> "Tensor | None":
        """Return the clean points that the examples ask for, in x_0's shape; None: x_0 itself.

        Args:
            x_0: points of the batches of a chunk of steps, (steps, S, batch, d).
            noise: that they are perturbed with, in the same shape.
            ratio: alpha / sigma of each example, (steps, S, batch).
            drawn: how many points of each batch, from the first, were drawn independently.
        """


class Drawn(Target):
    """The point that was perturbed, as in denoising score matching (Vincent 2011)."""

    kind: Literal["drawn"] = "drawn"

    def means(self, x_0: "Tensor", noise: "Tensor", ratio: "Tensor", drawn: int) -> None:
        return None


class Stable(Target):
    """Mean of training points, weighted by how likely each led to x_t.

    The stable target field (Xu, Tong and Jaakkola 2023). The points are those of the example's
    batch and of some that follow. Given x_t and these points, any of them may have been the
    perturbed one, so that the mean is the expectation of the drawn target: less noise in the
    gradient, and the same minimiser.
    """

    kind: Literal["stable"] = "stable"
    references: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Training points of a mean: at least a batch, at most those of 100 steps.",
    )

    def means(self, x_0: "Tensor", noise: "Tensor", ratio: "Tensor", drawn: int) -> "Tensor":
        import torch  # here, since planning a workflow loads this module and not PyTorch

        points = x_0[:, :, :drawn].transpose(0, 1).flatten(1, 2)  # (S, steps drawn, d)
        count = min(max(self.references, drawn), points.shape[1])
        ends = torch.cat([points, points[:, : count - 1]], dim=1)  # after the last, the first
        # -|z - ratio y|² / 2 for z = x_t / sigma and points y, as one product. In float64, since
        # its terms are far larger than their sum at little noise.
        ratio = ratio[..., None].double()
        z = ratio * x_0 + noise
        left = torch.cat([ratio * z, ratio.square(), z.square().sum(dim=-1, keepdim=True)], dim=-1)
        squares = ends.double().square().sum(dim=-1, keepdim=True)
        right = torch.cat([ends, -0.5 * squares, torch.full_like(squares, -0.5)], dim=-1).mT
        means = torch.empty_like(x_0)
        for step, rows in enumerate(left):
            some = slice(step * drawn, step * drawn + count)
            weights = (rows @ right[..., some]).float().softmax(dim=-1)
            means[step] = weights @ ends[:, some]
        return means


class Distilled(Target):
    """End of the probability-flow ODE of another variant's model, from x_t.

    The network becomes a consistency model (Song et al. 2023): it leads from noise to data in one
    to a few evaluations. It starts from the teacher's parameters and is trained at the levels that
    it is sampled at. The ends are computed before training, from perturbed training points
    (`teach`): at a low level they have none of the errors that the ODE makes above it.
    """

    kind: Literal["distilled"] = "distilled"
    teacher: Name = Field(description="Variant whose model of the same dataset and seed is asked.")
    points: int = Field(
        40_000, ge=1, le=10_000_000, description="Perturbed training points at each level."
    )
    steps: int = Field(
        30,
        ge=2,
        le=10_000,
        description="Steps of DPM-Solver++(2M) from the teacher's highest level to its lowest; "
        "from a lower level, the share of them that lies below.",
    )

    def means(self, x_0: "Tensor", noise: "Tensor", ratio: "Tensor", drawn: int) -> None:
        return None  # the points of such a training are ends


AnyTarget = Annotated[Target, OneOf()]
