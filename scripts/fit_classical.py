"""Fit a generator without a network to a dataset, and draw its samples."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Loaded here, so that no fit's time includes it.
from sklearn import mixture, model_selection, neighbors  # noqa: F401

from dualscale.classical.generator import Examples
from dualscale.classical.generators import CLASSICAL
from dualscale.data.encoding import read_encoding
from dualscale.data.normalisations import NORMALISATION
from dualscale.runtime.devices import device_name, open_device
from dualscale.runtime.files import save_points
from dualscale.runtime.records import write_record
from dualscale.runtime.streams import stream_seed
from execution.job import run


def main(
    points: Path,
    samples: Path,
    training: Path,
    sampling: Path,
    encoding: Path | None = None,
    *,
    settings: Mapping,
    digests: Mapping[str, str],
    stream: str,
    seed: int,
    threads: int,
) -> None:
    """Write samples, (points, d) in float32, and the records of training and sampling.

    They are those of a network: seconds, number of fitted numbers, device; the evaluation loss is
    null.

    Args:
        points: the dataset.
        training, sampling: paths of the records.
        encoding: of a dataset from a file, or None.
        settings: classical, normalisation, sampling with the number of points, and of a table the
            target, if it has one.
        digests: of all settings that determine each record, by its folder.
    """
    device = device_name(open_device(0, threads))
    data = np.load(points, allow_pickle=False)
    columns = read_encoding(encoding)
    units = NORMALISATION.validate_python(settings["normalisation"]).units(
        data, columns and columns.flags
    )
    if columns is None:
        examples = Examples.of_points(units.into_model(data))
    else:
        examples = Examples.of_table(data, units, columns, settings.get("target"))
    generator = CLASSICAL.validate_python(settings["classical"])
    start = time.perf_counter()
    fitted = generator.fit(examples, stream_seed(stream, "fit") % 2**32)
    train_seconds = time.perf_counter() - start
    rng = np.random.default_rng(stream_seed(stream, "draw"))
    start = time.perf_counter()
    drawn = units.into_data(fitted.draw(settings["sampling"]["points"], rng))
    sample_seconds = time.perf_counter() - start
    logging.info("%d parameters in %.1f s on %s", fitted.parameters, train_seconds, device)
    save_points(samples, drawn)
    write_record(
        training,
        {
            "train_seconds": train_seconds,
            "eval_loss": None,
            "parameters": fitted.parameters,
            "device": device,
            "seeds": [seed],
            "models_trained_together": 1,
            "settings_digest": digests["training"],
        },
    )
    write_record(
        sampling,
        {
            "sample_seconds": sample_seconds,
            "device": device,
            "sampling": settings["sampling"],
            "settings_digest": digests["sampling"],
        },
    )


run(main, globals())
