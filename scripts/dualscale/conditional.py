"""Conditions on a model's columns: cells that are given, in Python, by flags or in a file."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dualscale.data.table import TableError
from dualscale.diffusion.conditions import Condition
from dualscale.errors import unknown
from dualscale.model import Model
from dualscale.runtime.streams import stream_seed


def parsed(where: Sequence[str]) -> dict[str, str | None]:
    """Return columns and values of texts such as species=setosa; None for a missing cell, species=.

    Raises:
        ValueError: a text has no = or a column stands twice.
    """
    pairs = [text.partition("=") for text in where]
    for text, (name, equals, _) in zip(where, pairs, strict=True):
        if not equals:
            raise ValueError(f"where is {text!r}: column=value is needed")
        if sum(name == other for other, *_ in pairs) > 1:
            raise ValueError(f"where names {name} twice: a column can have one value")
    return {name: value or None for name, _, value in pairs}


def condition_of(
    model: Model, where: Mapping[str, Any], points: int, stream: str, guidance: float = 1.0
) -> Condition:
    """Return the condition that columns have these values in all points.

    The model was trained for them to be given (`require_conditioning`).

    Args:
        where: value of each column, a text or what a table holds; None: a missing cell.
        stream: name of the random stream of the noise that spreads whole numbers.
        guidance: as of `Guided`.

    Raises:
        ValueError: one line that names the column, and what it allows.
    """
    import pandas as pd

    try:
        cells = model.columns.recognised(pd.DataFrame({name: [where[name]] for name in where}))
    except TableError as error:
        raise ValueError(f"where {error}".replace(" in row 1 of column ", " as ")) from error
    for column in model.columns.columns:
        if column.name in cells and cells[column.name].isna()[0] and not column.missing:
            raise ValueError(f"where has no value for {column.name}, of which no cell is missing")
    cells = cells.loc[np.zeros(points, int)].reset_index(drop=True)
    return some_cells(model, cells, cells.map(lambda cell: True), stream, guidance)


def some_cells(
    model: Model, cells: Any, known: Any, stream: str, guidance: float = 1.0
) -> Condition:
    """Return the condition that some cells of points are given.

    Args:
        cells, known: as of `Encoding.encode_some`.
        stream, guidance: as of `condition_of`.
    """
    rng = np.random.default_rng(stream_seed(stream, "given"))
    return Condition(*model.columns.encode_some(cells, known, rng), guidance)


def require_conditioning(model: Model, names: Sequence[str], guidance: float = 1.0) -> None:
    """Raise a ValueError if a model was not trained for these columns to be given."""
    columns = dict.fromkeys(model.columns.names)
    for name in names:
        if name not in columns:
            raise ValueError(unknown("where", name, columns))
    wanted = f"[{', '.join(names)}]" if names else "all"
    train = f"give its variant `conditioning: {{columns: {wanted}}}` and train it again"
    if model.conditions is None:
        raise ValueError(f"the model was trained without given columns: {train}")
    for name in names:
        if name not in [*model.conditions.columns, *model.conditions.constant]:
            able = ", ".join(model.conditions.columns)
            raise ValueError(f"{name} cannot be given to the model, but {able} can: {train}")
    if not (math.isfinite(guidance) and guidance >= 0):
        raise ValueError(f"guidance is {guidance:g}: 0 or more is allowed")
    if guidance != 1 and model.conditions.settings.hidden == 0:
        raise ValueError(
            f"guidance is {guidance:g}: 1 is allowed, since the model was trained with "
            "conditioning.hidden 0"
        )
