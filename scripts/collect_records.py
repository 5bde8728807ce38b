"""Collect records of any kind into a tidy table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dualscale.reporting.tables import read_records, write_table
from dualscale.runtime.records import DIGEST, RUN, read_record
from execution.job import run
from execution.provenance import SUFFIX


def main(
    records: list[Path],
    tables: list[Path],
    *,
    names: Sequence[str] = RUN,
    columns: Sequence[str] | None = None,
    float_format: str | None = None,
) -> None:
    """Write the records as one CSV: one row per run from JSON, all rows from CSV.

    Args:
        names: columns whose values the last parts of each path must repeat.
        columns: those of the table, where the records have them, in this order; None: all but the
            digests of settings.
        float_format: of the numbers; None: all digits.
    """
    of_runs = all(path.suffix == ".json" for path in records)
    found = pd.DataFrame(rows_of_runs(records)) if of_runs else read_records(records, names)
    if columns is None:
        columns = [name for name in found if not name.endswith(SUFFIX)]
    kept = [name for name in columns if name in found]
    write_table(tables, found[kept], float_format=float_format)


def rows_of_runs(records: Sequence[Path]) -> list[dict[str, Any]]:
    """Return one row per run from its JSON records of several kinds.

    A kind is the folder that the records lie in. The digest of settings becomes a column of its
    kind; a text that differs between kinds, such as the device, names them: "A (training), B
    (sampling)".
    """
    rows: dict[tuple, dict[str, dict[str, Any]]] = {}
    for path in records:
        record = read_record(path)
        kind = path.parts[-len(RUN) - 1]
        record[kind + SUFFIX] = record.pop(DIGEST, None)
        rows.setdefault(tuple(record[name] for name in RUN), {})[kind] = record
    return [merged(kinds) for kinds in rows.values()]


def merged(kinds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the records of a run, by kind, as one row."""
    row: dict[str, Any] = {}
    for column in dict.fromkeys(name for record in kinds.values() for name in (*RUN, *record)):
        found = {kind: record[column] for kind, record in kinds.items() if column in record}
        first, *others = found.values()
        row[column] = first
        if any(other != first for other in others):
            row[column] = ", ".join(f"{value} ({kind})" for kind, value in found.items())
    return row


run(main, globals())
