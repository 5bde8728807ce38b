"""Means and intervals of metrics over the runs of a variant, as columns and as text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dualscale.metrics.metric import Column
from dualscale.metrics.statistics import mean_interval
from dualscale.reporting.texts import number, with_interval

ENDS = ("", "_low", "_high")


def averaged(runs: pd.DataFrame, columns: Sequence[Column]) -> dict[str, float]:
    """Return mean and interval of every metric over runs, by its name, name_low and name_high.

    NaN where no run has it.
    """
    row: dict[str, float] = {}
    for name in (column.name for column in columns):
        values = runs[name].dropna().tolist()
        found = mean_interval(values) if values else (np.nan, np.nan, np.nan)
        row |= dict(zip((f"{name}{end}" for end in ENDS), found, strict=True))
    return row


def mean_text(row: Mapping[Any, Any], column: Column) -> str:
    """Return mean and interval of a metric as text, without an interval of no length."""
    mean, low, high = (row[f"{column.name}{end}"] for end in ENDS)
    style = f",.{column.digits}f"
    return number(mean, style) if low == high else with_interval(mean, low, high, style)
