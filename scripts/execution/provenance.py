"""Digests of settings, stored in the files made with them and checked by later jobs."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dualscale.runtime.records import DIGEST

SUFFIX = "_settings"
"""Ending of the digests' columns in a table of runs."""


def kept_digest(path: Path) -> str | None:
    """Digest stored in a record (.json) or a model (.safetensors); None without one."""
    try:
        if path.suffix == ".safetensors":
            about = _about_model(path)
        else:
            about = json.loads(path.read_text(encoding="utf-8"))
        return about.get(DIGEST)
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return None  # not such a file: who reads it says so


def _about_model(path: Path) -> dict:
    """Metadata of a model, from the file's header alone, for environments without safetensors."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError(path)
        return json.loads(json.loads(file.read(size))["__metadata__"]["dualscale"])


def require_planned(paths: Iterable[str | Path], planned: Mapping[str, str]) -> None:
    """Reject files made with other settings than the planned ones.

    Args:
        planned: digest for each folder of such files, as in "models/adaptive/dino"; it is the same
            for all seeds. Other paths are not checked.

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
    """Find records that were collected with other settings than the planned ones.

    Reads one table of all runs of a variant, not its thousands of records.

    Args:
        table: its columns, such as `training_settings`, hold the digests that each run was
            collected with.
        planned: as for `require_planned`.

    Returns:
        for each, its path in the results, as in "training/adaptive/dino/0.json", and the planned
            digest.
    """
    with table.open(newline="") as file:
        for run in csv.DictReader(file):
            for column, digest in run.items():
                kind, ending, _ = column.partition(SUFFIX)
                folder = f"{kind}/{run['variant']}/{run['dataset']}"
                if ending and planned.get(folder, digest) != digest:
                    yield f"{folder}/{run['seed']}.json", planned[folder]
