"""Sample a dataset from its distribution."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from _job import run
from dualscale.data.datasets import make_distribution
from dualscale.runtime.files import save_points
from dualscale.runtime.streams import stream_seed


def main(points: Path, *, settings: Mapping) -> None:
    """Write the points, (n, d) in float32."""
    rng = np.random.default_rng(stream_seed(settings["seed"], "dataset", settings["distribution"]))
    save_points(points, make_distribution(settings).sample(settings["points"], rng))


run(main, globals())
