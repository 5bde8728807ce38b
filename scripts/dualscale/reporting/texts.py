"""Texts of tables: numbers, intervals, and phrases of captions."""

from collections.abc import Iterable

import pandas as pd


def number(value: float | None, style: str) -> str:
    """Format a number; empty if it is missing."""
    return "" if value is None or pd.isna(value) else f"{value:{style}}"


def bracket(low: float, high: float, style: str) -> str:
    """Format an interval; empty if it is missing."""
    return "" if pd.isna(low) else f"[{low:{style}}, {high:{style}}]"


def with_interval(mean: float, low: float, high: float, style: str) -> str:
    """Format a number and its interval, without what is missing."""
    return f"{number(mean, style)} {bracket(low, high, style)}".strip()


def counted_seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def floor_of_files(names: Iterable[str]) -> str:
    """Sentences of a caption on the KL of datasets from files; empty without such datasets."""
    listed = ", ".join(names)
    return listed and (
        f" Points from files ({listed}): KLs are against the held-out points, in units in which "
        "every column has standard deviation 1; the floor is that of as many training points as "
        "were generated, or of all. Tables with words, dates or missing cells are compared as they "
        "are written, with one number per column and equal cells spread by uniform noise, which "
        "leaves the KL as it is; read its estimate against the floor."
    )
