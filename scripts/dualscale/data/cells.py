"""Cells of a table: which texts are numbers, dates or missing, and values kept within bounds."""

import re
from contextlib import suppress
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualscale.data.table import MISSING

Array = NDArray[np.floating]

NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
DATE = r"\d{4}-\d\d-\d\d"


def reflected(values: Array, low: float, high: float) -> Array:
    """Reflect values at both ends of an interval, as often as it takes."""
    if low == high:
        return np.full_like(values, low)
    beyond = (values - low) % (2 * (high - low))
    return low + np.minimum(beyond, 2 * (high - low) - beyond)


def day(text: str) -> int | None:
    """Return the days from 1 January 1970 to a date; None where a text is none."""
    with suppress(ValueError):
        if re.fullmatch(DATE, text):
            return (date.fromisoformat(text) - date(1970, 1, 1)).days
    return None


def without_words_for_missing(cells: Any) -> Any:
    """Return cells as texts, None for words that stand for a missing number or date."""
    cells = cells.map(str, na_action="ignore").astype("str")
    return cells.mask(cells.str.lower().isin(MISSING), None)
