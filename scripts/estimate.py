"""Estimate from some measured steps how long a run takes on this machine.

    python scripts/estimate.py --cores 2 --configfile workflow/protocols/study.yaml

Models that are in results/ are not counted.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import torch
import yaml
from pydantic import TypeAdapter

from dualscale.config.check import check_files
from dualscale.config.jobs import has_network
from dualscale.config.variants import AnyVariant, VariantSettings
from dualscale.data.moments import moments_of
from dualscale.model import Model
from dualscale.runtime.devices import device_name, open_device, wait_for
from dualscale.training.trainer import Trainer

VARIANT: TypeAdapter[VariantSettings] = TypeAdapter(AnyVariant)
JOBS = 4  # processes per model: training, sampling, KL, and a share of those of tables and figures


def main(files: list[Path], cores: int) -> None:
    """Print a line on how long the default target of a configuration takes.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    config = check_files(files)
    device = open_device(int(torch.cuda.is_available()), 1)
    gpu = device.type == "cuda"
    at_once = 1 if gpu else cores
    run, missing, work = config["run"], 0, 0.0
    start = seconds_of(start_a_job)
    for name in filter(lambda name: has_network(config, name), run["variants"]):
        cells = [f"{name}/{data}/{seed}" for data, seed in product(run["datasets"], run["seeds"])]
        cells = [cell for cell in cells if not Path(f"results/models/{cell}.safetensors").exists()]
        if cells:
            settings = VARIANT.validate_python(config["variants"][name])
            points = config["sampling"]["points"]
            work += len(cells) * seconds_a_model(settings, points, device) / at_once
        missing += len(cells)
    work += missing * JOBS * start / cores
    on = device_name(device) if gpu else "1 core" if cores == 1 else f"{cores} cores"
    print(f"{missing} models to train and sample: about {in_words(work)} on {on}")


def seconds_a_model(settings: VariantSettings, points: int, device: torch.device) -> float:
    """Return the seconds that a model takes to train and to sample, from a part of each."""
    data = torch.randn(10_000, 2, device=device)
    model = Model(settings, moments_of(data), 1, device)
    model.backbone.initialise(["estimate"])
    part = Trainer(model, data, settings.training, ["estimate"])
    part.warm_up()
    chunk = part.run()
    training = seconds_of(lambda: (next(chunk), wait_for(device))) / part.chunk
    sampler = model.sampler(settings.sampling, max(points // 20, 1), ["estimate"])
    sampler.warm_up()
    return training * settings.training.steps + 20 * seconds_of(sampler.draw)


def start_a_job() -> None:
    """Start a process that loads what a job loads."""
    subprocess.run([sys.executable, "-c", "import dualscale.model"], cwd=Path(__file__).parent)


def seconds_of(work: Callable[[], object]) -> float:
    """Return the wall time of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_words(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def number_of(cores: str) -> int:
    return len(os.sched_getaffinity(0)) if cores == "all" else int(cores)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="overrides")
    parser.add_argument("--cores", type=number_of, default="all", help="a number, or all")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options = parse()
    try:
        main(options.configfile, options.cores)
    except (OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"estimate: {' '.join(str(error).split())}")
