"""Records of jobs, which say what they are: variant, dataset and seed of their run.

A run's files lie at `{kind}/{variant}/{dataset}/{seed}.{extension}`; a record that says otherwise
than its path is refused by name.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dualscale.runtime.files import atomic_write

RUN = ("variant", "dataset", "seed")
"""Names of the last parts of the paths of a run's files."""
DIGEST = "settings_digest"
"""Key of the digest of the settings that made a record or a model."""


def run_of(path: str | Path, names: Sequence[str] = RUN) -> dict[str, Any]:
    """Return variant, dataset and seed from the path of a run's file.

    Args:
        names: of the last parts of the path, for files of another kind.

    Raises:
        ValueError: the path is not one of a run.
    """
    parts = Path(path).with_suffix("").parts[-len(names) :]
    place: dict[str, Any] = dict(zip(names, parts, strict=False))
    if len(parts) < len(names) or not place.get("seed", "0").isdecimal():
        raise ValueError(f"{path} is not named after a run: {'/'.join(names)} is")
    return place | ({"seed": int(place["seed"])} if "seed" in place else {})


def require_in_place(path: str | Path, record: Mapping, names: Sequence[str]) -> None:
    """Check that a record says what its path does.

    Raises:
        ValueError: names the file, its run and that of its folder.
    """
    said, place = (
        {name: found.get(name) for name in names} for found in (record, run_of(path, names))
    )
    if said != place:
        was, lies = ("/".join(map(str, found.values())) for found in (said, place))
        raise ValueError(
            f"{path} is of {was}, and lies where that of {lies} belongs: "
            f"delete it and make it again: snakemake … -- {path}"
        )


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write a JSON record with the variant, dataset and seed of its path."""
    with atomic_write(path) as part:
        part.write_text(json.dumps({**run_of(path), **record}, indent=2, sort_keys=True) + "\n")


def write_rows(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV whose rows begin with the variant, dataset and seed of its path."""
    run = run_of(path)
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*run, *columns])
        writer.writerows([*run.values(), *row] for row in rows)


def read_record(path: str | Path) -> dict[str, Any]:
    """Read a job's JSON record.

    Raises:
        ValueError: the file is missing, is no record, or lies in the folder of another run.
    """
    if not Path(path).is_file():  # reading a pipe would block
        raise ValueError(f"{path} is not a file")
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is not a record: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path} is not a record, but {type(record).__name__}")
    require_in_place(path, record, RUN)
    return record


def trained_with(path: str | Path) -> list[int] | None:
    """Seeds that were trained together, from a training's record; None without one.

    A damaged record counts as none; the job that reads it next reports it.
    """
    try:
        seeds = read_record(path).get("seeds")
    except (OSError, ValueError):
        return None
    return seeds if isinstance(seeds, list) else None
