"""Evaluate generated images beside held-out ones."""

from pathlib import Path

import numpy as np

from dualscale.data.images import flat
from dualscale.metrics.images import ImageSamples, measured
from dualscale.metrics.recogniser import Recogniser
from dualscale.runtime.records import write_record
from dualscale.runtime.streams import stream_seed
from execution.job import run

HALVES = 5  # times that the held-out images are split in two


def main(
    images: Path,
    recogniser: Path,
    record: Path,
    decoded: Path | None = None,
    *,
    dataset: str,
    seed: int,
    digest: str,
) -> None:
    """Write a record of all metrics of images: means over halves of the held-out images.

    Each half is compared with as many generated images, or with the other half, which gives what
    real images score.

    Args:
        images: npz of real images, from import_images.
        decoded: npz of generated images; None: the real ones' score.
    """
    with np.load(images, allow_pickle=False) as file:
        training, held_out = (flat(file[part]) for part in ("training", "held_out"))
    drawn = None
    if decoded is not None:
        with np.load(decoded, allow_pickle=False) as file:
            drawn = flat(file["images"])
    classifier, half, samples = Recogniser.load(recogniser), len(held_out) // 2, []
    for number in range(HALVES):
        stream = stream_seed(seed, dataset, "halve the held-out images", number)
        rng = np.random.default_rng(stream)
        order = rng.permutation(len(held_out))
        compared = held_out[order[half : 2 * half]]
        if drawn is not None:
            compared = drawn[rng.permutation(len(drawn))[:half]]
        judging = held_out[order[:half]]
        samples.append(ImageSamples(compared, judging, training, classifier, stream % 2**32))
    write_record(record, measured(samples) | {"settings_digest": digest})


run(main, globals())
