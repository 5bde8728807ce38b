"""Turn generated points into images in the range of the real ones, with the class of each."""

from pathlib import Path

import numpy as np

from dualscale.data.encoding import Encoding
from dualscale.metrics.recogniser import Recogniser
from dualscale.runtime.files import atomic_write
from execution.job import run


def main(samples: Path, encoding: Path, recogniser: Path, images: Path, decoded: Path) -> None:
    """Write an npz of `images`, (m, height, width), and `labels`, the classifier's word on each.

    Args:
        images: npz of real images, from import_images.
    """
    columns = Encoding.read(encoding)
    pixels = columns.decode(np.load(samples, allow_pickle=False)).to_numpy()
    places = Recogniser.load(recogniser).classes(pixels)
    with np.load(images, allow_pickle=False) as real:
        classes, shape = real["classes"], real["training"].shape[1:]
    labels = classes[places] if len(classes) else places
    with atomic_write(decoded) as part, part.open("wb") as file:
        np.savez(file, images=pixels.reshape(-1, *shape), labels=labels)


run(main, globals())
