"""Split every KL into what no model can help, what the sampler costs, and what the network does."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from dualscale.parts import REAL
from dualscale.statistics import best_interval
from dualscale.tables import read_table
from job import job, read_json, whole


def main(
    metrics: str | Path,
    references: Mapping[tuple[str, str, int], str],
    output: str | Path,
    process: Mapping[str, str],
) -> None:
    """Write a row a (variant, dataset): means over the seeds, which sum to kl_bits.

    floor: fresh real points. steps: the exact denoiser from noisy real points, above the floor.
    start: from the model's start instead. network: the model instead of the exact denoiser.

    The network's part has an interval: model and exact denoiser share their random numbers, so
    that their difference is taken seed by seed.

    Args:
        metrics: every run's KL.
        references: records of the KL, by (reference, dataset, seed).
        process: of every variant, the one that its exact references are named after.
    """
    runs = read_table(metrics).set_index(["variant", "dataset", "seed"])["kl_bits"]
    exactly = pd.Series({run: read_json(path)["kl_bits"] for run, path in references.items()})
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
    with whole(output) as part:
        pd.DataFrame(rows).to_csv(part, index=False, lineterminator="\n", float_format="%.6f")


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        runs = [(variant, dataset, int(seed)) for variant, dataset, seed in snakemake.params.runs]
        main(
            snakemake.input.metrics,
            dict(zip(runs, snakemake.input.references, strict=True)),
            snakemake.output[0],
            snakemake.params.process,
        )
