"""Print what datasets from files hold, variants' parameters, and the resolved settings of some.

    python scripts/describe.py adaptive improved --configfile workflow/protocols/released.yaml

Without names, a line on each variant that the configuration runs.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import yaml

from dualscale.config.check import check_files
from dualscale.config.jobs import model_settings, sampling_settings
from dualscale.data.encoding import Encoding, numbered
from dualscale.data.files import read_table
from dualscale.data.images import read_images
from dualscale.errors import ConfigurationError, unknown
from dualscale.networks.settings import DualScale


def main(names: list[str], files: list[Path], dimensions: int | None) -> None:
    """Print one YAML document per dataset of a file or of images, and one per variant.

    Args:
        names: of variants whose settings are printed; none: all variants that run, without them.
        files: configurations, each an override of those before.
        dimensions: d, of the points; None: those of the first dataset from a file, or 2.

    Raises:
        ConfigurationError: a configuration or a variant cannot be used.
        ValueError: a dataset's file cannot be used.
    """
    config = check_files(files)
    coordinates = [] if dimensions is None else numbered(dimensions).names
    for dataset in config["run"]["datasets"]:
        if "images" in config["datasets"][dataset]:
            found = read_images(config["datasets"][dataset]["images"])
            (count, *size), classes = found.pixels.shape, ", ".join(found.classes) or "unknown"
            about = {"images": count, "height": size[0], "width": size[1], "classes": classes}
            print(f"---\n# {dataset}\n{yaml.safe_dump(about, sort_keys=False)}", end="")
            varying = int((np.ptp(found.pixels, axis=0) > 0).sum())
            coordinates = coordinates or numbered(varying).names
        if "file" in config["datasets"][dataset]:
            encoding = encoding_of(config["datasets"][dataset])
            count, width = len(encoding.columns), len(encoding.flags)
            columns = {column.name: column.describe() for column in encoding.columns}
            text = yaml.safe_dump({"columns": columns}, sort_keys=False, allow_unicode=True)
            print(f"---\n# {dataset}: {count} columns in {width} coordinates\n{text}", end="")
            coordinates = coordinates or encoding.names
    for name in names or config["run"]["variants"]:
        if name not in config["variants"]:
            raise ConfigurationError(unknown("describe", name, config["variants"]))
        settings = model_settings(config, name)
        print(f"---\n# {name}: {parameters(settings, coordinates or numbered(2).names)}")
        if names:
            sampling = sampling_settings(config, name)
            print(yaml.safe_dump({**settings, "sampling": sampling}), end="")


def encoding_of(dataset: dict) -> Encoding:
    """Return the encoding of a dataset's file."""
    text = {key: dataset[key] for key in ("columns", "header", "delimiter", "decimal")}
    return read_table(Path(dataset["file"]), **text)[1]


def parameters(settings: dict, names: list[str]) -> str:
    """Return a phrase on the number of parameters of a model.

    Args:
        names: of the column of every coordinate of the points.
    """
    if "classical" in settings:
        return "fitted to the data, without a network"
    if "architecture" in settings:
        return "the class decides on the number of parameters"
    network = DualScale(**{key: settings[key] for key in DualScale.model_fields})
    able, dimensions = settings.get("conditioning", {"columns": []})["columns"], len(names)
    given = dimensions if able == "all" else sum(name in able for name in names)
    return f"{network.parameters(dimensions, given):,} parameters in {dimensions} dimensions"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variants", nargs="*", help="names (default: those of run.variants)")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="overrides")
    parser.add_argument("--dimensions", type=int, help="of the points (default: a file's, or 2)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options = parse()
    try:
        main(options.variants, options.configfile, options.dimensions)
    except (OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"describe: {' '.join(str(error).split())}")
