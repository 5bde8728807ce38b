"""A trained model, whole: the backbone, and what its denoiser and its sampler need to know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dualscale.architecture import ArchitectureError, ModuleBackbone
from dualscale.backbone import Backbone
from dualscale.denoiser import Denoiser, Prediction, make_prediction
from dualscale.schedule import Schedule, make_schedule
from dualscale.units import Units, own_units


@dataclass(frozen=True)
class Moments:
    """Of the data that a model was trained on.

    Args:
        mean: (d,) in float64.
        covariance: (d, d) in float64.
    """

    mean: Tensor
    covariance: Tensor

    @property
    def scale(self) -> float:
        """Root mean square of the coordinates."""
        power = self.mean.square() + self.covariance.diagonal()
        return power.mean().sqrt().item()


def moments_of(data: Tensor) -> Moments:
    """data: (n, d)."""
    data = data.double().cpu()
    return Moments(data.mean(dim=0), torch.atleast_2d(torch.cov(data.T)))


KEPT = (
    "architecture",
    "branches",
    "network",
    "prediction",
    "sampling",
    "schedule",
    "weighting",
)
MOST_TIMESTEPS = 100_000  # as in the configuration's schema


class Model:
    """A stack of S models that share their schedule, prediction and data.

    Args:
        settings: the config's schedule and prediction of a variant, and either its branches,
            weighting and network, or its architecture; its sampling, for those who draw from it.
        moments: of the data, in the model's units.
        units: the model's; None: the data's own.
        models: S.

    Raises:
        ValueError: the units leave the model another number of columns than the moments have.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        moments: Moments,
        models: int = 1,
        device: torch.device | None = None,
        units: Units | None = None,
    ):
        self.settings = {key: settings[key] for key in settings if key in KEPT}
        dimensions = len(moments.mean)
        self.moments = moments
        self.units = units or own_units(dimensions)
        if self.units.varying.sum() != dimensions:
            raise ValueError(f"{self.units.varying.sum()} columns vary, moments of {dimensions}")
        self.schedule: Schedule = make_schedule(settings["schedule"])
        self.prediction: Prediction = make_prediction(
            settings["prediction"], self.schedule, moments.scale
        )
        shape = dimensions, self.schedule.timesteps, models, device
        noise = self.prediction.into * self.schedule.sigma
        self.backbone: Backbone | ModuleBackbone
        if "architecture" in settings:
            self.backbone = ModuleBackbone(settings["architecture"], *shape)
        else:
            self.backbone = Backbone(settings, *shape, noise)

    @property
    def denoiser(self) -> Denoiser:
        return Denoiser(self.backbone, self.schedule, self.prediction)

    def save(
        self,
        path: Path,
        flat: Tensor,
        index: int,
        constants: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Write one model of the stack as safetensors, with all that is needed to build it again.

        Args:
            flat: the parameters to save: the EMA's, say.
            index: which of the S.
            constants: what to save of that which it does not learn; None: as it is.
        """
        views = self.backbone.named_views(flat.detach())
        tensors = {name: view[index].cpu().contiguous() for name, view in views.items()}
        if constants is None:
            constants = self.backbone.constants(index)
        for name, constant in constants.items():
            tensors[name] = constant.cpu().contiguous()
        about = {
            "settings": self.settings,
            "mean": self.moments.mean.tolist(),
            "covariance": self.moments.covariance.tolist(),
            "shift": self.units.shift.tolist(),
            "scale": self.units.scale.tolist(),
        }
        path.write_bytes(save(tensors, metadata={"dualscale": json.dumps(about)}))


def require_plausible(settings: Mapping[str, Any], size: int) -> None:
    """Refuse settings that would build more than a model file of `size` bytes can hold.

    A schedule needs no bytes of the file. Nor need the settings of a user's own class: they reach
    code that runs at the user's word alone.

    Raises:
        ValueError: an integer in the settings is too large.
    """
    for key in ("branches", "network", "weighting"):
        _require_integers_up_to(size, settings.get(key))
    _require_integers_up_to(MOST_TIMESTEPS, settings["schedule"])


def _require_integers_up_to(most: int, value: Any) -> None:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _require_integers_up_to(most, item)
    elif isinstance(value, int) and value > most:
        raise ValueError(f"its settings hold {value}, more than {most}")


def load_model(
    path: Path, device: torch.device | None = None, architecture: str | None = None
) -> Model:
    """Read a model that was saved. Runs no code of the file's.

    Args:
        architecture: the Python file of the model's class, where that is a user's own: only the
            caller's word makes it run, not the model's.

    Raises:
        ValueError: the file is not such a model, needs a class, or holds NaN.
    """
    try:
        model = _load(path, device, architecture)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such file") from error
    except ArchitectureError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a model of this project: {error!r}") from error
    if not model.backbone.flat.isfinite().all():
        raise ValueError(f"{path} holds weights that are NaN or infinite: train it again")
    return model


def _load(path: Path, device: torch.device | None, architecture: str | None) -> Model:
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["dualscale"])
        require_plausible(about["settings"], path.stat().st_size)
        if own := about["settings"].get("architecture"):
            if architecture is None:
                raise ArchitectureError(
                    f"{path} is a {own['class']} of {own['file']}: name that file to run its code"
                )
            own["file"] = architecture
        moments = Moments(*(torch.tensor(about[key]).double() for key in ("mean", "covariance")))
        units = Units(*(np.array(about[key], np.float32) for key in ("shift", "scale")))
        model = Model(about["settings"], moments, device=device, units=units)
        for name, view in model.backbone.named_views(model.backbone.flat).items():
            view.copy_(file.get_tensor(name)[None])
        for name, constant in model.backbone.constants(0).items():
            constant.copy_(file.get_tensor(name))
    return model
