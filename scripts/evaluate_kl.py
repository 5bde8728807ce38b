"""Estimate the KL divergence of a generated sample from its dataset."""

from pathlib import Path

import numpy as np

from dualscale.metrics.kl import Reference
from dualscale.runtime.records import write_record
from execution.job import run, within_runtime


def main(
    real: Path,
    neighbours: Path,
    generated: Path,
    record: Path,
    *,
    digest: str,
    threads: int,
    runtime: int | None = None,
) -> None:
    """Write a record of kl_bits."""
    reference = Reference.load(neighbours, np.load(real, allow_pickle=False))
    points = np.load(generated, allow_pickle=False)
    bits = reference.kl(points, threads, within_runtime(runtime))
    write_record(record, {"kl_bits": bits, "settings_digest": digest})


run(main, globals())
