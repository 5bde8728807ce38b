"""Records of earlier runs for planning, local or in an object store."""

import tempfile
from pathlib import Path
from typing import Any

from snakemake.common import async_run
from snakemake.io import IOCache, get_flag_value

from dualscale.runtime.records import trained_with

TRAINING = "results/training"


class EarlierRuns:
    """Workflow files below the working directory, or in the default object store.

    Args:
        modify: Snakemake's function from a rule's path to the file's location.
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
        """Seeds trained together with the run "variant/dataset/seed"; None without a record."""
        path = self.modify(f"{TRAINING}/{run}.json")
        stored = get_flag_value(path, "storage_object")
        if stored is None:
            return trained_with(path) if Path(path) in self.known else None
        if not self.listed.exists_in_storage.get(stored.cache_key()):
            return None
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / f"{run}.json"  # a record is known by its path
            local.parent.mkdir(parents=True)
            stored.set_local_path(local)
            async_run(stored.managed_retrieve())
            return trained_with(stored.local_path())

    def _stored(self, path: str) -> Any:
        """Object of a path in the default object store; None if results are local."""
        return get_flag_value(self.modify(path), "storage_object")
