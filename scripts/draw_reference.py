"""Draw reference samples: fresh real points, or samples of the optimal denoiser."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from dualscale.data.moments import moments_of
from dualscale.data.sources import distribution_of, fresh_points
from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.oracle import ExactDenoiser
from dualscale.diffusion.reverse_process import ReverseProcess
from dualscale.diffusion.schedules import SCHEDULE
from dualscale.runtime.files import save_points
from dualscale.runtime.streams import stream_seed
from execution.job import run


def main(
    samples: Path,
    training: Path | None = None,
    *,
    settings: Mapping,
    variant: str,
    dataset: str,
    seed: int,
) -> None:
    """Write the samples, (points, d) in float32.

    Args:
        training: training points of a dataset from a file, whose distribution is unknown, or None.
        settings: of dataset and sampling; for the optimal denoiser also schedule.
        variant: it ends in "real": fresh real points, for a file some training points;
            "exact_start": the optimal denoiser, started from perturbed real points; "exact": the
            same from the variant's prior, with its samples' random numbers.
    """
    kind, stream = variant.rpartition(".")[2], f"{seed}/{dataset}"
    torch.set_num_threads(1)
    rng = np.random.default_rng(stream_seed(stream, "reference", kind))
    known = distribution_of(settings)
    points = real = fresh_points(known, training)(settings["sampling"]["points"], rng)
    if kind != "real" and known is not None:
        distribution = known.build()
        levels = SCHEDULE.validate_python(settings["schedule"]).levels()
        many = torch.from_numpy(distribution.sample(100_000, rng))
        process = ReverseProcess(
            ExactDenoiser(distribution, levels),
            levels,
            moments_of(many),
            Sampling.model_validate(settings["sampling"]),
            len(real),
            [stream],
            torch.device("cpu"),
        )
        points = process.draw(real if kind == "exact_start" else None)[0]
    logging.info("%d points of %s", len(points), kind)
    save_points(samples, points)


run(main, globals())
