"""A trained model: the backbone, and the schedule, prediction, moments and units that it needs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dualscale.data.moments import Moments
from dualscale.data.units import Units, own_units
from dualscale.diffusion.denoiser import Denoiser, Prediction, make_prediction
from dualscale.diffusion.schedule import Schedule, make_schedule
from dualscale.networks.backbone import Backbone
from dualscale.networks.own import ArchitectureError, ModuleBackbone

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
    """Stack of S models that share their schedule, prediction and data.

    Args:
        settings: a variant's schedule and prediction, and either branches, weighting and network or
            architecture; also its sampling, recorded for later use of the model's file.
        moments: of the data, in the model's units.
        units: the model's; None: the data's own.
        models: S.

    Raises:
        ValueError: the number of non-constant columns of the units differs from that of the
            moments.
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
        digest: str | None = None,
    ) -> None:
        """Write one model of the stack as safetensors, with all settings needed to rebuild it.

        Args:
            flat: parameters to save, for example the EMA's.
            index: of the model in the stack.
            constants: non-learned tensors to save; None: the model's present ones.
            digest: of all settings that the model was made with.
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
            "settings_digest": digest,
        }
        path.write_bytes(save(tensors, metadata={"dualscale": json.dumps(about)}))


def require_plausible(settings: Mapping[str, Any], size: int) -> None:
    """Reject settings that contain an integer larger than the model file's size in bytes.

    Such a file cannot hold the network that its settings describe. Timesteps have a bound of their
    own, since a schedule takes no bytes. A user-defined class's settings are not checked: they
    reach only code that the user chose to run.

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
    """Load a saved model, without running code from its file.

    Args:
        architecture: Python file of the model's class, if that is user-defined. It runs only if the
            caller names it here, whatever the model's file says.

    Raises:
        ValueError: the file is no model of this project, needs `architecture`, or holds NaN.
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
