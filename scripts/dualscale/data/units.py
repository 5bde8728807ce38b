"""The units in which a model sees its data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]
BLOCK = 2**17  # rows that are copied to float64 at a time
LOG_ROOT_TAU = np.log(2 * np.pi) / 2
OUTERMOST = 1e-7  # probability of the smallest normal number, -5.2, and of the largest
LEAST_VARIANCE = 1e-6  # of a principal axis of standardised columns; below, it is rounding


@dataclass(frozen=True)
class Units:
    """Affine map of each column: x = shift + scale y; x in the data's units, y in the model's.

    A column of scale 0 is constant: it is left out of y and restored from the shift.

    Args:
        shift, scale: (d,) in float32.
    """

    shift: Array
    scale: Array

    mixes_columns: ClassVar[bool] = False

    @property
    def own(self) -> bool:
        """Whether the model's units are the data's."""
        return not self.shift.any() and bool((self.scale == 1).all())

    @property
    def coordinates(self) -> int:
        """Number of coordinates of a point in the data's units."""
        return len(self.scale)

    @property
    def varying(self) -> Mask:
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

    def log_slope(self, x: Array) -> NDArray[np.float64]:
        """Return ln |dy/dx| at points (n, d), (n,); -inf where no y leads to x.

        A density in the model's units times this slope is one in the data's, over the columns that
        are not constant.
        """
        inside = (x.astype(np.float32) == self.shift)[:, ~self.varying].all(axis=1)
        return np.where(inside, -np.log(self.scale[self.varying].astype(np.float64)).sum(), -np.inf)


@dataclass(frozen=True)
class QuantileUnits(Units):
    """Monotone map of columns to a standard normal: y = Phi^-1(F(x)).

    F is linear between the quantiles; where several are equal, it is the middle of its jump. The
    way back ends at the outermost quantiles. These columns have shift 0 and scale 1; the others are
    constant or have the affine map of `Units`.

    Args:
        quantiles: at evenly spaced probabilities from 0 to 1, rising, (q, mapped columns).
    """

    quantiles: Array

    @property
    def own(self) -> bool:
        return False

    @property
    def _mapped(self) -> NDArray[np.intp]:
        """Places, among the varying columns, of those with quantiles."""
        return np.flatnonzero(self.scale[self.varying] == 1)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        return np.linspace(0, 1, len(self.quantiles))

    def into_model(self, x: Array) -> Array:
        from scipy.special import ndtri  # here, since planning a workflow loads this module

        p, y = self.probabilities, super().into_model(x)
        for j, q in zip(self._mapped, self.quantiles.T, strict=True):
            x = y[..., j].copy()  # its shift is 0 and its scale 1
            # Of equal quantiles, interpolation takes the last; of their negatives, the first.
            last, first = np.interp(x, q, p), 1 - np.interp(-x, -q[::-1], p)
            y[..., j] = ndtri(((last + first) / 2).clip(OUTERMOST, 1 - OUTERMOST))
        return y

    def into_data(self, y: Array) -> Array:
        from scipy.special import ndtr

        x, columns = super().into_data(y), np.flatnonzero(self.varying)
        for j, q in zip(self._mapped, self.quantiles.T, strict=True):
            p = ndtr(y[..., j].astype(np.float64))
            x[..., columns[j]] = np.interp(p, self.probabilities, q)
        return x

    def log_slope(self, x: Array) -> NDArray[np.float64]:
        """Return ln |dy/dx| at points (n, d), (n,); -inf where no y leads to x.

        Raises:
            ValueError: quantiles are equal, so that points are drawn there with a probability above
                0, not with a density.
        """
        found = super().log_slope(x)
        columns, quantiles = np.flatnonzero(self.varying), self.quantiles.T.astype(np.float64)
        y = self.into_model(x).astype(np.float64)
        for j, q in zip(self._mapped, quantiles, strict=True):
            column = columns[j]
            widths = np.diff(q)
            if not widths.all():
                value = q[widths.argmin()]
                raise ValueError(
                    f"column {column} has no density: quantiles of its training data are equal, "
                    f"at {value:g}; `normalisation: standard` has one"
                )
            piece = np.clip(np.searchsorted(q, x[:, column], side="right") - 1, 0, len(widths) - 1)
            slope = -np.log(len(widths) * widths[piece]) + y[:, j] ** 2 / 2 + LOG_ROOT_TAU
            found += np.where((x[:, column] >= q[0]) & (x[:, column] <= q[-1]), slope, -np.inf)
        return found


@dataclass(frozen=True)
class WhitenedUnits(Units):
    """Affine map that mixes columns: x = shift + scale (y axes) over those that are not constant.

    Args:
        axes: row j is the direction of y_j in standardised columns, (v, v), invertible.
    """

    axes: Array

    mixes_columns = True

    @property
    def own(self) -> bool:
        return False

    def into_model(self, x: Array) -> Array:
        standardised = super().into_model(x)
        inverse = np.linalg.inv(self.axes.astype(np.float64))
        mixed: Array = standardised @ inverse.astype(standardised.dtype)
        return mixed

    def into_data(self, y: Array) -> Array:
        return super().into_data(y @ self.axes)

    def log_slope(self, x: Array) -> NDArray[np.float64]:
        stretched = np.linalg.slogdet(self.axes.astype(np.float64))[1]
        return super().log_slope(x) - float(stretched)


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


def whitened_units(data: Array) -> WhitenedUnits:
    """Units in which the covariance of data (n, d) is I, along its principal axes.

    Those along which standardised columns hardly vary, as the flags of a category do that sum to
    one, keep a variance below 1.
    """
    standard = standard_units(data)
    v = int(standard.varying.sum())
    products = np.zeros((v, v))
    for block in blocks(data):
        y = standard.into_model(block).astype(np.float64)
        products += y.T @ y
    variances, directions = np.linalg.eigh(products / (len(data) - 1))
    axes = np.sqrt(variances.clip(LEAST_VARIANCE))[:, None] * directions.T
    return WhitenedUnits(standard.shift, standard.scale, axes.astype(np.float32))


def quantile_units(data: Array, count: int, affine: Mask | None = None) -> QuantileUnits:
    """Units in which each column is standard normal, by `count` quantiles of the data (n, d).

    Args:
        affine: mask of the columns that are standardised instead.
    """
    constant = data.min(axis=0) == data.max(axis=0)
    p = np.linspace(0, 1, count)
    shift, scale = np.where(constant, data[0], 0), np.where(constant, 0, 1)
    mapped = ~constant
    if affine is not None:
        standard = standard_units(data)
        shift, scale = (
            np.where(affine, *pair) for pair in ((standard.shift, shift), (standard.scale, scale))
        )
        mapped &= ~affine
    quantiles = [np.quantile(column, p) for column in data[:, mapped].T]
    return QuantileUnits(
        shift.astype(np.float32),
        scale.astype(np.float32),
        np.reshape(quantiles, (-1, count)).T.astype(np.float32),
    )


def blocks(data: Any) -> Iterator[Any]:
    """Blocks of rows of an array or a tensor, so that sums copy one block at a time."""
    return (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))
