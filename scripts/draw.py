"""Draw points from a trained model into a file.

    python scripts/draw.py results/models/adaptive/dino/0.safetensors points.csv --points 5000

The extension sets the format: .csv, .tsv, .npy or .parquet. Prior, sampler, spacing and steps are
those of the model's variant unless flags override them. Models trained elsewhere are loaded without
running code from their file.

Models trained with `conditioning` draw points with given values, and fill in rows:

    python scripts/draw.py MODEL rows.csv --where species=setosa --guidance 2
    python scripts/draw.py MODEL whole.csv --fill rows.csv
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from dualscale.conditional import parsed
from dualscale.data.files import extensions, format_of, read_cells
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.priors import Prior
from dualscale.diffusion.samplers import Sampler
from dualscale.diffusion.spacings import Spacing
from dualscale.filling import filled
from dualscale.model import Model, load_model
from dualscale.parts import kinds
from dualscale.runtime.devices import open_device
from dualscale.runtime.files import atomic_write, require_unchanged
from dualscale.sampling import changed, draw, in_evaluations, known_drawing, require_learnt


def main(options: argparse.Namespace) -> None:
    """Sample the model, or fill in rows, and write the points.

    Raises:
        ValueError: the model or the output cannot be used.
        RuntimeError: a GPU is wanted, and there is none.
    """
    form = format_of(options.output)
    require_one_task(options)
    on_gpu = options.device == "cuda"
    device = open_device(1, torch.get_num_threads()) if on_gpu else torch.device("cpu")
    require_unchanged([options.model])
    model = load_model(options.model, device, options.architecture)
    drawing = drawing_of(options, model)
    prior, kind = drawing.prior.kind, drawing.sampler.kind
    steps = len(drawing.visited(model.levels).t)
    print(f"draw: {prior} prior, {kind} sampler, {steps} steps", file=sys.stderr)
    table: Any
    if options.fill is not None:
        table = filled(model, drawing, read_cells(options.fill), options.seed)
    else:
        where = parsed(options.where)
        points = draw(model, drawing, options.points, options.seed, where, options.guidance)
        table = points if model.encoding is None else model.encoding.decode(points)
    with atomic_write(options.output, checksum=False) as part:
        form.write(part, table)


def require_one_task(options: argparse.Namespace) -> None:
    """Raise a ValueError if flags contradict each other."""
    if options.points < 1:
        raise ValueError(f"--points is {options.points}: 1 or more is allowed")
    if options.guidance != 1 and not options.where:
        raise ValueError(f"--guidance is {options.guidance:g} without --where, which it amplifies")
    if options.fill is not None:
        if options.where:
            raise ValueError("--fill and --where are both given: write the values into the rows")
        if options.fill.suffix.lower() != options.output.suffix.lower():
            raise ValueError(f"{options.output} must end as {options.fill}, whose cells it keeps")


def drawing_of(options: argparse.Namespace, model: Model) -> Drawing:
    """Return prior, sampler, spacing and steps: the flags, else those of the model's variant.

    Raises:
        ValueError: the model cannot be sampled with these settings.
    """
    known = known_drawing(options.model, model)
    flags = {key: getattr(options, key) for key in ("prior", "sampler", "spacing")}
    changes = {key: kind for key, kind in flags.items() if kind is not None}
    if options.evaluations is not None:
        changes = in_evaluations(model, options.evaluations) | changes
    drawing = changed(known, changes)
    if options.steps is not None:
        drawing = drawing.model_copy(update={"steps": options.steps})
    if drawing.steps is not None:
        most = len(drawing.spacing.allowed(model.levels))
        if drawing.steps not in range(1, most + 1):
            raise ValueError(f"--steps is {drawing.steps}: 1 to {most}, the model's, is allowed")
    drawing.require_fit(model.levels, "--")
    require_learnt(model, drawing)
    return drawing


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a .safetensors file of results/models/")
    named = f"a name that ends in {', '.join(extensions())}"
    parser.add_argument("output", type=Path, help=named)
    parser.add_argument("--points", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same points")
    where = "values of columns, as species=setosa; without a value, a missing cell"
    parser.add_argument("--where", nargs="+", action="extend", default=[], help=where)
    guidance = "1: as the data are (default); more: what sets the given values apart, exaggerated"
    parser.add_argument("--guidance", type=float, default=1.0, help=guidance)
    fill = "a file of rows: their missing cells are drawn, and the rest is kept"
    parser.add_argument("--fill", type=Path, help=fill)
    few = "network evaluations per point, by SDE-DPM-Solver++ on levels chosen for so many"
    parser.add_argument("--evaluations", type=int, help=few)
    parser.add_argument("--sampler", choices=kinds(Sampler))
    parser.add_argument("--prior", choices=kinds(Prior))
    parser.add_argument("--spacing", choices=kinds(Spacing), help="which of its timesteps")
    parser.add_argument("--steps", type=int, help="how many of the model's timesteps")
    parser.add_argument("--architecture", help="the Python file of the model's own class, to run")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main(parse())
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"draw: {' '.join(str(error).split())}")
