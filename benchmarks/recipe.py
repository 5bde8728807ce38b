"""Measure training time of the recommended recipe and the baseline: benchmarks/recipe.csv."""

import csv
import statistics
import time
from pathlib import Path

import torch

from benchmark import make_trainer, settings_of

STEPS, ROUNDS = 1000, 21
VARIANTS = ["baseline", "recommended"]


def main():
    data, device = torch.randn(100_000, 2), torch.device("cpu")
    torch.set_num_threads(1)
    trainers = {name: make_trainer(settings_of(name), STEPS, device, data)[1] for name in VARIANTS}
    seconds = {name: [] for name in VARIANTS}
    for _ in range(ROUNDS):
        for name, trainer in trainers.items():
            start = time.perf_counter()
            for _ in trainer.run():
                continue
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["baseline"])
    pairs = zip(seconds["recommended"], seconds["baseline"], strict=True)
    with (Path(__file__).parent / "recipe.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["variant", "rounds", "ms_a_step", "ratio"])
        writer.writerow(["baseline", ROUNDS, f"{1000 * base / STEPS:.4f}", 1])
        median = statistics.median(seconds["recommended"])
        ratio = statistics.median(mine / theirs for mine, theirs in pairs)
        writer.writerow(["recommended", ROUNDS, f"{1000 * median / STEPS:.4f}", f"{ratio:.3f}"])


if __name__ == "__main__":
    main()
