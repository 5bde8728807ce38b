"""Measure how time and memory scale with seeds per job, points, width, dimensions and KL samples.

    python benchmarks/growth.py     # one core; writes benchmarks/growth.csv, growth.png, growth.svg
    python benchmarks/growth.py --curve "points for the KL"     # that curve alone
    python benchmarks/growth.py --curve "points in the dataset" --memory     # and its memory alone

Every figure is the median of several chunks of work in its own process.
"""

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from tabulate import tabulate

from benchmark import ROOT, settings_of
from dualscale.data.moments import moments_of
from dualscale.data.units import standard_units
from dualscale.metrics.kl import knn_kl
from dualscale.model import Model
from dualscale.reporting.figures import COLOURS, save_figure, use_style
from dualscale.runtime.devices import device_name, open_device
from dualscale.training.trainer import Trainer

SIZES = {
    "seeds in a job": [1, 2, 4, 8, 16, 32],
    "points in the dataset": [10**4, 10**5, 10**6, 10**7],
    "hidden width": [32, 64, 128, 256, 512, 1024],
    "dimensions": [1, 2, 4, 8, 16, 32],
    "points for the KL": [10**4, 10**5, 10**6],
}
TABLE = ROOT / "benchmarks/growth.csv"
COLUMNS = ["curve", "size", "milliseconds", "peak_mb", "device"]
STEPS, REPEATS = 20, 5


def milliseconds_a_step(seeds=1, points=100_000, width=256, dimensions=2):
    """Median milliseconds per training step of the adaptive model."""
    settings = settings_of("adaptive")
    network = settings.network.model_copy(update={"width": width})
    settings = settings.model_copy(update={"network": network})
    streams = [str(seed) for seed in range(seeds)]
    # As a training job prepares the points of a file, which it keeps for a checkpoint's digest.
    table = np.random.default_rng(0).standard_normal((points, dimensions), dtype=np.float32)
    units = standard_units(table)
    data = torch.from_numpy(units.into_model(table))
    training = settings.training.model_copy(update={"steps": STEPS})
    model = Model(settings, moments_of(data), seeds, units=units)
    model.backbone.initialise(streams)
    trainer = Trainer(model, data, training, streams)
    trainer.warm_up()
    seen = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in trainer.run():
            continue
        seen.append(1000 * (time.perf_counter() - start) / STEPS)
    return statistics.median(seen)


def milliseconds_of_kl(points):
    rng = np.random.default_rng(0)
    real, generated = rng.standard_normal((2, points, 2), dtype=np.float32)
    knn_kl(real[:100], generated[:100], k=5)  # imports SciPy's trees
    start = time.perf_counter()
    knn_kl(real, generated, k=5)
    return 1000 * (time.perf_counter() - start)


MEASURES = {
    "seeds in a job": lambda size: milliseconds_a_step(seeds=size),
    "points in the dataset": lambda size: milliseconds_a_step(points=size),
    "hidden width": lambda size: milliseconds_a_step(width=size),
    "dimensions": lambda size: milliseconds_a_step(dimensions=size),
    "points for the KL": milliseconds_of_kl,
}


def measure(curve, size):
    device = open_device(0, 1)
    milliseconds = MEASURES[curve](size)
    return {
        "milliseconds": round(milliseconds, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "device": device_name(device),
    }


def read_rows():
    numbers = {"size": int, "milliseconds": float, "peak_mb": int}
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: numbers.get(key, str)(row[key]) for key in COLUMNS} for row in rows]


def in_own_process(curve, size):
    command = [sys.executable, __file__, "--worker", curve, str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"curve": curve, "size": size, **json.loads(done.stdout)}


def plot(rows):
    """Plot time above and memory below; dotted lines show proportional growth."""
    use_style()
    figure, axes = plt.subplots(2, len(SIZES), figsize=(9.5, 4), sharex="col")
    quantities = {"milliseconds": "time (ms)", "peak_mb": "peak memory (MB)"}
    for (quantity, label), line in zip(quantities.items(), axes, strict=True):
        line[0].set_ylabel(label)
        for axis, curve in zip(line, SIZES, strict=True):
            sizes = [row["size"] for row in rows if row["curve"] == curve]
            values = [row[quantity] for row in rows if row["curve"] == curve]
            axis.semilogx(sizes, values, "o-", color=COLOURS[0], markersize=3)
            axis.minorticks_off()
            axis.set_ylim(0, 1.2 * max(values))
            if quantity == "milliseconds":
                axis.set_yscale("log")
                axis.set_ylim(min(values) / 3, 3 * max(values))
                straight = [values[-1] * size / sizes[-1] for size in sizes]
                axis.plot(sizes, straight, ":", color="grey", linewidth=0.8)
            else:
                axis.set_xlabel(curve)
    save_figure(figure, [ROOT / f"benchmarks/growth.{kind}" for kind in ("png", "svg")])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--curve", choices=SIZES, help="to measure alone; the others are kept")
    parser.add_argument("--memory", action="store_true", help="alone, as on a busy machine")
    options = parser.parse_args()
    if worker := options.worker:
        print(json.dumps(measure(worker[0], int(worker[1]))))
        return
    rows = {(row["curve"], row["size"]): row for row in read_rows()}
    for curve in [options.curve] if options.curve else SIZES:
        for size in SIZES[curve]:
            found = in_own_process(curve, size)
            row = rows.setdefault((curve, size), found)
            row.update({"peak_mb": found["peak_mb"]} if options.memory else found)
    rows = list(rows.values())
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    plot(rows)
    print(tabulate([[row[column] for column in COLUMNS] for row in rows], COLUMNS, "pipe"))


if __name__ == "__main__":
    main()
