"""Import images: check them, hold some out, and encode the others as points."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dualscale.data.images import cells_of, encoding_of_pixels, read_images
from dualscale.data.split import split
from dualscale.runtime.files import atomic_write, save_points
from dualscale.runtime.streams import stream_seed
from execution.job import run

FEWEST = 100  # images on either side of the split


def main(
    points: Path,
    encoding: Path,
    images: Path,
    source: Path | None = None,
    *,
    settings: Mapping,
    name: str,
) -> None:
    """Write training points, (n, d) in float32, their encoding as JSON, and all images as npz.

    The npz has `training` and `held_out`, (n, height, width), the class of each as the number of
    one of `classes`, `training_labels` and `held_out_labels`; without labels, no classes.

    Args:
        source: file of the images; None: those that a package ships.
        settings: of the dataset: held_out (a share), seed.
        name: of the source in the configuration.
    """
    found, seed = read_images(str(source or name)), settings["seed"]
    every = split(len(found.pixels), settings["held_out"], seed)
    parts = dict(zip(("training", "held_out"), every, strict=True))
    for part, places in parts.items():
        if len(places) < FEWEST:
            raise ValueError(
                f"{source or name} has {len(found.pixels)} images, {len(places)} of them {part}: "
                f"{FEWEST} or more are needed"
            )
    pixels, (n, height, width) = found.pixels, found.pixels.shape
    columns = encoding_of_pixels(pixels)
    rng = np.random.default_rng(stream_seed(seed, "spread"))
    training = columns.encode(cells_of(pixels), rng)[parts["training"]]
    constant = int((training.min(axis=0) == training.max(axis=0)).sum())
    if constant == training.shape[1]:
        raise ValueError(f"{source or name} holds one image again and again: nothing to learn")
    logging.info(
        "%s: %d images of %d x %d pixels from %g to %g, %d of which are constant; classes: %s",
        *(source or name, n, height, width, pixels.min(), pixels.max(), constant),
        ", ".join(found.classes) or "unknown",
    )
    save_points(points, training)
    columns.write(encoding)
    arrays = {part: pixels[places] for part, places in parts.items()}
    if found.labels is not None:
        arrays |= {f"{part}_labels": found.labels[places] for part, places in parts.items()}
    with atomic_write(images) as part, part.open("wb") as file:
        np.savez(file, classes=np.array(found.classes, str), **arrays)


run(main, globals())
