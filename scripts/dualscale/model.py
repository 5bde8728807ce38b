"""A trained model: network, noise levels, prediction, moments and units."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from dualscale.data.encoding import Encoding, numbered
from dualscale.data.moments import Moments
from dualscale.data.units import QuantileUnits, Units, WhitenedUnits, own_units
from dualscale.diffusion.categories import Discrete
from dualscale.diffusion.conditions import Condition, Conditions, Guided
from dualscale.diffusion.denoiser import Denoiser
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.one_hots import OneHots
from dualscale.diffusion.reverse_process import ReverseProcess
from dualscale.errors import ConfigurationError, explain
from dualscale.networks.backbone import Backbone
from dualscale.networks.own import ArchitectureError, ModuleBackbone
from dualscale.parts import short
from dualscale.runtime.devices import has_bfloat16_units
from dualscale.settings import AnyModel, BranchesModel, OwnModel

SETTINGS: TypeAdapter[BranchesModel | OwnModel] = TypeAdapter(AnyModel)


class Model:
    """Stack of S models that share their settings and data.

    Args:
        moments: of the data, in the model's units.
        units: the model's; None: the data's own.
        models: S.
        encoding: of a file's columns in the data; None: the data are not from a file.

    Attributes:
        columns: the encoding, or that of plain numbers.
        conditions: columns that can be given; None: none can.

    Raises:
        ValueError: the number of non-constant columns of the units differs from that of the
            moments, or the number of columns from that of the encoding; or the settings name
            columns that there are not.
    """

    def __init__(
        self,
        settings: BranchesModel | OwnModel,
        moments: Moments,
        models: int = 1,
        device: torch.device | None = None,
        units: Units | None = None,
        encoding: Encoding | None = None,
    ):
        self.settings, self.moments, self.encoding = settings, moments, encoding
        dimensions = len(moments.mean)
        self.units = units or own_units(dimensions)
        if self.units.varying.sum() != dimensions:
            varying = self.units.varying.sum()
            raise ValueError(f"{varying} columns vary, but the moments are of {dimensions}")
        if encoding is not None and len(encoding.flags) != self.units.coordinates:
            found, needed = self.units.coordinates, len(encoding.flags)
            raise ValueError(f"there are {found} coordinates, but the columns have {needed}")
        self.columns = encoding or numbered(self.units.coordinates)
        self.conditions = conditions_of(settings, self.columns.names, self.units, device)
        given = 0 if self.conditions is None else len(self.conditions.places)
        self.inputs = dimensions + 2 * given
        self.levels = settings.schedule.levels()
        self.coefficients = settings.prediction.coefficients(self.levels, moments.scale)
        shape = dimensions, self.levels.timesteps, models, device
        precision: torch.dtype = getattr(torch, settings.precision)
        if precision == torch.bfloat16 and not has_bfloat16_units(device or torch.device("cpu")):
            logging.warning(
                "precision is bfloat16, for which this device has no units: float32 is faster"
            )
        self.backbone: Backbone | ModuleBackbone
        if isinstance(settings, OwnModel):
            self.backbone = ModuleBackbone(settings.architecture, *shape, precision)
        else:
            noise = torch.from_numpy(self.coefficients.c_in * self.levels.sigma)
            self.backbone = Backbone(settings, *shape, noise, precision, given)
        self.one_hots = self._one_hots(device)
        if self.units.mixes_columns and (self.conditions or self.one_hots):
            raise ValueError("columns can be given, or have discrete noise, but the units mix them")

    def _one_hots(self, device: torch.device | None) -> OneHots | None:
        """Return the categories with discrete noise, by their coordinates that vary."""
        process, varying = self.settings.categories, self.units.varying
        if self.encoding is None or not isinstance(process, Discrete):
            return None
        if isinstance(self.backbone, ModuleBackbone) and self.backbone.has("errors"):
            raise ArchitectureError(
                f"{self.backbone.kind.__name__} has errors of its own: with categories "
                f"{process.kind!r} they cannot be used, 'gaussian' is allowed"
            )
        ends = [0, *np.cumsum(varying).tolist()]
        groups = [slice(ends[group.start], ends[group.stop]) for group in self.encoding.groups]
        groups = [group for group in groups if group.stop > group.start]
        shift, scale = (
            torch.from_numpy(each[varying]).to(device)
            for each in (self.units.shift, self.units.scale)
        )
        return OneHots(process, groups, shift, scale, self.levels) if groups else None

    @property
    def denoiser(self) -> Denoiser:
        return Denoiser(self.backbone, self.levels, self.coefficients, self.one_hots)

    def sampler(
        self,
        drawing: Drawing,
        points: int,
        streams: Sequence[int | str],
        condition: Condition | None = None,
    ) -> ReverseProcess:
        """Return the reverse process that draws points of every model, in the data's units.

        Args:
            drawing: prior, sampler and number of steps.
            streams: one stream name per model.
            condition: given coordinates of the points; None: there are none.

        Raises:
            ValueError: the prior's covariance is not positive definite, or the model knows no
                given columns.
        """
        device, levels = self.backbone.flat.device, self.levels
        denoiser = self.denoiser
        if condition is not None:
            if self.conditions is None:
                raise ValueError("the model was trained without given columns")
            denoiser.network = Guided(self.backbone, self.conditions, condition.guidance)
        parts = denoiser, levels, self.moments, drawing, points, streams, device
        try:
            return ReverseProcess(*parts, self.units, self.one_hots, condition)
        except torch.linalg.LinAlgError as error:
            raise ValueError("the prior's covariance is not positive definite") from error

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
            "settings": self.settings.model_dump(by_alias=True),
            "mean": self.moments.mean.tolist(),
            "covariance": self.moments.covariance.tolist(),
            "shift": self.units.shift.tolist(),
            "scale": self.units.scale.tolist(),
            "settings_digest": digest,
        }
        if isinstance(self.units, QuantileUnits):
            about["quantiles"] = self.units.quantiles.tolist()
        if isinstance(self.units, WhitenedUnits):
            about["axes"] = self.units.axes.tolist()
        if self.encoding is not None:
            about["encoding"] = self.encoding.model_dump()
        path.write_bytes(save(tensors, metadata={"dualscale": json.dumps(about)}))


def conditions_of(
    settings: BranchesModel | OwnModel,
    names: Sequence[str],
    units: Units,
    device: torch.device | None = None,
) -> Conditions | None:
    """Return the columns that can be given; None: none can. Arguments as of `Conditions`."""
    if isinstance(settings, OwnModel) or settings.conditioning is None:
        return None
    return Conditions(settings.conditioning, names, units.varying, device)


def load_model(
    path: Path | str, device: torch.device | None = None, architecture: str | None = None
) -> Model:
    """Load a saved model, without running code from its file.

    Args:
        architecture: Python file of the model's class, if that is user-defined. It runs only if the
            caller names it here, whatever the model's file says.

    Raises:
        ValueError: the file is no model of this project, needs `architecture`, or holds NaN.
    """
    try:
        model = _load(Path(path), device, architecture)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such file") from error
    except (ArchitectureError, OSError):
        raise
    except Exception as error:  # whatever a damaged file makes the libraries raise
        said = error if isinstance(error, ConfigurationError) else short(error, 300)
        raise ValueError(f"{path} is not a model of this project: {said}") from error
    if not model.backbone.flat.isfinite().all():
        raise ValueError(f"{path} holds parameters that are NaN or infinite: train it again")
    return model


def _load(path: Path, device: torch.device | None, architecture: str | None) -> Model:
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["dualscale"])
        settings = _settings(about["settings"])
        if isinstance(settings, OwnModel):
            own = settings.architecture
            if architecture is None:
                raise ArchitectureError(
                    f"{path} is a {own.name} of {_line(own.file)}: name that file to run its code"
                )
            own = own.model_copy(update={"file": architecture})
            settings = settings.model_copy(update={"architecture": own})
        moments = Moments(*(np.array(about[key], np.float64) for key in ("mean", "covariance")))
        units = _units(*(about.get(key) for key in ("shift", "scale", "quantiles", "axes")))
        encoding = Encoding.model_validate(about["encoding"]) if "encoding" in about else None
        if isinstance(settings, BranchesModel):
            columns = encoding or numbered(units.coordinates)
            found = conditions_of(settings, columns.names, units)
            given = 0 if found is None else len(found.places)
            _require_parameters(settings.parameter_shapes(len(moments.mean), given), file)
        model = Model(settings, moments, device=device, units=units, encoding=encoding)
        for name, view in model.backbone.named_views(model.backbone.flat).items():
            view.copy_(_tensor(file, name, view.shape[1:])[None])
        for name, constant in model.backbone.constants(0).items():
            constant.copy_(_tensor(file, name, constant.shape))
    return model


def _settings(given: Any) -> BranchesModel | OwnModel:
    """Return the settings that a file holds, or raise a ConfigurationError."""
    try:
        return SETTINGS.validate_python(given)
    except ValidationError as error:
        raise ConfigurationError(_line(explain(error, given))) from error


def _units(shift: Any, scale: Any, quantiles: Any, axes: Any) -> Units:
    """Return the units that a file holds.

    They have one shift and one scale of 0 or more per column, and perhaps rising quantiles of each
    column of scale 1, or as many independent axes as columns that are not constant.
    """
    with np.errstate(over="ignore"):
        units = Units(np.array(shift, np.float32), np.array(scale, np.float32))
    if units.shift.ndim != 1 or units.shift.shape != units.scale.shape:
        raise ValueError(f"shift has shape {units.shift.shape}, scale {units.scale.shape}")
    if not np.isfinite(units.shift).all():
        raise ValueError("shift is NaN or infinite")
    if not (np.isfinite(units.scale).all() and (units.scale >= 0).all()):
        raise ValueError("scale is NaN, infinite or negative")
    if axes is not None:
        mixed = np.array(axes, np.float32)
        v = int(units.varying.sum())
        if mixed.shape != (v, v) or not np.isfinite(mixed).all():
            raise ValueError(f"axes are NaN or infinite, or have shape {mixed.shape}, not {v, v}")
        if np.linalg.matrix_rank(mixed.astype(np.float64)) < v:
            raise ValueError("axes are not independent")
        return WhitenedUnits(units.shift, units.scale, mixed)
    if quantiles is None:
        return units
    found = np.array(quantiles, np.float32)
    if found.ndim != 2 or len(found) < 2 or found.shape[1] != (units.scale == 1).sum():
        raise ValueError(f"quantiles have shape {found.shape}")
    if not (np.isfinite(found).all() and (np.diff(found, axis=0) >= 0).all()):
        raise ValueError("quantiles are NaN or infinite, or do not rise")
    return QuantileUnits(units.shift, units.scale, found)


def _tensor(file: Any, name: str, shape: Sequence[int]) -> Tensor:
    """Return a tensor of a file; another shape is an error, even if it could be broadcast."""
    found: Tensor = file.get_tensor(name)
    if found.shape != shape:
        raise ValueError(f"{name} has shape {tuple(found.shape)}, its network asks for {shape}")
    return found


def _line(text: str, most: int = 400) -> str:
    """Return a text as one line, cut to a length."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _require_parameters(needed: Mapping[str, tuple[int, ...]], file: Any) -> None:
    """Raise a ValueError if a file's tensors are not those of the network, before it is built."""
    found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    for name in sorted(needed.keys() | found.keys()):
        if needed.get(name) != found.get(name):
            raise ValueError(
                f"{name} has shape {found.get(name)}, its settings ask for {needed.get(name)}"
            )
