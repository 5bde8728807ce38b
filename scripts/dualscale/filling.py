"""Missing cells of given rows, filled in by a trained model, in Python and by `draw.py`."""

from datetime import date
from typing import Any

import numpy as np

from dualscale.conditional import require_conditioning, some_cells
from dualscale.data.columns import Date
from dualscale.data.table import TableError
from dualscale.diffusion.drawing import Drawing
from dualscale.model import Model
from dualscale.sampling import drawing_with

MOST_DRAWS = 20  # of a row, until none of its drawn cells is missing


def fill(
    model: Model, rows: Any, seed: int = 0, evaluations: int | None = None, **changes: Any
) -> Any:
    """Fill in the missing cells of rows, each row by one draw from its conditional distribution.

    Args:
        model: from `load_model`, trained with `conditioning`.
        rows: a pandas DataFrame. Its cells stay as they are, those of columns that the model does
            not know included; the model's columns that it lacks are added.
        seed, evaluations, changes: as of `sample`. Another seed draws other cells.

    Returns:
        A pandas DataFrame. In the rare row of which `MOST_DRAWS` draws all have a cell that is
        missing, as the training data have some, such cells stay missing.

    Raises:
        ValueError: the model or the rows cannot be used.
    """
    return filled(model, drawing_with(model, evaluations, changes), rows, seed)


def filled(model: Model, drawing: Drawing, rows: Any, seed: int) -> Any:
    """Return rows with their missing cells filled in, as `fill` does."""
    import pandas as pd

    names = [column.name for column in model.columns.columns]
    shared = [name for name in names if name in rows]
    if not shared:
        raise ValueError(f"the rows have none of the model's columns, {', '.join(names)}")
    try:
        cells = model.columns.recognised(rows[shared].reset_index(drop=True))
    except TableError as error:
        raise ValueError(f"the table to fill in {error}") from error
    known = cells.notna()
    require_conditioning(model, [name for name in shared if known[name].any()])
    gaps = ~known.reindex(columns=names, fill_value=False)
    gaps = gaps.loc[:, gaps.any()]
    nothing = np.full(len(rows), None)
    values = {name: np.array(rows.get(name, nothing), object) for name in gaps}
    left = np.flatnonzero(gaps.any(axis=1))
    for attempt in range(MOST_DRAWS):
        if not len(left):
            break
        stream = f"{seed}/fill/{attempt}"
        condition = some_cells(model, cells.iloc[left], known.iloc[left], stream)
        drawn = model.sampler(drawing, len(left), [stream], condition).draw()[0]
        table = model.columns.decode(drawn).set_index(left)
        whole = ~(table[list(gaps)].isna() & gaps.loc[left]).any(axis=1).to_numpy()
        done = left if attempt == MOST_DRAWS - 1 else left[whole]
        for name in gaps:
            places = done[gaps.loc[done, name]]
            values[name][places] = exact(table.loc[places, name]).to_numpy(object)
        left = left[~whole]
    for column in model.columns.columns:
        if isinstance(column, Date) and column.name in values:
            of_text = [isinstance(cell, str) for cell in values[column.name]]
            texts = values[column.name][of_text]
            values[column.name][of_text] = [date.fromisoformat(text) for text in texts]
    columns = {name: pd.Series(cells, rows.index).infer_objects() for name, cells in values.items()}
    return rows.assign(**columns)


def exact(cells: Any) -> Any:
    """Return float32 as the float64 of the same shortest decimals; other cells as they are."""
    return cells.astype(str).astype(float) if cells.dtype == np.float32 else cells
