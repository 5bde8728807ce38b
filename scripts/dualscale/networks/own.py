"""User-defined backbones: a torch.nn.Module in a file that the configuration names."""

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from dualscale.errors import explain
from dualscale.networks.settings import Architecture
from dualscale.runtime.devices import seed_generators
from dualscale.runtime.streams import stream_seed

Make = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Input and target of a network, both (n, d), from points (n, d), timesteps (n,) and noise."""


class ArchitectureError(ValueError):
    """A user-defined class cannot be used; the message is one line."""


def load_class(file: Path, name: str) -> type[nn.Module]:
    """Run the file and return its class of that name.

    Raises:
        ArchitectureError: the file fails to run, or has no torch.nn.Module class of that name.
    """
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ArchitectureError(f"{file}: there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ArchitectureError(f"{file} cannot be run: {error!r}") from error
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ArchitectureError(f"{file} has no class {name} that is a torch.nn.Module")
    return found


class ModuleBackbone:
    """Stack of S modules of one class, with all parameters in one buffer as in `Backbone`.

    The class is constructed with dimensions (d), timesteps (T) and the configured settings; its
    forward maps x (n, d) and integer timesteps t (n,) to (n, d). Modules are in evaluation mode
    except during training steps.

    Args:
        settings: file and class, and the class's arguments.
        precision: bfloat16 runs the modules under PyTorch's autocast.

    Attributes:
        flat: all parameters of all models; each name has S consecutive blocks.
        modules: one per model; their parameters are views of `flat`.
        branches: names of the branches, if the class weighs some: its `branch_names`.
    """

    def __init__(
        self,
        settings: Architecture,
        dimensions: int,
        timesteps: int,
        models: int = 1,
        device: torch.device | None = None,
        precision: torch.dtype = torch.float32,
    ):
        self.dimensions, self.timesteps, self.models = dimensions, timesteps, models
        self.precision = precision
        self.kind = load_class(Path(settings.file), settings.name)
        self.branches: Sequence[str] = getattr(self.kind, "branch_names", ("network",))
        self.options, self.device = settings.settings, device
        self.modules = [self._make("0", model) for model in range(models)]
        self.shapes = {name: value.shape for name, value in self.modules[0].named_parameters()}
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        if not self.sizes:
            raise ArchitectureError(f"{settings.name} of {settings.file} has no parameters")
        self.flat = torch.zeros(models * sum(self.sizes), device=device)
        self._adopt(self.modules)

    def _make(self, stream: int | str, model: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(stream, "initialise"))
            try:
                module = self.kind(self.dimensions, self.timesteps, **self.options)
            except Exception as error:
                said = explain(error, self.options) if isinstance(error, ValidationError) else error
                raise ArchitectureError(f"{self.kind.__name__} cannot be built: {said}") from error
        return module.to(self.device).eval()

    @torch.no_grad()
    def _adopt(self, modules: list[nn.Module]) -> None:
        """Copy the modules' parameters into the buffer and make them views of it."""
        self.modules = modules
        views = self.named_views(self.flat)
        for model, module in enumerate(modules):
            for name, parameter in module.named_parameters():
                views[name][model].copy_(parameter)
                parameter.data = views[name][model]

    @property
    def parameters_per_model(self) -> int:
        return sum(self.sizes)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Parameters of all models, in the order of `flat`."""
        named = [dict(module.named_parameters()) for module in self.modules]
        return [parameters[name] for name in self.shapes for parameters in named]

    def named_views(self, flat: Tensor) -> dict[str, Tensor]:
        """Split a buffer laid out as `flat` into named views of shape (S, *shape)."""
        pieces = flat.split([self.models * size for size in self.sizes])
        return {
            name: piece.view(self.models, *shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def constants(self, model: int) -> dict[str, Tensor]:
        """Non-learned tensors of a model: the buffers of its module."""
        return dict(self.modules[model].named_buffers())

    def initialise(self, streams: Sequence[int | str]) -> None:
        """Construct every model anew, with PyTorch's global generator seeded by its stream."""
        self._adopt([self._make(stream, model) for model, stream in enumerate(streams)])

    def branch_weights(self) -> None:
        """Return None: there are no weights that depend on t alone."""

    def has(self, method: str) -> bool:
        """Whether the class has an optional method."""
        return hasattr(self.kind, method)

    @property
    def weighs_points(self) -> bool:
        """Whether the class weighs branches, which depends on x as well as on t."""
        return self.has("weights")

    def point_weights(self, x: Tensor, t: int) -> Tensor:
        """Branch weights of points x (S, n, d) at t, (S, n, K)."""
        return self._of_points("weights", x, t)

    def point_depths(self, x: Tensor, t: int) -> Tensor:
        """Number of layers or iterations that points x (S, n, d) take at t, (S, n)."""
        return self._of_points("depth", x, t)

    def _of_points(self, method: str, x: Tensor, t: int) -> Tensor:
        times = torch.full(x.shape[1:2], t, device=x.device)
        pairs = zip(self.modules, x, strict=True)
        return torch.stack([getattr(module, method)(points, times) for module, points in pairs])

    def __call__(
        self,
        x: Tensor,
        t: Tensor | int,
        seeds: Sequence[int] | None = None,
        training: bool = False,
        given: tuple[Tensor, int] | None = None,
    ) -> Tensor:
        """Outputs of all models, (S, n, d).

        Args:
            x: (S, n, d).
            t: timesteps (S, n), or one shared by all points.
            seeds: one per model, for PyTorch's global generators, which layers such as dropout draw
                from; None leaves the generators' state alone.
            training: run the modules in training mode.
            given: noisy points (S, n, d) and their timestep, for modules of two stages.
        """
        times = torch.full(x.shape[:2], t, device=x.device) if isinstance(t, int) else t

        def output(model: int, module: Any) -> Tensor:
            if given is None:
                return module(x[model], times[model]).to(x.dtype)
            points, level = given[0][model], torch.full_like(times[model], given[1])
            return module(x[model], times[model], (points, level)).to(x.dtype)

        return self._run(output, x.device, seeds, training)

    def errors(
        self,
        x_0: Tensor,
        t: Tensor,
        noise: Tensor,
        make: Make,
        seeds: Sequence[int] | None = None,
        training: bool = False,
    ) -> Tensor:
        """Errors of all models, whose weighted mean square is their loss, (S, n, …).

        They are those of the outputs, or what the class's own method `errors` returns.

        Args:
            x_0, noise: clean points and their noise, (S, n, d).
            t: timesteps, (S, n).
            make: returns input and target of a network from clean points, timesteps and noise.
            seeds, training: as when called.
        """

        def error(model: int, module: Any) -> Tensor:
            given = x_0[model], t[model], noise[model]
            if self.has("errors"):
                return module.errors(*given, make).to(x_0.dtype)
            seen, target = make(*given)
            return module(seen, t[model]).to(x_0.dtype) - target

        return self._run(error, x_0.device, seeds, training)

    def _run(
        self,
        of: Callable[[int, Any], Tensor],
        device: torch.device,
        seeds: Sequence[int] | None,
        training: bool,
    ) -> Tensor:
        """Return a function of every model and its module, (S, …), in training mode or not."""
        outputs = []
        for model, module in enumerate(self.modules):
            if seeds is not None:
                seed_generators(seeds[model], device)
            module.train(training)
            autocast = torch.autocast(
                device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16
            )
            try:
                with autocast:
                    outputs.append(of(model, module))
            finally:
                module.eval()
        return torch.stack(outputs)
