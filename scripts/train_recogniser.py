"""Train the classifier whose features and classes the metrics of images compare."""

import logging
from pathlib import Path

import numpy as np

from dualscale.data.images import flat
from dualscale.metrics.recogniser import Recogniser
from dualscale.runtime.files import atomic_write
from dualscale.runtime.streams import stream_seed
from execution.job import run


def main(images: Path, recogniser: Path, *, dataset: str) -> None:
    """Write the classifier as npz, trained on the training images alone.

    Args:
        images: npz of real images, from import_images.
    """
    with np.load(images, allow_pickle=False) as file:
        real = dict(file)
    training, held_out = (flat(real[part]) for part in ("training", "held_out"))
    labels = real.get("training_labels")
    found = Recogniser.fit(training, labels, stream_seed("recognise", dataset) % 2**32)
    if labels is not None:
        right = found.classes(held_out) == real["held_out_labels"]
        logging.info("%.1f %% of the held-out images recognised", 100 * right.mean())
    with atomic_write(recogniser) as part, part.open("wb") as file:
        found.save(file)


run(main, globals())
