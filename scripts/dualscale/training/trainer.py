"""Training loop: the paper's objective, optimiser and EMA, for a stack of models."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from dualscale.model import Model
from dualscale.networks.backbone import Backbone
from dualscale.networks.own import ModuleBackbone
from dualscale.runtime.devices import captured, to_device
from dualscale.runtime.streams import stream_seed
from dualscale.training.distillation import Ends
from dualscale.training.examples import examples, mirror, training_coefficients
from dualscale.training.loss import AutogradGradient, LossGradient
from dualscale.training.settings import Training

CHUNK = 100  # steps per draw of random numbers and per replay of the CUDA graph


@dataclass(frozen=True)
class Progress:
    """Number of steps done, and the losses of the last chunk, (steps, S)."""

    step: int
    losses: Tensor


class DivergedError(ArithmeticError):
    """A loss or a parameter is not finite."""


def clip_norm(gradients: Iterable[Tensor], limit: float) -> None:
    """Clip each model's gradient norm at the limit, in place.

    Args:
        gradients: of all parameters, each (S, …).
    """
    rows = [gradient.flatten(1) for gradient in gradients]
    norm = torch.stack([row.norm(dim=1) for row in rows]).norm(dim=0)
    scale = (limit / (norm + 1e-6)).clamp(max=1)
    for row in rows:
        row.mul_(scale[:, None])


class Trainer:
    """Training of a stack of S models, each on its own random streams.

    Args:
        model: on its device, with initialised backbone.
        data: training set, (N, d) in float32, on the same device.
        settings: of the training.
        streams: one stream name per model, which determines batches, timesteps, noise and the
            random numbers of a user-defined network.
        ends: of teachers' ODEs, which take the place of the data and of independent noise; None:
            there are no teachers.

    Attributes:
        ema: exponential moving average of the parameters, in the order of `backbone.flat`.
        ema_constants: non-learned tensors of each model. Floating-point tensors, such as
            BatchNorm's statistics, are averaged like the parameters they belong to; others are
            copied.
    """

    def __init__(
        self,
        model: Model,
        data: Tensor,
        settings: Training,
        streams: Sequence[int | str],
        ends: Ends | None = None,
    ):
        self.backbone = backbone = model.backbone
        self.one_hots = model.one_hots
        self.data, self.settings, self.streams, self.ends = data, settings, streams, ends
        self.device = data.device
        self.table = training_coefficients(model, settings.loss, self.device)
        self.pair, self.conditions = settings.coupling.over(data), model.conditions
        self.ema = backbone.flat.clone()
        self.ema_constants = [
            {name: constant.clone() for name, constant in backbone.constants(model).items()}
            for model in range(backbone.models)
        ]
        self.loss_gradient = (
            LossGradient(backbone, settings.batch_size, model.one_hots)
            if isinstance(backbone, Backbone)
            else AutogradGradient(backbone, self.table, model.one_hots)
        )
        self.optimiser_state = settings.optimiser.start(backbone.flat)
        # A chunk is a whole number of EMA periods, so every chunk updates at the same steps.
        self.chunk = settings.ema.every * math.ceil(CHUNK / settings.ema.every)
        models, batch, d = backbone.models, settings.batch_size, backbone.dimensions
        steps = self.chunk
        with self.device:
            self.times = torch.zeros(steps, models, batch, dtype=torch.int64)
            more = () if self.conditions is None else (d,)  # a weight for each coordinate
            self.seen = torch.zeros(steps, models, batch, model.inputs)
            self.targets = torch.zeros(steps, models, batch, d)
            self.weights = torch.zeros(steps, models, batch, *more)
            self.rates, self.decays = torch.zeros(steps), torch.zeros(steps)
            self.losses = torch.zeros(steps, models)
        self.seeds: list[list[int] | None] = [None] * steps
        self._run_chunk: Callable[[], object] = lambda: self._steps(self.chunk)

    def run(self, step: int = 0) -> Iterator[Progress]:
        """Train from a step, and yield the progress after every chunk.

        Args:
            step: 0, or a step that an earlier run yielded.

        Raises:
            DivergedError: a loss or a parameter is not finite; raised at the end of the chunk.
        """
        steps = self.settings.steps
        drawn = self._draw(step)
        while step < steps:
            count = min(self.chunk, steps - step)
            self._load(step, drawn)
            if count == self.chunk:
                self._run_chunk()
            else:
                self._steps(count)
            if step + count < steps:
                drawn = self._draw(step + count)  # overlaps with the GPU's work on this chunk
            self._require_finite(step, count)
            step += count
            yield Progress(step, self.losses[:count].clone())

    def stops_at(self, step: int) -> bool:
        """Whether a run can stop after this step and resume there."""
        steps = self.settings.steps
        return step == steps or (0 <= step < steps and step % self.chunk == 0)

    def warm_up(self) -> None:
        """Run some steps and undo them; on CUDA, capture a chunk of steps as one graph."""
        held = self.state()
        start = {name: value.clone() for name, value in held.items()}
        self._load(0, self._draw(0))
        self.seeds = [None] * self.chunk
        if self.device.type == "cuda":
            run = captured(self._run_chunk, self.device)
            # A graph would never read the tensor that a step puts in a buffer's place.
            if all(value is held[name] for name, value in self.state().items()):
                self._run_chunk = run
            else:
                logging.info("not captured as a CUDA graph: the network replaces a buffer")
        else:
            self._steps(3)
        self.restore(start)

    def state(self) -> dict[str, Tensor]:
        """Mutable state, which with the step number suffices to resume training exactly."""
        constants = {
            f"{model}.{name}": constant
            for model in range(self.backbone.models)
            for name, constant in self.backbone.constants(model).items()
        }
        averages = {
            f"ema.{model}.{name}": average
            for model, constants in enumerate(self.ema_constants)
            for name, average in constants.items()
        }
        return {
            **constants,
            **averages,
            "parameters": self.backbone.flat,
            "ema": self.ema,
            **{f"optimiser.{name}": value for name, value in self.optimiser_state.items()},
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state, or leave the trainer unchanged.

        Raises:
            ValueError: the state's names, shapes or types differ from this training's.
        """
        own = self.state()
        if state.keys() != own.keys():
            raise ValueError(f"its state differs in {', '.join(sorted(state.keys() ^ own.keys()))}")
        for name, value in own.items():
            if (state[name].shape, state[name].dtype) != (value.shape, value.dtype):
                given = f"{state[name].dtype} of shape {tuple(state[name].shape)}"
                raise ValueError(f"{name} is {given}, not {value.dtype} of {tuple(value.shape)}")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])

    def _draw(self, step: int) -> list[Tensor]:
        """Random numbers of the chunk from `step`, drawn on the CPU for every device.

        Indices of points and timesteps are (chunk, S, batch), noise is (chunk, S, batch, d), and
        states of coordinates, if columns can be given, (chunk, S, batch, a). With teachers, indices
        are of their points and levels.
        """
        shape, drawn = (self.chunk, self.settings.batch_size), []
        rows, timesteps = len(self.data), self.backbone.timesteps
        if self.ends is not None:
            timesteps, rows = self.ends.points.shape[1:3]
        for stream in self.streams:
            generator = torch.Generator().manual_seed(stream_seed(stream, "batches", step))
            points = torch.randint(rows, shape, generator=generator)
            times = torch.randint(timesteps, shape, generator=generator)
            noise = torch.randn(*shape, self.backbone.dimensions, generator=generator)
            noise = self.pair(points, noise)
            states = []
            if self.conditions is not None:
                states.append(self.conditions.draw(shape, stream_seed(stream, "given", step)))
            batch_last = [points, times, *(each.mT for each in states)]
            mirror(self.settings.pairs, *batch_last, noise=noise)
            drawn.append((points, times, noise, *states))
        return [torch.stack(each, dim=1) for each in zip(*drawn, strict=True)]

    def _load(self, step: int, drawn: Sequence[Tensor]) -> None:
        """Fill the buffers of the chunk from `step`: examples, learning rates and EMA decays."""
        points, times, noise, *states = (to_device(each, self.device) for each in drawn)
        if self.ends is None:
            x_0 = self.data[points]
        else:
            times, x_0, noise = self.ends.at(times, points)
        self.times.copy_(times)
        ahead = range(step, step + self.chunk)
        made: tuple[Tensor, ...]
        if isinstance(self.backbone, ModuleBackbone):
            made = x_0, noise  # such networks make their examples from them
            self.seeds = [[stream_seed(s, "module", done) for s in self.streams] for done in ahead]
        else:
            made = examples(
                x_0,
                times,
                noise,
                self.table,
                self.one_hots,
                self.conditions,
                *states,
                asked=self._asked(x_0, times, noise),
            )
        for kept, new in zip((self.seen, self.targets, self.weights), made, strict=False):
            kept.copy_(new)
        rates = [self.settings.learning_rate_after(done) for done in ahead]
        decays = [self.settings.ema.decay_after(done) or 0.0 for done in ahead]
        self.rates.copy_(to_device(torch.tensor(rates), self.device))
        self.decays.copy_(to_device(torch.tensor(decays), self.device))

    def _asked(self, x_0: Tensor, times: Tensor, noise: Tensor) -> Tensor | None:
        """Return the clean points that the chunk's examples ask for; None: x_0 itself."""
        ratio = (self.table[:, 0] / self.table[:, 1])[times]
        drawn = self.settings.batch_size - self.settings.pairs
        return self.settings.target.means(x_0, noise, ratio, drawn)

    def _steps(self, count: int) -> None:
        clip, ema = self.settings.clip_norm, self.settings.ema
        optimiser, parameters = self.settings.optimiser, self.backbone.flat
        gradient = self.loss_gradient.flat
        each = self.backbone.named_views(gradient).values()
        rates = self.rates if self.device.type == "cuda" else self.rates.tolist()
        for i in range(count):
            batch = self.seen[i], self.times[i], self.targets[i]
            if isinstance(self.loss_gradient, AutogradGradient):
                self.losses[i] = self.loss_gradient(*batch, self.seeds[i])
            else:
                self.losses[i] = self.loss_gradient(*batch, self.weights[i])
            if clip:
                clip_norm(each, clip)
            with torch.no_grad():
                optimiser.step(parameters, gradient, self.optimiser_state, rates[i])
            if i % ema.every == 0:
                self.ema.lerp_(self.backbone.flat, 1 - self.decays[i])
                self._average_constants(1 - self.decays[i])

    @torch.no_grad()
    def _average_constants(self, weight: Tensor) -> None:
        for model, averages in enumerate(self.ema_constants):
            for name, constant in self.backbone.constants(model).items():
                average = averages[name]
                if constant.is_floating_point():
                    between = average.lerp(constant, weight.to(average.dtype))
                    # Infinities, as in masks or running minima, have no average.
                    constant = torch.where(between.isfinite(), between, constant)
                average.copy_(constant)

    def _require_finite(self, step: int, count: int) -> None:
        finite = self.losses[:count].isfinite().all(dim=1)
        if not finite.all():
            first = step + int(finite.logical_not().nonzero()[0, 0]) + 1
            self._refuse("the loss is", f"at step {first}")
        if not self.backbone.flat.isfinite().all():
            self._refuse("the parameters are", f"after step {step + count}")

    def _refuse(self, what: str, when: str) -> NoReturn:
        raise DivergedError(
            f"{what} not finite {when} of {self.settings.steps}: "
            f"try a learning_rate below {self.settings.learning_rate:g}, "
            "or clip_norm, and look for extreme values in the data"
        )
