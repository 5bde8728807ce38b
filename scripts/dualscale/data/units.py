"""Normalisation: the units in which a model sees its data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
BLOCK = 2**17  # rows that are copied to float64 at a time


@dataclass(frozen=True)
class Units:
    """Affine map of each column: x = shift + scale y; x in the data's units, y in the model's.

    A column of scale 0 is constant: it is left out of y and restored from the shift.

    Args:
        shift, scale: (d,) in float32.
    """

    shift: Array
    scale: Array

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Mask of the columns that are not constant, (d,)."""
        return self.scale > 0

    def into_model(self, x: Array) -> Array:
        """Convert points (…, d) to the model's units, (…, v), without the constant columns."""
        varying = self.varying
        x = x if varying.all() else x[..., varying]
        y = x - self.shift[varying]
        y /= self.scale[varying]
        return y

    def into_data(self, y: Array) -> Array:
        """Convert points (…, v) to the data's units, (…, d), with the constant columns."""
        varying = self.varying
        x = np.empty((*y.shape[:-1], len(varying)), np.result_type(y, self.scale))
        x[...] = self.shift
        x[..., varying] += self.scale[varying] * y
        return x


def own_units(dimensions: int) -> Units:
    """Identity map: the model's units are the data's."""
    return Units(np.zeros(dimensions, np.float32), np.ones(dimensions, np.float32))


def standard_units(data: Array) -> Units:
    """Units in which each column has mean 0 and variance 1, or is constant.

    Args:
        data: (n, d); summed in float64.
    """
    count = len(data)
    mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks(data)) / count
    squares = sum(np.square(block - mean).sum(axis=0) for block in blocks(data))
    deviation = np.sqrt(squares / (count - 1))
    constant = data.min(axis=0) == data.max(axis=0)
    shift = np.where(constant, data[0], mean)
    return Units(shift.astype(np.float32), np.where(constant, 0, deviation).astype(np.float32))


def blocks(data: Any) -> Iterator[Any]:
    """Blocks of rows of an array or a tensor, so that sums copy one block at a time."""
    return (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
