"""Sample a dataset from its distribution."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.data.sources import Known
from dualscale.runtime.files import save_points
from dualscale.runtime.streams import stream_seed
from execution.job import run


def main(points: Path, *, settings: Mapping) -> None:
    """Write the points, (n, d) in float32."""
    dataset = Known.model_validate(settings)
    rng = np.random.default_rng(stream_seed(dataset.seed, "dataset", dataset.distribution.kind))
    save_points(points, dataset.distribution.build().sample(dataset.points, rng))


run(main, globals())
