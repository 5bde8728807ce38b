"""Cascaded diffusion: points at a low resolution first, then points given those."""

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from dualscale.diffusion.samplers import Ancestral, Denoise, Method
from dualscale.diffusion.spacings import Visited
from dualscale.parts import OneOf

if TYPE_CHECKING:
    from torch import Tensor

STAGE = Ancestral()


class Cascaded(Method):
    """Reverse processes of coarse points and of points given those (Ho et al. 2022, section 4).

    For networks of two stages, such as `Cascade`. Both processes are ancestral. The second stage
    sees the coarse points with the noise of a fixed level (noise-conditioning augmentation), so
    that it mends the first one's errors, and starts from noise of its own.
    """

    kind: Literal["cascaded"] = "cascaded"
    augmentation: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Timestep of the noise on the coarse points, as a share of the last one.",
    )

    has_score = False

    def evaluations(self, levels: Visited) -> int:
        return 2 * STAGE.evaluations(levels)

    def draws(self, levels: Visited) -> int:
        return 2 + 2 * STAGE.draws(levels)

    def run(
        self, denoise: Denoise, levels: Visited, x: "Tensor", noise: "Iterator[Tensor]"
    ) -> "Tensor":
        trained = levels.trained
        coarse = STAGE.run(denoise, levels, x, noise)
        t = round(self.augmentation * (trained.timesteps - 1))
        alpha, sigma = trained.alpha[t].item(), trained.sigma[t].item()
        given = alpha * coarse + sigma * next(noise), t
        start = math.hypot(levels.alpha[0], levels.sigma[0]) * next(noise)
        return STAGE.run(partial(denoise, given=given), levels, start, noise)


AnyMethod = Annotated[Method, OneOf()]
