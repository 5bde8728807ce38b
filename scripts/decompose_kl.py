"""Split every KL into what no model can help, what the sampler costs, and what the network does."""

from pathlib import Path

import pandas as pd

from job import logged, whole

PARTS = ["floor_bits", "start_bits", "steps_bits", "network_bits"]


def main(metrics: str | Path, output: str | Path) -> None:
    """Write a row a (variant, dataset): means over the seeds, which sum to kl_bits.

    floor: fresh real points. steps: the exact denoiser from noisy real points, above the floor.
    start: from N(0, I) instead. network: the model instead of the exact denoiser.
    """
    runs = pd.read_csv(metrics, dtype={"variant": str, "dataset": str}, keep_default_na=False)
    mean = runs.groupby(["variant", "dataset"], sort=False)["kl_bits"].mean().unstack("dataset")
    rows = []
    for variant in mean.index.drop(["real", "exact_start", "exact"]):
        for dataset in mean.columns:
            kl = mean[dataset]
            rows.append(
                {
                    "variant": variant,
                    "dataset": dataset,
                    "floor_bits": kl["real"],
                    "start_bits": kl["exact"] - kl["exact_start"],
                    "steps_bits": kl["exact_start"] - kl["real"],
                    "network_bits": kl[variant] - kl["exact"],
                    "kl_bits": kl[variant],
                }
            )
    with whole(output) as part:
        pd.DataFrame(rows).to_csv(part, index=False, lineterminator="\n", float_format="%.6f")


if snakemake := globals().get("snakemake"):
    with logged(snakemake.log[0]):
        main(snakemake.input[0], snakemake.output[0])
