"""Benchmark the project against a plain PyTorch loop and this machine's matrix-product rate.

    python benchmarks/benchmark.py             # one core; writes benchmarks/cpu.csv
    python benchmarks/benchmark.py --cuda      # the first GPU; writes benchmarks/cuda.csv
    python benchmarks/benchmark.py --profile   # time of a training step by kind of operation

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
from pathlib import Path

import torch
import yaml
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "benchmarks")]

from dualscale.config.check import check
from dualscale.config.tree import BranchesVariant
from dualscale.data.moments import moments_of
from dualscale.model import Model
from dualscale.runtime.devices import device_name, open_device, wait_for
from dualscale.training.trainer import Trainer
from plain import make_model
from plain import sample as plain_sample
from plain import train as plain_train

POINTS = 10_000
VARIANTS = ["baseline", "fixed", "adaptive", "improved"]
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
    "plain_peak_mb",
    "peak_mb",
    "ceiling_gflop_a_second",
    "rounds",
    "device",
]


CONFIG = check(yaml.safe_load((ROOT / "config.yaml").read_text()))


def settings_of(variant):
    return BranchesVariant.model_validate(CONFIG["variants"][variant])


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


def measure(path, variant, threads, cuda):
    """Milliseconds per training step, seconds of sampling and peak memory of this process."""
    data = torch.randn(100_000, 2)
    if path == "plain":
        torch.set_num_threads(threads)
        device = torch.device("cuda" if cuda else "cpu")
        model = make_model(variant).to(device)
        plain_train(model, data, 20, device)
        steps = 300
        start = time.perf_counter()
        plain_train(model, data, steps, device)
        wait_for(device)
        seconds = time.perf_counter() - start
        plain_sample(model, 1000, device)
        wait_for(device)
        start = time.perf_counter()
        plain_sample(model, POINTS, device)
    else:
        device = open_device(int(cuda), threads)
        steps = 2000 if cuda else 300
        model, trainer = make_trainer(variant, steps, device, data)
        start = time.perf_counter()
        for _ in trainer.run():
            continue
        wait_for(device)
        seconds = time.perf_counter() - start
        sampler = model.sampler(settings_of(variant).sampling, POINTS, ["0"])
        sampler.warm_up()
        wait_for(device)
        start = time.perf_counter()
        sampler.draw()
    wait_for(device)
    sampling = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": 1000 * seconds / steps, "sampling": sampling, "peak_mb": peak}


def ceiling(cuda):
    """GFLOP/s of the network's own product, (256, 256) by (256, 256), batched on a GPU."""
    device = open_device(int(cuda), 1)
    count = 64 if cuda else 1
    a, b = torch.randn(2, count, 256, 256, device=device)
    out = torch.empty_like(a)
    rates = []
    for _ in range(30):
        wait_for(device)
        start = time.perf_counter()
        for _ in range(20):
            torch.bmm(a, b, out=out)
        wait_for(device)
        rates.append(20 * count * 2 * 256**3 / (time.perf_counter() - start) / 1e9)
    return {"rate": statistics.median(rates), "device": device_name(device)}


def make_trainer(variant, steps, device, data):
    settings = settings_of(variant)
    model = Model(settings, moments_of(data), device=device)
    model.backbone.initialise(["0"])
    training = settings.training.model_copy(update={"steps": steps})
    trainer = Trainer(model, data.to(device), training, ["0"])
    trainer.warm_up()
    wait_for(device)
    return model, trainer


def profile(cuda):
    """Milliseconds per step by kind of operation; "between": Python, autograd and dispatch."""
    device, steps = open_device(int(cuda), 1), 300
    for variant in VARIANTS:
        _, trainer = make_trainer(variant, steps, device, torch.randn(100_000, 2))
        with torch.profiler.profile() as profiler:
            start = time.perf_counter()
            for _ in trainer.run():
                continue
            wait_for(device)
            total = time.perf_counter() - start
        spent = dict.fromkeys(KINDS, 0.0)
        for event in profiler.key_averages():
            kind = next((k for k, names in KINDS.items() if event.key in names), None)
            if kind is None and event.key.startswith("aten::"):
                kind = "other"
            if kind is not None:
                spent[kind] += event.self_cpu_time_total / 1e6
        row = [*spent.values(), total - sum(spent.values())]
        yield [variant, *(f"{1000 * seconds / steps:.2f}" for seconds in row)]


def work(what, *job, cuda):
    """Run one measurement in a worker process and return its figures."""
    if what == "ceiling":
        return ceiling(cuda)
    variant, threads = job
    return measure(what, variant, int(threads), cuda)


def in_own_process(*arguments):
    command = [sys.executable, __file__, "--worker", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def benchmark(cuda, rounds):
    flag = ["--cuda"] if cuda else []
    seen = {}
    for _ in range(rounds):
        jobs = [(path, v, "1") for v in VARIANTS for path in ("plain", "dualscale")]
        for job in [("ceiling",), *jobs]:
            seen.setdefault(job, []).append(in_own_process(*job, *flag))

    def median(job, key):
        return statistics.median(record[key] for record in seen[job])

    rate = median(("ceiling",), "rate")
    for variant in VARIANTS:
        plain, ours = ("plain", variant, "1"), ("dualscale", variant, "1")
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
            "plain_peak_mb": median(plain, "peak_mb"),
            "peak_mb": median(ours, "peak_mb"),
            "ceiling_gflop_a_second": rate,
            "rounds": rounds,
            "device": seen["ceiling",][0]["device"],
        }
        yield {key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuda", action="store_true", help="measure the first GPU")
    parser.add_argument("--profile", action="store_true", help="print where a step's time goes")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is kept")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(*options.worker, cuda=options.cuda)))
        return
    if options.profile:
        print(tabulate(profile(options.cuda), ["variant", *KINDS, "between"], "pipe"))
        return
    rows = list(benchmark(options.cuda, options.rounds))
    path = ROOT / "benchmarks" / ("cuda.csv" if options.cuda else "cpu.csv")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(tabulate([row.values() for row in rows], COLUMNS, "pipe"))


if __name__ == "__main__":
    main()
