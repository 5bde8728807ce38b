"""Optimisers: rules that turn gradients into steps."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from dualscale.parts import Choice, OneOf

if TYPE_CHECKING:
    from torch import Tensor


class Optimiser(Choice):
    """Rule that turns gradients into steps."""

    @abstractmethod
    def start(self, parameters: "Tensor") -> "dict[str, Tensor]":
        """Return the state before the first step."""

    @abstractmethod
    def step(
        self,
        parameters: "Tensor",
        gradient: "Tensor",
        state: "dict[str, Tensor]",
        rate: "Tensor | float",
    ) -> None:
        """Change the parameters and the state in place, by one step."""


class Adam(Optimiser):
    """Adam; weight decay is added to the gradient (Kingma and Ba 2015, algorithm 1).

    One fused pass over one tensor: PyTorch's function without its class, whose overhead takes as
    long as the pass.
    """

    kind: Literal["adam"] = "adam"
    decoupled: ClassVar[bool] = False
    weight_decay: float = Field(0.0, ge=0, le=10, description="Weight decay.")

    def start(self, parameters: "Tensor") -> "dict[str, Tensor]":
        import torch

        return {
            "mean": torch.zeros_like(parameters),
            "square": torch.zeros_like(parameters),
            "steps": torch.zeros((), device=parameters.device),
        }

    def step(
        self,
        parameters: "Tensor",
        gradient: "Tensor",
        state: "dict[str, Tensor]",
        rate: "Tensor | float",
    ) -> None:
        from torch.optim.adam import adam

        adam(
            [parameters],
            [gradient],
            [state["mean"]],
            [state["square"]],
            [],
            [state["steps"]],
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=self.weight_decay,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            maximize=False,
            fused=True,
            capturable=parameters.is_cuda,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2)."""

    kind: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    decoupled = True


AnyOptimiser = Annotated[Optimiser, OneOf()]
