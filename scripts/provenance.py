"""Digests of the settings that made a file: kept in it, and compared by every job that reads it."""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

KEY = "settings_digest"
"""Where a record, or what a model's file says of the model, has it."""
SUFFIX = "_settings"
"""How the columns of digests end in a table of runs."""


def digest_settings(*parts: object) -> str:
    """16 hexadecimal digits of plain values, as in JSON; the order of keys makes no difference."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def kept_digest(path: Path) -> str | None:
    """The digest in a record (.json) or a model's file (.safetensors); None where there is none."""
    try:
        if path.suffix == ".safetensors":
            about = _about_model(path)
        else:
            about = json.loads(path.read_text(encoding="utf-8"))
        return about.get(KEY)
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return None  # not such a file: who reads it says so


def _about_model(path: Path) -> dict:
    """From the header alone; jobs without models have no library that reads it."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError(path)
        return json.loads(json.loads(file.read(size))["__metadata__"]["dualscale"])


def require_planned(paths: Iterable[str | Path], planned: Mapping[str, str]) -> None:
    """Refuse files that other settings made than those that are planned.

    Args:
        planned: the digest for every folder with such files, as in "models/adaptive/dino": what a
            seed is made with does not depend on it. Other paths are not looked at.

    Raises:
        ValueError: names the first such file.
    """
    for path in map(Path, paths):
        digest = planned.get("/".join(path.parts[-4:-1]))
        if digest is not None and kept_digest(path) != digest:
            raise ValueError(
                f"{path} was not made with the settings that are planned now: "
                f"delete it and make it again: snakemake … -- {path}"
            )


def made_otherwise(table: Path, planned: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Records that were gathered with other settings than those that are planned.

    One table of all runs of a variant is read, not its thousands of records.

    Args:
        table: with columns as `training_settings`, of the digests that each run was gathered with.
        planned: as for `require_planned`.

    Returns:
        for each its place in the results, as in "training/adaptive/dino/0.json", and the digest
        that is planned.
    """
    with table.open(newline="") as file:
        for run in csv.DictReader(file):
            for column, digest in run.items():
                kind, ending, _ = column.partition(SUFFIX)
                folder = f"{kind}/{run['variant']}/{run['dataset']}"
                if ending and planned.get(folder, digest) != digest:
                    yield f"{folder}/{run['seed']}.json", planned[folder]
