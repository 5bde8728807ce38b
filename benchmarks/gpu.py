"""Test and measure the CUDA path on the first GPU, in less than nine minutes: benchmarks/gpu.csv.

    python benchmarks/gpu.py                              # the same as make gpu
    python benchmarks/gpu.py --device cpu --steps 20 --points 100    # every part; no file

PyTorch, NumPy, SciPy, safetensors, pydantic and pytest suffice; the workflow runs where Snakemake
is installed. Every part has a process of its own, and rows are written as they are measured. What
the time does not suffice for is reported as skipped.
"""

import argparse
import csv
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from benchmark import ROOT, make_trainer, seconds_of
from dualscale.config.variants import BranchesVariant, OwnVariant
from dualscale.data.datasets import Circle
from dualscale.metrics.kl import Reference
from dualscale.runtime.devices import device_name, open_device
from dualscale.settings import Precision
from plain import HIDDEN, make_model
from plain import sample as plain_sample
from plain import train as plain_train

NO_TIME, FAILED = "skipped: no time left", "failed: "
GRACE = 10.0  # seconds after the end of the time until a part is ended from outside
COLUMNS = [
    "what",
    "variant",
    "precision",
    "seeds",
    "count",
    "seconds",
    "loss",
    "kl_bits",
    "peak_mb",
    "note",
    "device",
    "date",
]
PRECISIONS = get_args(Precision)
BOTH = {"global": {}, "local": {"upscaled_dimensions": 4}}
RECIPE = {
    "schedule": {"kind": "geometric", "timesteps": 100, "sigma_min": 0.002, "sigma_max": 10.0},
    "prediction": "edm",
    "network": {"highest_frequency": 500.0, "lowest_frequency": 0.5, "damped": True},
    "training": {
        "learning_rate": 1e-3,
        "loss": {"kind": "log_normal", "mean": -2.5, "std": 2.0},
        "antithetic_fraction": 0.25,
        "target": "stable",
    },
    "sampling": {
        "prior": "moment_matched",
        "sampler": {"kind": "sde_dpm_solver", "eta": 2.0},
        "spacing": {"kind": "geometric", "sigma_min": 0.004},
        "steps": 50,
    },
}
# As in config.yaml, which takes PyYAML to read.
VARIANTS = {
    "baseline": {"branches": {"global": {}}, "weighting": {"kind": "none"}},
    "fixed": {
        "branches": BOTH,
        "weighting": {"kind": "fixed", "weights": {"global": 0.5, "local": 0.5}},
    },
    "adaptive": {"branches": BOTH, "weighting": {"kind": "learned", "hidden": [256]}},
    "improved": {"branches": BOTH, "weighting": {"kind": "learned", "hidden": [256, 128]}},
    "recommended": {"branches": {"global": {}}, "weighting": {"kind": "none"}, **RECIPE},
    "recommended_dual": {
        "branches": BOTH,
        "weighting": {"kind": "learned", "hidden": [256]},
        **RECIPE,
    },
    "own": {
        "architecture": {
            "file": str(ROOT / "examples/fourier_network.py"),
            "class": "FourierNetwork",
        }
    },
}


def settings_of(variant, precision):
    given = {"label": variant, "precision": precision, **VARIANTS[variant]}
    return (OwnVariant if "architecture" in given else BranchesVariant).model_validate(given)


class OutOfTimeError(Exception):
    """The time left does not suffice for a measurement."""


class Remarks(logging.Handler):
    """Logged remarks on work that is not captured as a graph."""

    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        if (text := record.getMessage()).startswith("not captured"):
            self.said.append(text)


def report(what, **found):
    """Print a row, as JSON for the process that collects them."""
    print(json.dumps({"what": what, **found}), flush=True)


class Bench:
    """Device and data of one part, which measures until the time is over."""

    def __init__(self, options):
        self.end, self.steps, self.points = options.end, options.steps, options.points
        self.device = open_device(int(options.device == "cuda"), 1)
        logging.getLogger().setLevel(logging.INFO)
        real = Circle().build().sample(10 * self.points, np.random.default_rng(0))
        self.data, self.reference = torch.from_numpy(real).float(), Reference.of(real, [5])

    def measure(self, what, about, work, *arguments):
        """Report what the work finds, and return what it makes; None where it fails."""
        found, made, remarks, cuda = {}, None, Remarks(), self.device.type == "cuda"
        logging.getLogger().addHandler(remarks)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        try:
            found, made = work(*arguments)
            found["note"] = "; ".join(remarks.said)
        except OutOfTimeError:
            found["note"] = NO_TIME
        except Exception as error:
            found["note"] = f"{FAILED}{' '.join(repr(error).split())}"
        logging.getLogger().removeHandler(remarks)
        if cuda:
            found["peak_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
        report(what, **about, **found)
        return made

    def train(self, variant, precision, seeds):
        """Train a stack; return its columns, and the model with its EMA weights."""
        settings = settings_of(variant, precision)
        streams = [str(seed) for seed in range(seeds)]
        model, trainer = make_trainer(settings, self.steps, self.device, self.data, streams)
        losses = []

        def run():
            for progress in trainer.run():
                if time.time() > self.end:
                    raise OutOfTimeError
                losses.append(progress.losses)

        spent = seconds_of(run, self.device)
        with torch.no_grad():
            model.backbone.flat.copy_(trainer.ema)
        loss = losses[-1].mean().item()
        return {"count": self.steps, "seconds": spent, "loss": loss}, model

    def sample(self, model):
        sampler = model.sampler(model.settings.sampling, self.points, ["0"])
        sampler.warm_up()
        spent = seconds_of(sampler.draw, self.device)
        bits = self.reference.kl(sampler.draw()[0])
        return {"count": self.points, "seconds": spent, "kl_bits": bits}, None

    def train_plainly(self, variant):
        torch.manual_seed(0)
        model, few, made = make_model(variant).to(self.device), min(50, self.steps), []

        def run(steps):
            made.append(plain_train(model, self.data, steps, self.device))

        run(few)
        if time.time() + seconds_of(lambda: run(few), self.device) * self.steps / few > self.end:
            raise OutOfTimeError
        spent = seconds_of(lambda: run(self.steps), self.device)
        return {"count": self.steps, "seconds": spent}, made[-1]

    def sample_plainly(self, model):
        made = []

        def run():
            made.append(plain_sample(model, self.points, self.device))

        run()
        spent = seconds_of(run, self.device)
        bits = self.reference.kl(made[-1].cpu().numpy())
        return {"count": self.points, "seconds": spent, "kl_bits": bits}, None


def measure_one(options):
    """Training of one model and its sample, beside the plain loop's where it has the variant."""
    bench, variant = Bench(options), options.name
    for precision in PRECISIONS:
        about = {"variant": variant, "precision": precision, "seeds": 1}
        model = bench.measure("training", about, bench.train, *about.values())
        if model:
            bench.measure("sampling", about, bench.sample, model)
        if variant in ("baseline", *HIDDEN):
            with torch.autocast(options.device, torch.bfloat16, enabled=precision == "bfloat16"):
                model = bench.measure("plain training", about, bench.train_plainly, variant)
                if model:
                    bench.measure("plain sampling", about, bench.sample_plainly, model)


def measure_stacks(options):
    """Training of several seeds as one stack."""
    bench, variant = Bench(options), options.name
    for seeds in options.seeds:
        for precision in PRECISIONS:
            about = {"variant": variant, "precision": precision, "seeds": seeds}
            bench.measure("training", about, bench.train, *about.values())


def run_tests(options):
    """The tests of tests/test_cuda.py."""
    command = [sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider"]
    start = time.time()
    done = subprocess.run(
        [*command, "tests/test_cuda.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr, file=sys.stderr)
    *_, last = done.stdout.strip().splitlines() or [done.stderr.strip()]
    note = last if done.returncode == 0 else f"{FAILED}{last}"
    report("tests", seconds=time.time() - start, note=note)


def run_workflow(options):
    """A small run of the workflow, from the dataset to the KL."""
    if find_spec("snakemake") is None:
        return report("workflow", note="skipped: Snakemake is not installed")
    from workflow import copy_project

    config = {
        "run": {
            "variants": ["adaptive"],
            "datasets": ["circle"],
            "seeds": [0, 1],
            "seeds_per_job": 2,
        },
        "device": options.device,
        "datasets": {"circle": {"points": 10 * options.points}},
        "training": {"steps": options.steps},
        "sampling": {"points": options.points},
    }
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--resources", "gpu=1"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder)
        (folder / "small.json").write_text(json.dumps(config))
        start = time.time()
        done = subprocess.run(
            [*command, "--configfile", "small.json", "--", "results/metrics.csv"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        spent = time.time() - start
        if done.returncode:
            print(done.stdout, done.stderr, file=sys.stderr)
            return report("workflow", note=f"{FAILED}Snakemake ended with {done.returncode}")
        with (folder / "results/metrics.csv").open(newline="") as file:
            bits = [float(row["kl_bits"]) for row in csv.DictReader(file)]
    about = {"variant": "adaptive", "precision": "float32", "seeds": len(bits)}
    report("workflow", **about, count=options.steps, seconds=spent, kl_bits=sum(bits) / len(bits))


PARTS = {
    "tests": run_tests,
    "models": measure_one,
    "workflow": run_workflow,
    "stacks": measure_stacks,
}


def rows_of(part, name, options):
    """Rows of a part, in a process of its own, for at most a third of the time."""
    end = min(options.end, time.time() + 60 * options.minutes / 3)
    own = ["--part", part, "--name", name, "--end", str(end)]
    command = [sys.executable, __file__, *sys.argv[1:], *own]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def stop():
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(end + GRACE - time.time(), stop)
    timer.start()
    try:
        for line in process.stdout:
            yield json.loads(line)
        if process.wait():
            late = time.time() > end
            said = NO_TIME if late else f"{FAILED}exit code {process.returncode}"
            yield {"what": part, "variant": name, "note": said}
    finally:
        timer.cancel()
        if process.poll() is None:
            stop()


def name_of(device):
    """Name of the device, asked in another process: this one takes no memory of the GPU."""
    if device == "cpu":
        return device_name(torch.device("cpu"))
    command = [sys.executable, "-c", "import torch; print(torch.cuda.get_device_name())"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--steps", type=int, default=10_000, help="of every training")
    parser.add_argument("--points", type=int, default=10_000, help="of every sample")
    parser.add_argument("--seeds", type=int, nargs="+", default=[8, 64], help="in a stack")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--minutes", type=float, default=8.5, help="after which it ends")
    parser.add_argument("--table", type=Path, help="file of the rows; on a GPU gpu.csv")
    for own in ("--part", "--name", "--end"):
        parser.add_argument(own, type=float if own == "--end" else str, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    if options.part:
        return PARTS[options.part](options)
    cuda = options.device == "cuda"
    if cuda and not torch.cuda.is_available():
        sys.exit("gpu: PyTorch sees no GPU here; try every part with --device cpu --steps 20")
    device = name_of(options.device)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the part too
    options.end = time.time() + 60 * options.minutes
    path = options.table or Path(ROOT / "benchmarks/gpu.csv" if cuda else os.devnull)
    failed = False
    parts = [("tests", ""), *(("models", name) for name in options.variants), ("workflow", "")]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for part, name in [*parts, *(("stacks", name) for name in options.variants)]:
            if time.time() > options.end:
                rows = [{"what": part, "variant": name, "note": NO_TIME}]
            else:
                rows = rows_of(part, name, options)
            for row in rows:
                row |= {"device": device, "date": time.strftime("%Y-%m-%d")}
                writer.writerow(row)
                file.flush()
                print(*(f"{key}={value}" for key, value in row.items()), flush=True)
                failed |= row.get("note", "").startswith(FAILED)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
