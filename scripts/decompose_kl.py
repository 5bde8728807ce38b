"""Decompose every KL into estimator floor, discretisation, prior and score error."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from dualscale.metrics.statistics import best_interval
from dualscale.parts import REAL
from dualscale.reporting.tables import read_records, read_table, write_table
from execution.job import run


def main(
    metrics: Path, references: list[Path], tables: list[Path], *, process: Mapping[str, str]
) -> None:
    """Write the parts, one row per (variant, dataset): means over the seeds that sum to kl_bits.

    floor: KL of fresh real points. steps: excess over it with the optimal denoiser, started from
    perturbed real points. start: change when started from the prior instead. network: change when
    the model replaces the optimal denoiser.

    The network's part has an interval: model and optimal denoiser share their random numbers, so
    differences are paired by seed.

    Args:
        metrics: KL of every run.
        references: records of the references' KL.
        process: prefix of the names of each variant's references.
    """
    runs, exactly = (
        table.set_index(["variant", "dataset", "seed"])["kl_bits"]
        for table in (read_table(metrics), read_records(references))
    )
    rows = []
    for variant, alike in process.items():
        for dataset in dict.fromkeys(exactly.index.get_level_values(1)):
            mine = runs.loc[variant, dataset]
            real, exact, exact_start = (
                exactly.loc[name, dataset]
                for name in (REAL, f"{alike}.exact", f"{alike}.exact_start")
            )
            network, low, high = best_interval((mine - exact).tolist())
            rows.append(
                {
                    "variant": variant,
                    "dataset": dataset,
                    "floor_bits": real.mean(),
                    "start_bits": exact.mean() - exact_start.mean(),
                    "steps_bits": exact_start.mean() - real.mean(),
                    "network_bits": network,
                    "kl_bits": mine.mean(),
                    "network_low_bits": low,
                    "network_high_bits": high,
                }
            )
    write_table(tables, pd.DataFrame(rows), float_format="%.6f")


run(main, globals())
