"""Measure what training and sampling cost in every system with a network: benchmarks/systems.csv.

CPU time of one thread, with the systems in turns, so that other work on the machine matters little;
the ratios are medians over the rounds, each to the baseline of the same round. How many layers an
early exit or an equilibrium takes to sample depends on what it has learnt, so that is left out.
"""

import argparse
import statistics
import time

import torch
from pydantic import TypeAdapter

from benchmark import ROOT, make_trainer, write
from dualscale.config.check import check_files
from dualscale.config.variants import AnyVariant
from dualscale.runtime.devices import open_device

STEPS, POINTS = 100, 2000
ADAPTIVE = {"early_exit", "mdeq"}
COLUMNS = ["variant", "rounds", "ms_a_step", "training_ratio", "us_a_point", "sampling_ratio"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of which the median is kept")
    rounds = parser.parse_args().rounds
    open_device(0, 1)  # as a job does
    jobs = {name: [*work(name, settings)] for name, settings in systems().items()}
    seen = {name: ([], []) for name in jobs}
    for _ in range(rounds):
        for name, both in jobs.items():
            for job, kept in zip(both, seen[name], strict=True):
                kept.append(cpu_ms(job))
    write("systems.csv", COLUMNS, [row(name, seen[name], seen["baseline"]) for name in seen])


def systems():
    """Settings of every variant of the protocol that has a network."""
    config = check_files([ROOT / "workflow/protocols/systems.yaml"])
    given = {name: config["variants"][name] for name in config["run"]["variants"]}
    read = TypeAdapter(AnyVariant).validate_python
    return {name: read(kept) for name, kept in given.items() if "classical" not in kept}


def work(name, settings):
    """Yield functions that train for some steps and that draw a sample."""
    data, device = torch.randn(100_000, 2), torch.device("cpu")
    model, trainer = make_trainer(settings, STEPS, device, data)
    sampler = model.sampler(settings.sampling, POINTS, [name])
    sampler.warm_up()
    yield lambda: [*trainer.run()]
    yield sampler.draw


def cpu_ms(job):
    start = time.process_time()
    job()
    return 1000 * (time.process_time() - start)


def row(name, own, base):
    medians = [statistics.median(times) for times in own]
    ratios = [
        statistics.median(a / b for a, b in zip(*pair, strict=True))
        for pair in zip(own, base, strict=True)
    ]
    training, sampling = medians
    drawing = [f"{1000 * sampling / POINTS:.1f}", f"{ratios[1]:.3f}"]
    cells = ["", ""] if name in ADAPTIVE else drawing
    return [name, len(own[0]), f"{training / STEPS:.4f}", f"{ratios[0]:.3f}", *cells]


if __name__ == "__main__":
    main()
