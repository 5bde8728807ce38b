"""Sampling from a trained model, in Python and by `draw.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dualscale.config.overrides import patch
from dualscale.data.distributions import Array
from dualscale.diffusion.drawing import Drawing, Sampling
from dualscale.errors import ConfigurationError, explain
from dualscale.model import Model
from dualscale.runtime.digests import digest_file
from dualscale.runtime.files import require_unchanged
from dualscale.runtime.records import read_record


def sample(model: Model, points: int = 10_000, seed: int = 0, **changes: Any) -> Array:
    """Draw points from a model, (points, columns) in the data's units and in float32.

    Args:
        model: from `load_model`.
        seed: the same seed, the same points.
        changes: prior, sampler, spacing or steps, as in the configuration's `sampling`; those in
            the model's file otherwise.

    Raises:
        ValueError: the model cannot be sampled with these settings.
    """
    if points < 1:
        raise ValueError(f"points is {points}: 1 or more is allowed")
    drawing = changed(model.settings.sampling, changes)
    drawing.require_fit(model.levels, "")
    return draw(model, drawing, points, seed)


def changed(known: Drawing, changes: Mapping[str, Any]) -> Drawing:
    """Return settings with some changed, by a merge patch.

    Raises:
        ConfigurationError: names the key, its value and what is allowed.
    """
    given = patch(known.model_dump(), changes)
    try:
        return type(known).model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(explain(error, given)) from error


def draw(model: Model, drawing: Drawing, points: int, seed: int) -> Array:
    """Return points drawn from a model, (points, columns)."""
    return model.sampler(drawing, points, [f"{seed}/draw"]).draw()[0]


def known_drawing(path: Path, model: Model) -> Drawing:
    """Return the settings with which a model is drawn from, unless others are given.

    They are those with which the workflow last sampled it, else those of its file, which date from
    training: changed sampling settings do not retrain.

    Args:
        path: of the model's file.

    Raises:
        ValueError: the record of the sampling is damaged.
    """
    try:
        return _recorded_sampling(path) or model.settings.sampling
    except (AttributeError, TypeError, ValidationError) as error:
        raise ValueError(f"the record of {path} is damaged: {error}") from error


def _recorded_sampling(path: Path) -> Drawing | None:
    """Return the settings with which the workflow last sampled a model; None without a record."""
    path = path.resolve()
    models = path.parent.parent.parent
    record = models.parent / "sampling" / path.relative_to(models).with_suffix(".json")
    if not record.exists():
        return None
    require_unchanged([record])
    about = read_record(record)
    if about.get("model") != digest_file(path):
        return None
    return Sampling.model_validate(about["sampling"])
