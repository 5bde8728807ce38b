"""Cost of drawing the random numbers on the CPU, and memory of sampling: benchmarks/drawing.csv.

    python benchmarks/drawing.py

CPU time of one thread; drawing and the work that it serves are measured in turns. The last row is
about memory: a denoiser that costs nothing, in a process of its own.
"""

import csv
import itertools
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmark import POINTS, make_trainer, settings_of
from dualscale.data.moments import Moments
from dualscale.diffusion.reverse_process import ReverseProcess
from dualscale.diffusion.schedules import Linear
from dualscale.runtime.devices import device_name, open_device

ROUNDS = 5
VARIANTS = ["baseline", "adaptive"]
TIMESTEPS, DIMENSIONS = 1000, 64
COLUMNS = ["work", "drawing_ms", "total_ms", "share", "rounds", "peak_mb", "device"]


def milliseconds(work):
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def exhaust(iterator):
    for _ in iterator:
        continue


def shared(work, drawing, whole, device, per=1):
    """A row: medians of drawing and of the work that includes it."""
    drawn, total = zip(
        *((milliseconds(drawing), milliseconds(whole)) for _ in range(ROUNDS)), strict=True
    )
    share = statistics.median(a / b for a, b in zip(drawn, total, strict=True))
    each = [f"{statistics.median(spent) / per:.4f}" for spent in (drawn, total)]
    return [work, *each, f"{share:.4f}", ROUNDS, "", device_name(device)]


def rows():
    device = open_device(0, 1)
    for variant in VARIANTS:
        steps = 100
        model, trainer = make_trainer(settings_of(variant), steps, device, torch.randn(100_000, 2))
        yield shared(
            f"training step of {variant}",
            lambda trainer=trainer: trainer._draw(0),
            lambda trainer=trainer: exhaust(trainer.run()),
            device,
            steps,
        )
        sampler = model.sampler(settings_of(variant).sampling, POINTS, ["0"])
        yield shared(
            f"{POINTS:,} samples of {variant}",
            lambda sampler=sampler: exhaust(sampler._draw_noise(slice(0, POINTS))),
            sampler.draw,
            device,
        )
    command = [sys.executable, __file__, "--memory"]
    yield subprocess.run(command, check=True, capture_output=True, text=True).stdout.split(";")


def memory():
    """Draw once from many timesteps in many dimensions."""
    device = open_device(0, 1)
    identity = np.eye(DIMENSIONS)
    parts = Linear(timesteps=TIMESTEPS).levels(), Moments(identity[0] * 0, identity)
    sampling = settings_of("baseline").sampling
    sampler = ReverseProcess(lambda x, t: 0.5 * x, *parts, sampling, POINTS, ["0"], device)
    spent = milliseconds(sampler.draw)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    name = f"{POINTS:,} samples, {TIMESTEPS} timesteps, {DIMENSIONS} dimensions, no network"
    print(name, "", f"{spent:.0f}", "", 1, f"{peak:.0f}", device_name(device), sep=";", end="")


def main():
    with (Path(__file__).parent / "drawing.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for row in itertools.chain([COLUMNS], rows()):
            print(*row, sep="; ")
            writer.writerow(row)


if __name__ == "__main__":
    memory() if "--memory" in sys.argv else main()
