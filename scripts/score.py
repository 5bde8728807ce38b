"""Write the log-density of given points under a trained model.

    python scripts/score.py results/models/adaptive/dino/0.safetensors points.csv densities.csv

The points come from a .csv, .tsv, .npy or .parquet file with the columns of the model's data, in
its units. The densities are a CSV with one line per point; without a third name they are printed.
Prior as in the model's variant unless a flag overrides it. Models trained elsewhere are loaded
without running code from their file.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from dualscale.data.files import extensions, read_table
from dualscale.density import log_density
from dualscale.diffusion.priors import Prior
from dualscale.model import load_model
from dualscale.parts import kinds
from dualscale.runtime.files import atomic_write, require_unchanged
from dualscale.sampling import known_drawing


def main(options: argparse.Namespace) -> None:
    """Read the points and write their log-densities.

    Raises:
        ValueError: the model, the points or the output cannot be used.
    """
    if options.output is not None and options.output.suffix.lower() != ".csv":
        raise ValueError(f"{options.output} ends in {options.output.suffix!r}: .csv is allowed")
    require_unchanged([options.model])
    model = load_model(options.model, architecture=options.architecture)
    text = {key: getattr(options, key) for key in ("header", "delimiter", "decimal")}
    table, found = read_table(options.points, options.columns, **text)
    for source, encoding in ((options.model, model.encoding), (options.points, found)):
        if encoding is not None and not encoding.plain:
            raise ValueError(f"{source} has words, dates or missing cells, which have no density")
    points = table.cells.to_numpy()
    prior = options.prior or known_drawing(options.model, model).prior.model_dump()
    densities = pd.DataFrame({"log_density_nats": log_density(model, points, prior)})
    lines = densities.to_csv(index=False, lineterminator="\n", float_format="%.9g")
    if options.output is None:
        print(lines, end="")
        return
    with atomic_write(options.output, checksum=False) as part:
        part.write_text(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a .safetensors file of results/models/")
    parser.add_argument("points", type=Path, help=f"a file in {', '.join(extensions())}")
    parser.add_argument("output", type=Path, nargs="?", help="a .csv; without it, printed")
    parser.add_argument("--columns", nargs="+", help="of the points, by name; without it, all")
    parser.add_argument("--header", action=argparse.BooleanOptionalAction, help="a first line")
    parser.add_argument("--delimiter", help="between the columns of a .csv or .tsv")
    parser.add_argument("--decimal", choices=[".", ","], default=".")
    parser.add_argument("--prior", choices=kinds(Prior))
    parser.add_argument("--architecture", help="the Python file of the model's own class, to run")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main(parse())
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"score: {' '.join(str(error).split())}")
