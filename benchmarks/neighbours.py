"""Time of exact searches of nearest neighbours in the Chebyshev norm.

    python benchmarks/neighbours.py            # one core; writes benchmarks/neighbours.csv
    python benchmarks/neighbours.py --order    # one core; writes benchmarks/order.csv

Against dimensions, by a k-d tree and over every pair. With --order, by a k-d tree, with the points
in the order given or with close points one after another, the making of the trees included.

How much of a k-d tree is searched depends on the data: a normal cloud fills all dimensions, a
mixture of ten Gaussians has clusters, and a noisy surface has six dimensions whatever surrounds it.
Every figure is the median of three rounds, against dimensions over the same 50 points.
"""

import argparse
import csv
import statistics
import time

import numpy as np
from scipy.spatial import cKDTree
from tabulate import tabulate

from benchmark import ROOT
from dualscale.data.datasets import Circle, Dino, Gaussians, Line, Moons
from dualscale.metrics.kl import kth_distances, kth_of_every_pair
from dualscale.runtime.devices import device_name, open_device

POINTS, SEARCHED, K, ROUNDS = 200_000, 50, 6, 3
DIMENSIONS = [2, 8, 16, 24, 32, 64]
COLUMNS = ["data", "dimensions", "tree_ms", "every_pair_ms", "device"]
SIZES = [(100_000, 10_000), (1_000_000, 1_000_000)]
ORDER_COLUMNS = ["data", "points", "others", "given_seconds", "ordered_seconds", "device"]


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


def seconds(search):
    """Processor time of a search, and what it found."""
    start = time.process_time()
    found = search()
    return time.process_time() - start, found


def measure_order(distribution, points, others):
    """Time the searches in turns."""
    rng, given, ordered = np.random.default_rng(0), [], []
    first, second = (distribution().build().sample(n, rng) for n in (points, others))
    for _ in range(ROUNDS):
        took, expected = seconds(lambda: cKDTree(second).query(first, [K], p=np.inf)[0])
        given.append(took)
        took, found = seconds(lambda: kth_distances(first, second, [K]))
        ordered.append(took)
        assert (found == expected).all()
    return {
        "data": distribution.__name__.lower(),
        "points": points,
        "others": others,
        "given_seconds": f"{statistics.median(given):.3g}",
        "ordered_seconds": f"{statistics.median(ordered):.3g}",
        "device": device_name(open_device(0, 1)),
    }


def write(name, columns, rows):
    with (ROOT / f"benchmarks/{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(tabulate([[row[column] for column in columns] for row in rows], columns, "pipe"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--order", action="store_true", help="of the points; else dimensions")
    if parser.parse_args().order:
        data = (Circle, Dino, Line, Moons)
        rows = [measure_order(name, *size) for name in data for size in SIZES]
        write("order", ORDER_COLUMNS, rows)
    else:
        rows = [measure(data, d) for data in (normal, gaussians, surface) for d in DIMENSIONS]
        write("neighbours", COLUMNS, rows)


if __name__ == "__main__":
    main()
