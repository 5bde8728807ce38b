"""Split every KL into what no model can help, what the sampler costs, and what the network does."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from job import logged, whole

PARTS = ["floor_bits", "start_bits", "steps_bits", "network_bits"]


def main(metrics: str | Path, output: str | Path, process: Mapping[str, str]) -> None:
    """Write a row a (variant, dataset): means over the seeds, which sum to kl_bits.

    floor: fresh real points. steps: the exact denoiser from noisy real points, above the floor.
    start: from the model's start instead. network: the model instead of the exact denoiser.

    Args:
        process: of every variant, the one that its exact references are named after.
    """
    runs = pd.read_csv(metrics, dtype={"variant": str, "dataset": str}, keep_default_na=False)
    mean = runs.groupby(["variant", "dataset"], sort=False)["kl_bits"].mean().unstack("dataset")
    rows = []
    for variant, alike in process.items():
        for dataset in mean.columns:
            kl = mean[dataset]
            exact, exact_start = kl[f"{alike}.exact"], kl[f"{alike}.exact_start"]
            rows.append(
                {
                    "variant": variant,
                    "dataset": dataset,
                    "floor_bits": kl["real"],
                    "start_bits": exact - exact_start,
                    "steps_bits": exact_start - kl["real"],
                    "network_bits": kl[variant] - exact,
                    "kl_bits": kl[variant],
                }
            )
    with whole(output) as part:
        pd.DataFrame(rows).to_csv(part, index=False, lineterminator="\n", float_format="%.6f")


if snakemake := globals().get("snakemake"):
    with logged(snakemake.log[0]):
        main(snakemake.input[0], snakemake.output[0], snakemake.params.process)
