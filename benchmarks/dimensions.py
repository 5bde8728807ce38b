"""Compare variants in more dimensions; by default, one and two branches of equal size in 2 to 16.

    python benchmarks/dimensions.py [--seeds 0 1 2] [--folder FOLDER]
    python benchmarks/dimensions.py --dimensions 16 32 64 --output docs/beyond/dimensions.csv \\
        --variants baseline first_order recommended_whitened mixture
    python benchmarks/dimensions.py --dimensions 32 --output docs/beyond/whitening.csv \\
        --variants first_order second_order whitening few_features recommended_whitened \\
        first_order.exact second_order.exact

The data are `gaussians`, ten Gaussians in d dimensions, 20,000 points. The adaptive model's local
branch sees 2 d upscaled dimensions, as the paper's sees four for points in the plane; `single` is
one branch just wide enough to have as many parameters; `mixture` is a Gaussian mixture by EM, its
number of components by BIC. From `first_order`, the recipe with the drawn target and 100 ancestral
steps, to `recommended_whitened`, each of `second_order`, `whitening` and `few_features` changes one
thing more. NAME.exact is the optimal denoiser, sampled as NAME. Results that exist in FOLDER are
kept. Writes one row per (variant, dataset, seed) with every metric and the number of parameters.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
DIMENSIONS = [2, 4, 8, 16]
VARIANTS = ["baseline", "dual", "single", "recommended"]
EMBEDDING, WIDTH, LAYERS, HIDDEN = 128, 256, 3, 256
KEYS = ["variant", "dataset", "seed"]


def branch_parameters(inputs: int, outputs: int, width: int) -> int:
    """Number of parameters of a branch with `inputs` coordinates, time embedding included."""
    first = (inputs + 1) * EMBEDDING * width + width
    return first + LAYERS * (width**2 + width) + (width + 1) * outputs


def dual_parameters(d: int) -> int:
    """Number of parameters of the adaptive model with a local branch of 2 d dimensions."""
    upscale = 2 * d * (d + 1)
    gate = (EMBEDDING + 1) * HIDDEN + (HIDDEN + 1) * 2
    branches = branch_parameters(d, d, WIDTH) + branch_parameters(2 * d, d, WIDTH)
    return branches + upscale + gate


def matched_width(d: int) -> int:
    """Width at which one branch comes closest to the adaptive model's number of parameters."""
    wanted = dual_parameters(d)
    return min(range(WIDTH, 4 * WIDTH), key=lambda w: abs(branch_parameters(d, d, w) - wanted))


def configuration(d: int, variants: list[str], seeds: list[int]) -> dict:
    """Overrides of config.yaml for d dimensions."""
    return {
        "variants": {
            "dual": {
                "label": "Adaptive weighting",
                "like": "adaptive",
                "branches": {"global": {}, "local": {"upscaled_dimensions": 2 * d}},
            },
            "single": {
                "label": "Baseline of the same size",
                "like": "baseline",
                "network": {"width": matched_width(d)},
            },
            "mixture": {"label": "Gaussian mixture", "classical": "gaussian_mixture"},
            "first_order": {
                "label": "Recommended, with the drawn target and a first-order sampler",
                "like": "recommended",
                "training": {"target": "drawn"},
                "sampling": {"sampler": "ancestral", "spacing": "trailing", "steps": None},
            },
            "second_order": {
                "label": "Second-order sampler",
                "like": "first_order",
                "sampling": {"sampler": {"kind": "sde_dpm_solver", "eta": 3.0}},
            },
            "whitening": {
                "label": "Whitened",
                "like": "second_order",
                "normalisation": "whitened",
            },
            "few_features": {
                "label": "Few features",
                "like": "whitening",
                "network": {"width": 288, "embedding": 8, "highest_frequency": 4.0},
            },
        },
        "datasets": {
            f"gaussians_{d}": {
                "distribution": {"kind": "gaussians", "dimensions": d},
                "points": 20_000,
            }
        },
        "run": {"variants": variants, "datasets": [f"gaussians_{d}"], "seeds": seeds},
    }


def run(d: int, variants: list[str], seeds: list[int], folder: Path, cores: int) -> pd.DataFrame:
    """Run the workflow in d dimensions and return one row per (variant, dataset, seed)."""
    folder.mkdir(parents=True, exist_ok=True)
    config, trained = folder / "config.yaml", [name for name in variants if "." not in name]
    config.write_text(yaml.safe_dump(configuration(d, trained, seeds)))
    targets = ["results/metrics.csv"] + [
        f"results/{kind}/{variant}/gaussians_{d}/{seed}.json"
        for kind in ("divergences", "distances")
        for variant in [*variants, "real"]
        for seed in seeds
    ]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    options = ["--directory", str(folder), "--configfile", str(config), "--cores", str(cores)]
    subprocess.run([*command, *options, "--resources", "gpu=1", "--", *targets], check=True)
    strings = {"variant": str, "dataset": str}
    metrics = pd.read_csv(folder / "results/metrics.csv", dtype=strings)
    records = [
        {"variant": variant, "dataset": f"gaussians_{d}", "seed": seed}
        | pd.read_json(
            folder / f"results/distances/{variant}/gaussians_{d}/{seed}.json", typ="series"
        ).to_dict()
        for variant in [*variants, "real"]
        for seed in seeds
    ]
    table = pd.DataFrame(records).drop(columns="settings_digest")
    table = table.merge(metrics, on=KEYS, how="left")
    return table.astype({"parameters": "Int64", "models_trained_together": "Int64"})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=DIMENSIONS)
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "results/dimensions")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/recommended/dimensions.csv")
    options = parser.parse_args()
    tables = []
    for d in options.dimensions:
        folder = options.folder.resolve() / str(d)
        tables.append(run(d, options.variants, options.seeds, folder, options.cores))
        table = pd.concat(tables)
        table.to_csv(options.output, index=False, lineterminator="\n", float_format="%.6g")


if __name__ == "__main__":
    main()
