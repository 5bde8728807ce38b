"""What earlier runs have left, as planning finds it: on this machine or in an object store."""

import tempfile
from pathlib import Path
from typing import Any

from snakemake.common import async_run
from snakemake.io import IOCache, get_flag_value

from job import trained_with

TRAINING = "results/training"


class Records:
    """Files of the workflow, below the working directory or in the default object store.

    Args:
        modify: Snakemake's, from a path in a rule to where the file lies.
    """

    def __init__(self, modify: Any):
        self.modify = modify
        self.known = set(Path(modify(TRAINING)).glob("*/*/*.json"))
        self.listed = IOCache(max_wait_time=0)
        if stored := self._stored(f"{TRAINING}/any"):
            async_run(stored.inventory(self.listed))

    def has(self, path: str) -> bool:
        stored = self._stored(path)
        return async_run(stored.managed_exists()) if stored else Path(self.modify(path)).is_file()

    def trained_with(self, run: str) -> list[int] | None:
        """The seeds that the job of "variant/dataset/seed" trained; None without a record."""
        path = self.modify(f"{TRAINING}/{run}.json")
        stored = get_flag_value(path, "storage_object")
        if stored is None:
            return trained_with(path) if Path(path) in self.known else None
        if not self.listed.exists_in_storage.get(stored.cache_key()):
            return None
        with tempfile.TemporaryDirectory() as folder:
            stored.set_local_path(Path(folder) / "record.json")
            async_run(stored.managed_retrieve())
            return trained_with(stored.local_path())

    def _stored(self, path: str) -> Any:
        """The object of a path in the default object store; None where results lie here."""
        return get_flag_value(self.modify(path), "storage_object")
