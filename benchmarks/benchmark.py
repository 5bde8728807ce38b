"""Benchmark the project against a plain PyTorch loop and this machine's matrix-product rate.

    python benchmarks/benchmark.py             # one core; writes benchmarks/cpu.csv
    python benchmarks/benchmark.py --profile   # a training step by operation; writes profile.csv

Every measurement runs in its own process, plain loop and project in turn, and the median over the
rounds is reported: on a shared machine only figures of one run are comparable.
"""

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "benchmarks")]

from dualscale.config.check import check
from dualscale.config.variants import BranchesVariant
from dualscale.data.moments import moments_of
from dualscale.model import Model
from dualscale.runtime.devices import device_name, open_device, wait_for
from dualscale.training.trainer import Trainer
from plain import make_model
from plain import sample as plain_sample
from plain import train as plain_train

POINTS = 10_000
VARIANTS = ["baseline", "fixed", "adaptive", "improved"]
PATHS = ("plain", "float32", "bfloat16")
"""The plain loop, and the project in either precision."""
KINDS = {
    "products": {"aten::bmm", "aten::baddbmm", "aten::baddbmm_", "aten::addmv_"},
    "sin, cos": {"aten::sin", "aten::cos"},
    "Adam": {"aten::_fused_adam_"},
    "other": set(),
}
COLUMNS = [
    "variant",
    "plain_ms_a_step",
    "ms_a_step",
    "training_ratio",
    "training_share_of_ceiling",
    "plain_sampling_seconds",
    "sampling_seconds",
    "sampling_ratio",
    "sampling_share_of_ceiling",
    "bfloat16_ms_a_step",
    "bfloat16_training_ratio",
    "bfloat16_sampling_seconds",
    "bfloat16_sampling_ratio",
    "plain_peak_mb",
    "peak_mb",
    "ceiling_gflop_a_second",
    "rounds",
    "device",
]


@cache
def variants():
    """Settings of every variant in the configuration."""
    import yaml  # here, since gpu.py runs where it is missing

    return check(yaml.safe_load((ROOT / "config.yaml").read_text()))["variants"]


def settings_of(variant):
    return BranchesVariant.model_validate(variants()[variant])


def flops(variant):
    """Floating-point operations of the matrix products in a training step and in sampling.

    A product of (n, i) and (i, o) takes 2 n i o operations; its backward pass takes as many for the
    weight, and as many for the input if an earlier layer learns. The time's part of the first layer
    is computed for at most T timesteps, and for one in sampling.
    """
    settings = settings_of(variant)
    width, embedding = settings.network.width, settings.network.embedding
    batch, layers = settings.training.batch_size, settings.network.hidden_layers
    timesteps = settings.schedule.timesteps
    step = one_point = 0
    for branch in settings.branches.values():
        up = branch.upscaled_dimensions
        first = (up or 2) * embedding * width
        rest = layers * width**2 + 2 * width
        step += 2 * batch * ((3 if up else 2) * first + 3 * rest)
        step += 2 * 2 * timesteps * embedding * width
        one_point += 2 * (first + rest)
    return step, one_point * timesteps * POINTS


def seconds_of(work, device):
    """Wall time of the work, waiting for the device before and after it."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def measure(path, variant, threads):
    """Milliseconds per training step, seconds of sampling and peak memory of this process."""
    data, steps = torch.randn(100_000, 2), 300
    if path == "plain":
        torch.set_num_threads(threads)
        device, model = torch.device("cpu"), make_model(variant)
        plain_train(model, data, 20, device)
        training = seconds_of(lambda: plain_train(model, data, steps, device), device)
        plain_sample(model, 1000, device)
        sampling = seconds_of(lambda: plain_sample(model, POINTS, device), device)
    else:
        device = open_device(0, threads)
        settings = settings_of(variant).model_copy(update={"precision": path})
        model, trainer = make_trainer(settings, steps, device, data)
        training = seconds_of(lambda: list(trainer.run()), device)
        sampler = model.sampler(settings.sampling, POINTS, ["0"])
        sampler.warm_up()
        sampling = seconds_of(sampler.draw, device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": 1000 * training / steps, "sampling": sampling, "peak_mb": peak}


def ceiling():
    """GFLOP/s of the network's own product, (256, 256) by (256, 256)."""
    device = open_device(0, 1)
    a, b = torch.randn(2, 1, 256, 256)
    out = torch.empty_like(a)
    rates = []
    for _ in range(30):
        spent = seconds_of(lambda: [torch.bmm(a, b, out=out) for _ in range(20)], device)
        rates.append(20 * 2 * 256**3 / spent / 1e9)
    return {"rate": statistics.median(rates), "device": device_name(device)}


def make_trainer(settings, steps, device, data, streams=("0",)):
    """Model of a variant's settings and its trainer, warmed up."""
    model = Model(settings, moments_of(data), len(streams), device)
    model.backbone.initialise(streams)
    training = settings.training.model_copy(update={"steps": steps})
    trainer = Trainer(model, data.to(device), training, streams)
    trainer.warm_up()
    return model, trainer


def profile():
    """Milliseconds per step by kind of operation, and as the whole.

    "between" is Python and dispatch; "at_ceiling", the time of the products alone at the rate of
    the ceiling.
    """
    rate, device, steps = ceiling()["rate"], open_device(0, 1), 300
    for variant in VARIANTS:
        _, trainer = make_trainer(settings_of(variant), steps, device, torch.randn(100_000, 2))
        with torch.profiler.profile() as profiler:
            total = seconds_of(lambda trainer=trainer: list(trainer.run()), device)
        spent = dict.fromkeys(KINDS, 0.0)
        for event in profiler.key_averages():
            kind = next((k for k, names in KINDS.items() if event.key in names), None)
            if kind is None and event.key.startswith("aten::"):
                kind = "other"
            if kind is not None:
                spent[kind] += event.self_cpu_time_total / 1e6
        seconds = [*spent.values(), total - sum(spent.values()), total]
        yield [variant, *(f"{1000 * s / steps:.2f}" for s in seconds), at_ceiling(variant, rate)]


def at_ceiling(variant, rate):
    """Milliseconds of a step's products at GFLOP/s of the ceiling."""
    return f"{flops(variant)[0] / rate / 1e6:.2f}"


def work(what, *job):
    """Run one measurement in a worker process and return its figures."""
    if what == "ceiling":
        return ceiling()
    variant, threads = job
    return measure(what, variant, int(threads))


def in_own_process(*arguments):
    command = [sys.executable, __file__, "--worker", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def benchmark(rounds):
    seen = {}
    for _ in range(rounds):
        jobs = [(path, v, "1") for v in VARIANTS for path in PATHS]
        for job in [("ceiling",), *jobs]:
            seen.setdefault(job, []).append(in_own_process(*job))

    def median(job, key):
        return statistics.median(record[key] for record in seen[job])

    rate = median(("ceiling",), "rate")
    for variant in VARIANTS:
        plain, ours, bfloat16 = ((path, variant, "1") for path in PATHS)
        step, sampling = flops(variant)
        row = {
            "variant": variant,
            "plain_ms_a_step": median(plain, "ms"),
            "ms_a_step": median(ours, "ms"),
            "training_ratio": median(plain, "ms") / median(ours, "ms"),
            "training_share_of_ceiling": step / rate / 1e6 / median(ours, "ms"),
            "plain_sampling_seconds": median(plain, "sampling"),
            "sampling_seconds": median(ours, "sampling"),
            "sampling_ratio": median(plain, "sampling") / median(ours, "sampling"),
            "sampling_share_of_ceiling": sampling / rate / 1e9 / median(ours, "sampling"),
            "bfloat16_ms_a_step": median(bfloat16, "ms"),
            "bfloat16_training_ratio": median(ours, "ms") / median(bfloat16, "ms"),
            "bfloat16_sampling_seconds": median(bfloat16, "sampling"),
            "bfloat16_sampling_ratio": median(ours, "sampling") / median(bfloat16, "sampling"),
            "plain_peak_mb": median(plain, "peak_mb"),
            "peak_mb": median(ours, "peak_mb"),
            "ceiling_gflop_a_second": rate,
            "rounds": rounds,
            "device": seen["ceiling",][0]["device"],
        }
        yield {key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()}


def write(name, columns, rows):
    """Write a table beside this program, and print it."""
    from tabulate import tabulate  # here, since gpu.py runs where it is missing

    with (ROOT / "benchmarks" / name).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, *rows])
    print(tabulate(rows, columns, "pipe"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", action="store_true", help="where a step's time goes")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is kept")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(*options.worker)))
        return
    if options.profile:
        columns = ["variant", *KINDS, "between", "whole", "at_ceiling"]
        write("profile.csv", columns, list(profile()))
    else:
        rows = list(benchmark(options.rounds))
        write("cpu.csv", COLUMNS, [[row[column] for column in COLUMNS] for row in rows])


if __name__ == "__main__":
    main()
