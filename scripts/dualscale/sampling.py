"""Sampling from a trained model, in Python and by `draw.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from dualscale.conditional import condition_of, require_conditioning
from dualscale.config.overrides import patch
from dualscale.data.distributions import Array
from dualscale.diffusion.drawing import Drawing, Sampling
from dualscale.diffusion.samplers import Consistency
from dualscale.errors import ConfigurationError, explain
from dualscale.model import Model
from dualscale.runtime.digests import digest_file
from dualscale.runtime.files import require_unchanged
from dualscale.runtime.records import read_record

TUNED = {10: (1.5, 0.007, 1.0), 20: (3.0, 0.005, 1.5), 50: (10.0, 0.004, 2.0)}
"""Highest and lowest sigma / alpha, and eta, by number of evaluations.

Chosen for `recommended`, as in workflow/protocols/samplers.yaml; docs/recommended has the outcome.
"""


def sample(
    model: Model,
    points: int = 10_000,
    seed: int = 0,
    evaluations: int | None = None,
    where: Mapping[str, Any] | None = None,
    guidance: float = 1.0,
    **changes: Any,
) -> Array:
    """Draw points from a model, (points, columns) in the data's units and in float32.

    Args:
        model: from `load_model`.
        seed: the same seed, the same points.
        evaluations: how many network function evaluations to take, see `in_evaluations`; None: as
            many as the settings ask for.
        where: values of columns that are given, by name, as {"species": "setosa"}; None: none is.
            The columns of a known distribution are x0, x1, …
        guidance: 1 draws from the conditional distribution; more exaggerates what sets it apart,
            and 0 ignores `where`.
        changes: prior, sampler, spacing or steps, as in the configuration's `sampling`; those in
            the model's file otherwise.

    Raises:
        ValueError: the model cannot be sampled with these settings.
    """
    if points < 1:
        raise ValueError(f"points is {points}: 1 or more is allowed")
    drawing = drawing_with(model, evaluations, changes)
    return draw(model, drawing, points, seed, where, guidance)


def drawing_with(model: Model, evaluations: int | None, changes: Mapping[str, Any]) -> Drawing:
    """Return a model's settings for sampling with changes, as of `sample`."""
    few = {} if evaluations is None else in_evaluations(model, evaluations)
    if "spacing" in few and model.one_hots is not None:  # which start at the last timestep
        few["spacing"]["sigma_max"] = None
    drawing = changed(model.settings.sampling, few | dict(changes))
    drawing.require_fit(model.levels, "")
    require_learnt(model, drawing)
    return drawing


def require_learnt(model: Model, drawing: Drawing) -> None:
    """Raise a ValueError if a distilled model has not learnt to be sampled in this way."""
    known, chosen = model.settings.sampling, drawing.sampler.kind
    distilled = isinstance(known.sampler, Consistency)
    if distilled != isinstance(drawing.sampler, Consistency):
        what = "distilled" if distilled else "not distilled"
        raise ValueError(
            f"sampler is {chosen!r}: the model is {what}, {known.sampler.kind!r} is allowed"
        )
    learnt = known.visited(model.levels)
    if distilled and not set(drawing.visited(model.levels).t) <= set(learnt.t):
        sigmas = ", ".join(f"{ratio:.3g}" for ratio in learnt.ratio[:-1])
        raise ValueError(f"the model is distilled at sigma {sigmas}: others are not allowed")


def in_evaluations(model: Model, number: int) -> dict[str, Any]:
    """Return changes of the settings with which a sample takes that many evaluations.

    SDE-DPM-Solver++ on log-spaced levels. Their ends and eta are interpolated between `TUNED`, over
    the logarithm of the number; below and above, those of the nearest. A distilled model takes as
    many of its levels.

    Raises:
        ValueError: the number is not positive.
    """
    if number < 1:
        raise ValueError(f"evaluations is {number}: 1 or more is allowed")
    if isinstance(model.settings.sampling.sampler, Consistency):
        return {"steps": number}
    known = np.log([*TUNED])
    highest, lowest, eta = (
        float(np.exp(np.interp(np.log(number), known, np.log(values))))
        for values in zip(*TUNED.values(), strict=True)
    )
    return {
        "prior": "moment_matched",
        "sampler": {"kind": "sde_dpm_solver", "eta": eta},
        "spacing": {"kind": "geometric", "sigma_max": highest, "sigma_min": lowest},
        "steps": number,
    }


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


def draw(
    model: Model,
    drawing: Drawing,
    points: int,
    seed: int,
    where: Mapping[str, Any] | None = None,
    guidance: float = 1.0,
) -> Array:
    """Return points drawn from a model, (points, columns); arguments as of `sample`."""
    stream = f"{seed}/draw"
    if not where:
        if guidance != 1:
            raise ValueError(f"guidance is {guidance:g}: without `where`, 1 is allowed")
        return model.sampler(drawing, points, [stream]).draw()[0]
    require_conditioning(model, list(where), guidance)
    condition = condition_of(model, where, points, stream, guidance)
    return model.sampler(drawing, points, [stream], condition).draw()[0]


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
