"""Base of every generator without a network, and what it is fitted to."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dualscale.data.encoding import Encoding
from dualscale.data.units import Units
from dualscale.parts import Choice

Array = NDArray[np.floating]


class Fitted(NamedTuple):
    """A generator that was fitted to points.

    Args:
        parameters: how many fitted numbers it draws with.
        draw: returns a number of points, (n, d).
    """

    parameters: int
    draw: Callable[[int, np.random.Generator], Array]


@dataclass(frozen=True)
class Examples:
    """Training points, and how their coordinates belong to the columns of a table.

    Args:
        points: (n, d), in the model's units.
        columns: coordinates of every column, at least one each.
        flags: mask of the coordinates that are 0 or 1 in the data's units, (d,).
        classes: number of the class of each point, (n,); None: there are none.
    """

    points: Array
    columns: list[NDArray[np.intp]]
    flags: NDArray[np.bool_]
    classes: NDArray[np.floating] | None = None

    @classmethod
    def of_points(cls, points: Array) -> Self:
        """Return points whose every coordinate is a column, without flags or classes."""
        coordinates = points.shape[1]
        return cls(points, list(np.arange(coordinates)[:, None]), np.zeros(coordinates, bool))

    @classmethod
    def of_table(cls, data: Array, units: Units, encoding: Encoding, target: str | None) -> Self:
        """Return the rows of a table, data (n, columns) in its own units.

        Args:
            target: name of a column, whose categories are the classes; numbers give none.
        """
        owners, varying = encoding.owners[units.varying], units.varying
        columns = [np.flatnonzero(owners == column) for column in np.unique(owners)]
        place = None if target is None else encoding.place(target)
        classes: Any = None
        if place is not None and encoding.columns[place].kind == "category":
            classes = np.nan_to_num(encoding.numbers(data)[:, place], nan=-1)
        return cls(units.into_model(data), columns, encoding.flags[varying], classes)


class Classical(Choice):
    """Generator that is fitted to the training points without a network."""

    @abstractmethod
    def fit(self, examples: Examples, seed: int) -> Fitted:
        """Fit to points, and draw in the model's units.

        Args:
            seed: of the fit's random numbers, below 2^32.
        """
