"""Types of a table's columns: how cells become coordinates of a point, and come back."""

from abc import abstractmethod
from textwrap import shorten
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dualscale.data.cells import NUMBER, day, reflected, without_words_for_missing
from dualscale.data.table import LARGEST, TableError, unusable
from dualscale.parts import Choice, OneOf, kinds, short, suggestion

Array = NDArray[np.floating]

MOST_CATEGORIES = 256
BEYOND = 0.1  # share of a column's range between its values and the place of its missing cells


class ColumnType(Choice):
    """Column of a table, fitted to its cells.

    Its cells are a pandas Series: numbers in float64, or words, truth values or dates; NaN, None or
    NaT where a cell is missing.
    """

    name: str = Field(description="Name in the file; without a header, number from 0.")
    missing: bool = Field(False, description="Whether cells are missing.")

    @classmethod
    @abstractmethod
    def fit(cls, name: str, cells: Any) -> Self:
        """Return the column of these cells; a TableError names the cell that cannot be used."""

    @property
    @abstractmethod
    def flags(self) -> NDArray[np.bool_]:
        """Mask of the coordinates that are 0 or 1, of all coordinates of the column, (w,)."""

    @abstractmethod
    def recognised(self, cells: Any) -> Any:
        """Return cells that are perhaps not the data's, such as texts, as cells of this column.

        Raises:
            TableError: names the first that the column cannot have.
        """

    @abstractmethod
    def encode(self, cells: Any, rng: np.random.Generator) -> Array:
        """Return the cells as coordinates, (n, w)."""

    @abstractmethod
    def decode(self, points: Array) -> Any:
        """Return coordinates (n, w), of data or generated, as cells."""

    @abstractmethod
    def numbers(self, points: Array) -> Array:
        """Return the value, day or place among the categories of every cell, (n,); NaN: missing."""

    @abstractmethod
    def spread(self, points: Array, rng: np.random.Generator) -> Array:
        """Return coordinates (n, w) as one number each, (n,), equal values spread by noise.

        Uniform noise that no two values share leaves the KL between two tables as it is (Theis et
        al. 2016, section 3.1: uniform dequantisation).
        """

    @abstractmethod
    def describe(self) -> str:
        """Return a phrase on the type, its range and its missing cells."""

    def _gaps(self) -> str:
        return ", some missing" if self.missing else ""


class Numeric(ColumnType):
    """Column with an order and distances.

    Where cells are missing, a second coordinate is 1 for them and the first one is the median.
    """

    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    median: float = Field(description="Median of the values.")
    step: ClassVar[float] = 0.0  # between neighbouring values

    @classmethod
    def fit(cls, name: str, cells: Any) -> Self:
        values = cls.values(name, cells)
        missing = np.isnan(values)
        if missing.all():
            raise TableError(f"has no value in column {name}: leave it out")
        present = values[~missing]
        low, high, median = (float(each(present)) for each in (np.min, np.max, np.median))
        found = {"missing": bool(missing.any()), "low": low, "high": high, "median": median}
        return cls.model_validate({"name": name, **found})

    @classmethod
    def values(cls, name: str, cells: Any) -> Array:
        """Return the cells as float64, NaN where they are missing."""
        if cells.dtype.kind != "f":
            cells = without_words_for_missing(cells)
            broken = cells.notna() & ~cells.str.fullmatch(NUMBER).fillna(False).astype(bool)
        else:
            broken = cells.abs() > LARGEST
        for row in np.flatnonzero(broken).tolist():
            raise unusable(row + 1, name, f"{cells.iloc[row]}")
        values: Array = cells.to_numpy(np.float64, na_value=np.nan)
        return values

    @property
    def flags(self) -> NDArray[np.bool_]:
        return np.array([False, True][: 1 + self.missing])

    def recognised(self, cells: Any) -> Any:
        cells = cells if cells.dtype.kind == "f" else without_words_for_missing(cells)
        values = self.values(self.name, cells)
        for row in np.flatnonzero((values < self.low) | (values > self.high)):
            raise TableError(
                f"holds {cells.iloc[row]} in row {row + 1} of column {self.name}: "
                f"{self._shown(self.low)} to {self._shown(self.high)}, the data's range, is allowed"
            )
        return cells

    def encode(self, cells: Any, rng: np.random.Generator) -> Array:
        values = self.values(self.name, cells)
        missing = np.isnan(values)
        filled = self._noisy(np.where(missing, self.median, values), rng)
        return np.column_stack([filled, missing]) if self.missing else filled[:, None]

    def _noisy(self, values: Array, rng: np.random.Generator) -> Array:
        """Spread whole numbers by uniform noise, except where float32 would round to others.

        A constant column stays constant.
        """
        if not self.step or self.low == self.high:
            return values
        noisy = (values + rng.random(len(values)) - 0.5).astype(np.float32)
        return np.where(np.rint(noisy) == values, noisy, values)

    def decode(self, points: Array) -> Any:
        return self._cells(self._within(points[:, 0]), self._is_missing(points))

    def _within(self, values: Array) -> Array:
        """Reflect values at the bounds of the data, so that none pile up there."""
        low, high = self.low - self.step / 2, self.high + self.step / 2
        values = np.where((low <= values) & (values <= high), values, reflected(values, low, high))
        return np.rint(values).clip(self.low, self.high) if self.step else values

    def _is_missing(self, points: Array) -> NDArray[np.bool_]:
        return points[:, -1] > 0.5 if self.missing else np.zeros(len(points), bool)

    def _cells(self, values: Array, missing: NDArray[np.bool_]) -> Any:
        import pandas as pd

        return pd.Series(values.astype(np.float32)).mask(missing)

    def numbers(self, points: Array) -> Array:
        return np.where(self._is_missing(points), np.nan, self._within(points[:, 0]))

    def spread(self, points: Array, rng: np.random.Generator) -> Array:
        noise = rng.random(len(points))
        apart = max(self.high - self.low, self.step or 1.0) * BEYOND
        values = self._within(points[:, 0].astype(np.float64)) + self.step * (noise - 0.5)
        beyond = self.high + self.step + apart * (1 + noise)
        return np.where(self._is_missing(points), beyond, values)

    def describe(self) -> str:
        return f"{self.kind}, {self._shown(self.low)} to {self._shown(self.high)}{self._gaps()}"

    def _shown(self, value: float) -> str:
        return f"{value:.7g}"


class Number(Numeric):
    """Real numbers, taken as they are."""

    kind: Literal["number"] = "number"


class Integer(Numeric):
    """Whole numbers, spread by uniform noise for training, and rounded back."""

    kind: Literal["integer"] = "integer"
    step: ClassVar[float] = 1.0

    @classmethod
    def values(cls, name: str, cells: Any) -> Array:
        values = super().values(name, cells)
        for row in np.flatnonzero(np.rint(values) != values):
            if not np.isnan(values[row]):
                raise TableError(
                    f"holds {values[row]:g} in row {row + 1} of column {name}: whole numbers are "
                    "needed, or the type number"
                )
        return values

    def _cells(self, values: Array, missing: NDArray[np.bool_]) -> Any:
        import pandas as pd

        cells = pd.Series(values.astype(np.int64))
        return cells.astype("Int64").mask(missing) if self.missing else cells


class Date(Numeric):
    """Dates, as days since 1 January 1970, spread by uniform noise for training."""

    kind: Literal["date"] = "date"
    step: ClassVar[float] = 1.0

    @classmethod
    def values(cls, name: str, cells: Any) -> Array:
        texts = without_words_for_missing(cells)
        days = {text: day(text) for text in texts.dropna().unique()}
        values: Array = texts.map(days).to_numpy(np.float64)
        for row in np.flatnonzero(np.isnan(values) & texts.notna()):
            raise TableError(
                f"holds {short(texts.iloc[row])} in row {row + 1} of column {name}: a date as "
                "2026-11-24 is needed"
            )
        return values

    def _cells(self, values: Array, missing: NDArray[np.bool_]) -> Any:
        import pandas as pd

        dates = values.astype("datetime64[D]").astype(object)
        dates[missing] = None
        return pd.Series(dates)

    def _shown(self, value: float) -> str:
        return str(np.datetime64(int(value), "D"))


class Category(ColumnType):
    """Words or other distinct values: a coordinate for each, of which the largest decides.

    Missing cells are a category of their own, the last.
    """

    kind: Literal["category"] = "category"
    categories: list[str | int | float | bool] = Field(
        description="Values, sorted.", min_length=1, max_length=MOST_CATEGORIES
    )

    @classmethod
    def fit(cls, name: str, cells: Any) -> Self:
        found = cells.dropna().unique().tolist()
        if not found:
            raise TableError(f"has no value in column {name}: leave it out")
        if len(found) > MOST_CATEGORIES:
            raise TableError(
                f"has {len(found):,} different values in column {name}, as {short(found[0])}: a "
                f"category can have {MOST_CATEGORIES}; leave it out"
            )
        return cls(name=name, missing=bool(cells.isna().any()), categories=sorted(found))

    @property
    def flags(self) -> NDArray[np.bool_]:
        return np.ones(len(self.categories) + self.missing, bool)

    def recognised(self, cells: Any) -> Any:
        known = {str(value): value for value in self.categories}
        texts = cells.map(str, na_action="ignore").astype(object)
        for row in np.flatnonzero(texts.notna() & ~texts.isin(known)):
            value = texts.iloc[row]
            raise TableError(
                f"holds {short(value)} in row {row + 1} of column {self.name}: one of "
                f"{shorten(', '.join(known), 200, placeholder=' …')} is allowed"
                f"{suggestion(value, known)}"
            )
        return texts.map(known).astype(object)

    def encode(self, cells: Any, rng: np.random.Generator) -> Array:
        import pandas as pd

        codes = pd.Categorical(cells, categories=self.categories).codes  # -1: missing
        return np.eye(len(self.flags))[codes]

    def decode(self, points: Array) -> Any:
        import pandas as pd

        values = pd.Series([*self.categories, *[None] * self.missing])
        return values.take(points.argmax(axis=1)).reset_index(drop=True)

    def numbers(self, points: Array) -> Array:
        places = points.argmax(axis=1)
        return np.where(places < len(self.categories), places, np.nan)

    def spread(self, points: Array, rng: np.random.Generator) -> Array:
        return points.argmax(axis=1) + rng.random(len(points))

    def describe(self) -> str:
        some = shorten(", ".join(map(str, self.categories)), 40, placeholder=" …")
        return f"category, {len(self.categories)}: {some}{self._gaps()}"


AnyColumnType = Annotated[ColumnType, OneOf()]
COLUMN_TYPES = kinds(ColumnType)
