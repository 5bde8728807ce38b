"""Draw points from a trained model into a file.

    python scripts/draw.py results/models/adaptive/dino/0.safetensors points.csv --points 5000

The extension sets the format: .csv, .tsv, .npy or .parquet. Prior, sampler and steps are those of
the model's variant unless flags override them. Models trained elsewhere are loaded without running
code from their file.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dualscale.data.files import WRITERS
from dualscale.diffusion.sampling import SAMPLERS, STARTS, Sampler
from dualscale.model import Model, load_model
from dualscale.parts import OF_KIND
from dualscale.runtime.digests import digest_file
from dualscale.runtime.files import atomic_write, require_unchanged
from dualscale.runtime.records import read_record

PAPER = {"start": "standard", "sampler": {"kind": "ancestral"}, "steps": None}  # for old files too


def main(options: argparse.Namespace) -> None:
    """Sample the model and write the points.

    Raises:
        ValueError: the model or the output cannot be used.
    """
    ending = options.output.suffix.lower()
    if ending not in WRITERS:
        raise ValueError(f"{options.output} ends in {ending!r}: {', '.join(WRITERS)} are written")
    device = torch.device(options.device)
    require_unchanged([options.model])
    model = load_model(options.model, device, options.architecture)
    if options.points < 1:
        raise ValueError(f"--points is {options.points}: 1 or more is allowed")
    settings = sampling_settings(options, model)
    parts = model.denoiser, model.schedule, model.moments
    sampler = Sampler(*parts, settings, options.points, [f"{options.seed}/draw"], device)
    kind, steps = settings["sampler"]["kind"], settings["steps"] or model.schedule.timesteps
    print(f"draw: {settings['start']} start, {kind} sampler, {steps} steps", file=sys.stderr)
    points = model.units.into_data(sampler.draw()[0].cpu().numpy())
    with atomic_write(options.output, checksum=False) as part:
        WRITERS[ending](part, points)


def sampling_settings(options: argparse.Namespace, model: Model) -> dict[str, Any]:
    """Return prior, sampler and steps: the flags, else those of the model's variant.

    Raises:
        ValueError: the model cannot be sampled with these settings.
    """
    known = recorded_sampling(options.model) or model.settings.get("sampling") or PAPER
    try:
        kind, start = options.sampler or known["sampler"]["kind"], options.start or known["start"]
        steps = known["steps"] if options.steps is None else options.steps
        defaults = OF_KIND["sampler"][kind].items()
        choices = {key: known["sampler"].get(key, default) for key, default in defaults}
        if start not in STARTS:
            raise KeyError(start)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{options.model} samples in a way that is unknown: {error!r}") from error
    timesteps = model.schedule.timesteps
    if steps is not None and steps not in range(1, timesteps + 1):
        raise ValueError(f"--steps is {steps}: 1 to {timesteps}, the model's, is allowed")
    if kind == "heun" and model.schedule.alpha[-1] == 0:
        raise ValueError("--sampler is heun: it divides by alpha, which ends at 0 in this model")
    return {"start": start, "sampler": {"kind": kind, **choices}, "steps": steps}


def recorded_sampling(path: Path) -> Mapping[str, Any] | None:
    """Return the settings with which the workflow last sampled this model; None without a record.

    They may differ from those in the model's file, which date from training: changed sampling
    settings do not retrain.
    """
    path = path.resolve()
    models = path.parent.parent.parent
    record = models.parent / "sampling" / path.relative_to(models).with_suffix(".json")
    if not record.exists():
        return None
    require_unchanged([record])
    about = read_record(record)
    return about["sampling"] if about.get("model") == digest_file(path) else None


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a .safetensors file of results/models/")
    parser.add_argument("output", type=Path, help=f"a name that ends in {', '.join(WRITERS)}")
    parser.add_argument("--points", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same points")
    parser.add_argument("--sampler", choices=SAMPLERS)
    parser.add_argument("--start", choices=STARTS)
    parser.add_argument("--steps", type=int, help="how many of the model's timesteps")
    parser.add_argument("--architecture", help="the Python file of the model's own class, to run")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main(parse())
    except (OSError, ValueError) as error:
        sys.exit(f"draw: {' '.join(str(error).split())}")
