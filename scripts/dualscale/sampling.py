"""Sampling from a trained model, in Python and by `draw.py`."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dualscale.config.overrides import patch
from dualscale.data.distributions import Array
from dualscale.diffusion.drawing import Drawing
from dualscale.errors import ConfigurationError, explain
from dualscale.model import Model


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
