"""Draw points from a trained model into a file.

    python scripts/draw.py results/models/adaptive/dino/0.safetensors points.csv --points 5000

The file's ending chooses its format: .csv, .tsv, .npy or .parquet. A model that was trained
elsewhere is read without running any code of its own.
"""

import argparse
import sys
from pathlib import Path

import torch

from dualscale.files import WRITERS
from dualscale.model import load_model
from dualscale.parts import OF_KIND
from dualscale.sampling import SAMPLERS, STARTS, Sampler
from job import require_unchanged, whole


def main(options: argparse.Namespace) -> None:
    """Draw what the options ask for.

    Raises:
        ValueError: the model or the output cannot be used.
    """
    ending = options.output.suffix.lower()
    if ending not in WRITERS:
        raise ValueError(f"{options.output} ends in {ending!r}: {', '.join(WRITERS)} are written")
    device = torch.device(options.device)
    require_unchanged([options.model])
    model = load_model(options.model, device, options.architecture)
    timesteps = model.schedule.timesteps
    if options.steps is not None and not 1 <= options.steps <= timesteps:
        raise ValueError(f"--steps is {options.steps}: 1 to {timesteps}, the model's, is allowed")
    if options.points < 1:
        raise ValueError(f"--points is {options.points}: 1 or more is allowed")
    settings = {
        "start": options.start,
        "sampler": {"kind": options.sampler} | OF_KIND["sampler"][options.sampler],
        "steps": options.steps,
    }
    parts = model.denoiser, model.schedule, model.moments
    sampler = Sampler(*parts, settings, options.points, [f"{options.seed}/draw"], device)
    points = model.units.into_data(sampler.draw()[0].cpu().numpy())
    with whole(options.output, sealed=False) as part:
        WRITERS[ending](part, points)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a .safetensors file of results/models/")
    parser.add_argument("output", type=Path, help=f"a name that ends in {', '.join(WRITERS)}")
    parser.add_argument("--points", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same points")
    parser.add_argument("--sampler", choices=SAMPLERS, default="ancestral")
    parser.add_argument("--start", choices=STARTS, default="standard")
    parser.add_argument("--steps", type=int, help="of the model's timesteps (default: all)")
    parser.add_argument("--architecture", help="the Python file of the model's own class, to run")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main(parse())
    except (OSError, ValueError) as error:
        sys.exit(f"draw: {' '.join(str(error).split())}")
