"""Time of the two exact searches of nearest neighbours, in the Chebyshev norm, against dimensions.

    python benchmarks/neighbours.py     # one core; writes benchmarks/neighbours.csv

How much of a k-d tree is searched depends on the data: a normal cloud fills all dimensions, a
mixture of ten Gaussians has clusters, and a noisy surface has six dimensions whatever surrounds it.
Every figure is the median of three rounds over the same 50 points.
"""

import csv
import statistics
import time

import numpy as np
from scipy.spatial import cKDTree
from tabulate import tabulate

from benchmark import ROOT
from dualscale.data.datasets import Gaussians
from dualscale.metrics.divergence import kth_of_every_pair
from dualscale.runtime.devices import device_name, open_device

POINTS, SEARCHED, K, ROUNDS = 200_000, 50, 6, 3
DIMENSIONS = [2, 8, 16, 24, 32, 64]
COLUMNS = ["data", "dimensions", "tree_ms", "every_pair_ms", "device"]


def normal(dimensions, rng):
    return rng.normal(size=(POINTS, dimensions))


def gaussians(dimensions, rng):
    return Gaussians(dimensions=dimensions).build().sample(POINTS, rng)


def surface(dimensions, rng):
    turned = rng.normal(size=(POINTS, 6)) @ rng.normal(size=(6, dimensions))
    return np.tanh(turned / 2) + 0.1 * rng.normal(size=(POINTS, dimensions))


def milliseconds(search):
    """Median time of a point's search."""
    seen = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = search()
        seen.append(1000 * (time.perf_counter() - start) / SEARCHED)
    return statistics.median(seen), found


def measure(data, dimensions):
    points = data(dimensions, np.random.default_rng(0))
    tree, some = cKDTree(points), points[:SEARCHED]
    by_tree, first = milliseconds(lambda: tree.query(some, [K], p=np.inf)[0])
    by_pairs, second = milliseconds(lambda: kth_of_every_pair(some, points, [K]))
    assert (first == second).all()
    return {
        "data": data.__name__,
        "dimensions": dimensions,
        "tree_ms": f"{by_tree:.3g}",
        "every_pair_ms": f"{by_pairs:.3g}",
        "device": device_name(open_device(0, 1)),
    }


def main():
    rows = [measure(data, d) for data in (normal, gaussians, surface) for d in DIMENSIONS]
    with (ROOT / "benchmarks/neighbours.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(tabulate([[row[column] for column in COLUMNS] for row in rows], COLUMNS, "pipe"))


if __name__ == "__main__":
    main()
