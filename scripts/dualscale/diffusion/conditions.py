"""Columns that are given: what the network sees of them, and the denoiser of the others.

Shapes: S models, n points of d coordinates, of which a are of columns that can be given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dualscale.data.moments import Moments
from dualscale.data.units import Units
from dualscale.diffusion.conditioning import Conditioning
from dualscale.diffusion.denoiser import Predict
from dualscale.errors import unknown

NOISY, GIVEN, HIDDEN = 0, 1, -1
"""States of a coordinate: as without conditioning, seen without noise, not seen."""


@dataclass(frozen=True)
class Condition:
    """Given coordinates of every point.

    Args:
        values: (n, d), of any value where nothing is given.
        given: mask of the given coordinates, (n, d).
        guidance: as of `Guided`.
    """

    values: NDArray[np.float32]
    given: NDArray[np.bool_]
    guidance: float = 1.0

    def in_model(self, units: Units) -> "Condition":
        """Return the condition in the model's units; this one is in the data's."""
        given = self.given[:, units.varying]
        return Condition(units.into_model(self.values), given, self.guidance)

    def tensor(self) -> Tensor:
        """Return values, 0 where nothing is given, and 1 where something is, (2, n, d)."""
        both = np.stack([np.where(self.given, self.values, 0), self.given])
        return torch.from_numpy(both.astype(np.float32))

    def groups(self, moments: Moments) -> Iterator[tuple[NDArray[np.intp], Moments]]:
        """Iterate over points with the same given coordinates: their rows, and moments given these.

        With guidance 0, moments of which nothing is given.

        Args:
            moments: of points of which nothing is given.
        """
        patterns, which = np.unique(self.given, axis=0, return_inverse=True)
        for index, pattern in enumerate(patterns):
            rows = np.flatnonzero(which.ravel() == index)
            yield rows, moments.conditional(self.values[rows], pattern & (self.guidance > 0))


class Conditions:
    """Columns of a model that can be given.

    Args:
        names: name of the column of every coordinate of the data.
        varying: mask of these coordinates that are not constant, which are the model's.

    Attributes:
        columns: names of those columns.
        constant: names of the columns that are constant.
        places: their coordinates, (a,).

    Raises:
        ValueError: a name is not that of a column, or no column would be left to draw.
    """

    def __init__(
        self,
        settings: Conditioning,
        names: Sequence[str],
        varying: NDArray[np.bool_],
        device: torch.device | None = None,
    ):
        self.settings, every = settings, dict.fromkeys(names)
        wanted = every if settings.columns == "all" else settings.columns
        for name in wanted:
            if name not in every:
                raise ValueError(unknown("conditioning.columns", name, every))
        names = [name for name, varies in zip(names, varying, strict=True) if varies]
        drawn = list(dict.fromkeys(names))
        self.constant = [name for name in every if name not in drawn]
        self.columns = [name for name in drawn if name in wanted]
        self.most = len(self.columns) - (len(self.columns) == len(drawn))
        if self.most <= 0:
            raise ValueError(
                f"conditioning.columns is {settings.columns}: one column at least must be given "
                f"and one drawn, of those that are not constant, {', '.join(drawn)}"
            )
        able = [place for place, name in enumerate(names) if name in self.columns]
        self.places = torch.tensor(able, device=device)
        self.owners = torch.tensor([self.columns.index(names[place]) for place in able])

    def draw(self, shape: Sequence[int], seed: int) -> Tensor:
        """Return states of training examples, (*shape, a), drawn on the CPU."""
        generator = torch.Generator().manual_seed(seed)
        given, hidden = self.settings.given, self.settings.hidden
        kind = torch.rand(shape, generator=generator)
        state = (kind < given).to(torch.int8)
        state -= (kind >= 1 - hidden).to(torch.int8)
        count = 1 + torch.randint(self.most, shape, generator=generator)
        order = torch.rand(*shape, len(self.columns), generator=generator).argsort(dim=-1)
        chosen = order.argsort(dim=-1) < count[..., None]
        return (state[..., None] * chosen)[..., self.owners]

    def inputs(self, x: Tensor, clean: Tensor, state: Tensor) -> Tensor:
        """Return the input of the network, (…, n, d + 2 a): points, given coordinates and states.

        Args:
            x: noisy points as the network sees them, (…, n, d).
            clean: points without noise, (…, n, d).
            state: (…, n, a).
        """
        given = clean[..., self.places] * (state == GIVEN)
        return torch.cat([self.noisy(x, state), given, state.to(x.dtype)], dim=-1)

    def noisy(self, x: Tensor, state: Tensor) -> Tensor:
        """Return values (…, n, d) of all coordinates, 0 for those that are given or hidden."""
        x = x.clone()
        x[..., self.places] *= state == NOISY
        return x


class Guided:
    """Network of the columns that are not given, amplified by guidance.

    F_hidden + w (F_given - F_hidden), where F_hidden does not know the columns that are given (Ho
    and Salimans 2022, equation 6, whose weight is w - 1). Denoisers are affine in the network's
    outputs, and categories have logits, so that it guides both.

    Args:
        guidance: w. 1 leaves the conditional distribution as it is; 0 ignores what is given.
    """

    def __init__(self, network: Predict, conditions: Conditions, guidance: float = 1.0):
        self.network, self.conditions, self.guidance = network, conditions, guidance

    def __call__(self, x: Tensor, t: int, given: Tensor) -> Tensor:
        """Return outputs for inputs x (S, n, d) without the given columns, in the same shape.

        Args:
            given: values in the model's units, and 1 where they are given, 0 elsewhere, (2, n, d).
        """
        clean, flags = given.expand(len(x), -1, -1, -1).unbind(1)
        state = flags[..., self.conditions.places]
        if self.guidance == 1:
            return self._output(x, t, clean, GIVEN * state)
        hidden = self._output(x, t, clean, HIDDEN * state)
        if self.guidance == 0:
            return hidden
        return hidden + self.guidance * (self._output(x, t, clean, GIVEN * state) - hidden)

    def _output(self, x: Tensor, t: int, clean: Tensor, state: Tensor) -> Tensor:
        return self.network(self.conditions.inputs(x, clean, state), t)
