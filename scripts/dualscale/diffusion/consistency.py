"""Sampling of consistency models, whose network leads to the end of the ODE at once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from dualscale.diffusion.samplers import Denoise, Method
from dualscale.diffusion.spacings import Visited

if TYPE_CHECKING:
    from torch import Tensor


class Consistency(Method):
    """Multistep sampling of a consistency model (Song et al. 2023, algorithm 1).

    The network maps x_t to the end of the probability-flow ODE. At every further level that end is
    perturbed anew, which hides the errors of the evaluations before.
    """

    kind: Literal["consistency"] = "consistency"

    has_score = False

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        end = denoise(x, levels.t[0])
        for t, alpha, sigma in zip(levels.t[1:], levels.alpha[1:], levels.sigma[1:], strict=False):
            end = denoise(alpha * end + sigma * next(noise), t)
        return end
