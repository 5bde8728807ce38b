"""Evaluate ways of sampling on trained models of the recommended recipe, in few evaluations.

    snakemake --configfile workflow/protocols/samplers.yaml --cores 4 --resources gpu=1
    python benchmarks/samplers.py

writes docs/recommended/samplers.csv, one row per (way, dataset, seed). The ways were chosen on
seeds 100 to 102, by the KL, the share off the support and the width of the blobs together.
"""

import argparse
import csv
import sys
from itertools import product
from pathlib import Path

import numpy as np
import scipy
import torch

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME / "scripts"))

from dualscale.data.discs import Discs
from dualscale.data.distributions import Array, Distribution, GaussianMixture
from dualscale.data.sources import distribution_of
from dualscale.diffusion.drawing import Sampling
from dualscale.metrics.distances import METRICS
from dualscale.metrics.kl import Reference
from dualscale.metrics.metric import Samples, measured
from dualscale.model import load_model
from dualscale.runtime.files import atomic_write

VARIANT, DATASETS = "recommended", ("circle", "dino", "line", "moons")
METRIC_KINDS = [{"kind": "off_support"}, {"kind": "coverage"}, {"kind": "classifier"}]
COMPONENTS = 200  # at most: curves are mixtures too, of Gaussians that overlap


def geometric(steps: int, eta: float, highest: float, lowest: float) -> dict:
    """Return the settings of SDE-DPM-Solver++ on log-spaced levels."""
    return {
        "sampler": {"kind": "sde_dpm_solver", "eta": eta},
        "spacing": {"kind": "geometric", "sigma_max": highest, "sigma_min": lowest},
        "steps": steps,
    }


WAYS = {
    "ancestral": {},
    "10 evaluations": geometric(10, 1.5, 1.5, 0.01),
    "20 evaluations": geometric(20, 1.5, 3.0, 0.007),
    "50 evaluations": geometric(50, 2.0, 10.0, 0.006),
}


def width(points: Array, distribution: Distribution) -> float | None:
    """Return the standard deviation within blobs; None where there are none.

    Points farther from every blob than five of its standard deviations, or 1.8 of its radii, are
    left out.
    """
    if isinstance(distribution, GaussianMixture) and len(distribution.means) <= COMPONENTS:
        centres, reach = distribution.means, 5 * distribution.width.max()
    elif isinstance(distribution, Discs):
        centres, reach = distribution.centres, 1.8 * distribution.radius
    else:
        return None
    distances, nearest = scipy.spatial.cKDTree(centres).query(points)
    return float((points - centres[nearest])[distances < reach].std())


def main(results: Path, seeds: list[int], output: Path) -> None:
    """Draw 10,000 points in every way from every model, and measure them."""
    torch.set_num_threads(1)
    metrics = METRICS.validate_python(METRIC_KINDS)
    rows = []
    for dataset in DATASETS:
        real = np.load(results / f"datasets/{dataset}.npy", allow_pickle=False)
        reference = Reference.of(real, [5])
        known = distribution_of({"distribution": {"kind": dataset}})
        assert known is not None
        distribution = known.build()
        real_width = width(real[:10_000].astype(np.float64), distribution)
        for seed, (way, given) in product(seeds, WAYS.items()):
            model = load_model(results / f"models/{VARIANT}/{dataset}/{seed}.safetensors")
            drawing = Sampling.model_validate({"prior": {"kind": "moment_matched"}} | given)
            sampler = model.sampler(drawing, drawing.points, [f"{seed}/{dataset}"])
            points = sampler.draw()[0].astype(np.float64)
            row = {"way": way, "dataset": dataset, "seed": seed}
            row["evaluations"] = drawing.evaluations(model.levels)
            row["kl_bits"] = reference.kl(points)
            row |= measured(Samples(reference, points, distribution, seed), metrics)
            own_width = width(points, distribution)
            row["width_ratio"] = None if own_width is None else own_width / real_width
            rows.append({name: short(value) for name, value in row.items()})
            print(*rows[-1].values(), flush=True)
    with atomic_write(output, checksum=False) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def short(value: object) -> object:
    """Return six digits of a float, anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HOME / "results")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8, 16)))
    parser.add_argument("--output", type=Path, default=HOME / "docs/recommended/samplers.csv")
    options = parser.parse_args()
    main(options.results, options.seeds, options.output)
