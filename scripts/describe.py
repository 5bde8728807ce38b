"""Print variants' resolved settings and their number of parameters.

    python scripts/describe.py adaptive improved --configfile workflow/protocols/released.yaml

Without names, those that the configuration runs.
"""

import argparse
import sys
from pathlib import Path

import yaml

from dualscale.config.check import check_files
from dualscale.config.jobs import model_settings, sampling_settings
from dualscale.errors import ConfigurationError, unknown
from dualscale.networks.settings import DualScale


def main(names: list[str], files: list[Path], dimensions: int) -> None:
    """Print one YAML document per variant.

    Args:
        files: configurations, each an override of those before.
        dimensions: d, of the points.

    Raises:
        ConfigurationError: a file or a variant cannot be used.
    """
    config = check_files(files)
    for name in names or config["run"]["variants"]:
        if name not in config["variants"]:
            raise ConfigurationError(unknown("describe", name, config["variants"]))
        settings = model_settings(config, name)
        text = yaml.safe_dump({**settings, "sampling": sampling_settings(config, name)})
        print(f"---\n# {name}: {parameters(settings, dimensions)}\n{text}", end="")


def parameters(settings: dict, dimensions: int) -> str:
    """Return a phrase on the number of parameters of a model."""
    if "classical" in settings:
        return "fitted to the data, without a network"
    if "architecture" in settings:
        return "the class decides on the number of parameters"
    own = {key: settings[key] for key in DualScale.model_fields}
    return f"{DualScale(**own).parameters(dimensions):,} parameters in {dimensions} dimensions"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variants", nargs="*", help="names (default: those of run.variants)")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="overrides")
    parser.add_argument("--dimensions", type=int, default=2, help="of the points (default: 2)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options = parse()
    try:
        main(options.variants, options.configfile, options.dimensions)
    except (OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"describe: {' '.join(str(error).split())}")
