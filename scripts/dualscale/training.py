"""The training loop: the paper's objective, optimiser and EMA, for a stack of models."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dualscale.denoiser import Backbone
from dualscale.schedule import Schedule
from dualscale.streams import stream_seed

CHUNK = 100  # steps whose random numbers are drawn, and on CUDA replayed, at once


@dataclass(frozen=True)
class Progress:
    """Where training is: steps done, and the losses of the last chunk, (steps, S)."""

    step: int
    losses: Tensor


class DivergedError(RuntimeError):
    """The loss is not finite."""


def ema_decay(done: int, settings: Mapping) -> float | None:
    """The EMA's decay at the optimiser step that follows `done` steps; None where it rests.

    With warm-up it is a plain copy (0) while done <= 110, then min(decay, 1 - (done - 99)^(-2/3)).
    """
    if done % settings["every"]:
        return None
    if not settings["warmup"]:
        return settings["decay"]
    return 0.0 if done <= 110 else min(settings["decay"], 1 - (done - 99) ** (-2 / 3))


def learning_rate(done: int, settings: Mapping) -> float:
    """Cosine annealing from the initial rate to 0 over all steps."""
    return 0.5 * settings["learning_rate"] * (1 + math.cos(math.pi * done / settings["steps"]))


def noise_loss(backbone: Backbone, x_0: Tensor, t: Tensor, noise: Tensor, scales: Tensor) -> Tensor:
    """|noise - eps_theta(x_t, t)|^2, mean over points and coordinates, (S,) (equation 9, over d).

    Args:
        x_0, noise: (S, n, d).
        t: (S, n).
        scales: alpha and sigma of the schedule, (T, 2).
    """
    scale = scales[t]
    x_t = scale[..., :1] * x_0 + scale[..., 1:] * noise
    return (backbone(x_t, t) - noise).square().mean(dim=(1, 2))


def scale_table(schedule: Schedule, device: torch.device) -> Tensor:
    """alpha and sigma, (T, 2) in float32."""
    return torch.stack([schedule.alpha, schedule.sigma], dim=1).float().to(device)


def make_optimiser(flat: Tensor, settings: Mapping) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings["optimiser"] == "adamw" else torch.optim.Adam
    on_cuda = flat.is_cuda
    rate = settings["learning_rate"]
    return kind(
        [flat],
        lr=torch.tensor(rate, device=flat.device) if on_cuda else rate,
        weight_decay=settings["weight_decay"],
        fused=True,
        capturable=on_cuda,
    )


class Trainer:
    """A stack of S models in training, each on random streams of its own.

    Args:
        backbone: initialised, on its device.
        data: the training set, (N, d) float32, on the same device.
        settings: the config's `training`.
        streams: one name a model; the batches, timesteps and noise depend on it alone.
    """

    def __init__(
        self,
        backbone: Backbone,
        schedule: Schedule,
        data: Tensor,
        settings: Mapping,
        streams: Sequence[int | str],
    ):
        self.backbone, self.data = backbone, data
        self.settings, self.streams = settings, streams
        self.device = data.device
        self.scales = scale_table(schedule, self.device)
        self.ema = backbone.flat.clone()
        self.gradient = torch.empty_like(backbone.flat)
        backbone.flat.grad = self.gradient
        self.optimiser = make_optimiser(backbone.flat, settings)
        # A chunk is a whole number of EMA periods: which of its steps update never changes.
        self.chunk = settings["ema"]["every"] * math.ceil(CHUNK / settings["ema"]["every"])
        models, batch, d = backbone.models, settings["batch_size"], backbone.dimensions
        steps = self.chunk
        with self.device:
            self.points = torch.zeros(models, steps, batch, dtype=torch.int64)
            self.times = torch.zeros(models, steps, batch, dtype=torch.int64)
            self.noise = torch.zeros(models, steps, batch, d)
            self.rates, self.decays = torch.zeros(steps), torch.zeros(steps)
            self.losses = torch.zeros(steps, models)
        self._run_chunk: Callable[[], object] = lambda: self._steps(self.chunk)

    def run(self) -> Iterator[Progress]:
        """Train, yielding after every chunk of steps.

        Raises:
            DivergedError: at the end of the chunk in which a loss was not finite.
        """
        step, steps = 0, self.settings["steps"]
        while step < steps:
            count = min(self.chunk, steps - step)
            self._draw(step)
            if count == self.chunk:
                self._run_chunk()
            else:
                self._steps(count)
            self._require_finite(step, count)
            step += count
            yield Progress(step, self.losses[:count].clone())

    def warm_up(self) -> None:
        """Run some steps and undo them; on CUDA, capture a chunk of steps as one graph."""
        start = self.backbone.flat.clone()
        self._draw(0)
        if self.device.type == "cuda":
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self._steps(3)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._steps(self.chunk)
            self._run_chunk = graph.replay
        else:
            self._steps(3)
        self.backbone.flat.copy_(start)
        self.ema.copy_(start)
        for value in self.optimiser.state[self.backbone.flat].values():
            value.zero_()

    def _draw(self, step: int) -> None:
        """Fill the chunk that starts at a step: points, timesteps, noise, rates and decays."""
        generator = torch.Generator(self.device)
        for model, stream in enumerate(self.streams):
            generator.manual_seed(stream_seed(stream, "batches", step))
            self.points[model].random_(0, len(self.data), generator=generator)
            self.times[model].random_(0, self.backbone.timesteps, generator=generator)
            self.noise[model].normal_(generator=generator)
        ahead = range(step, step + self.chunk)
        self.rates.copy_(torch.tensor([learning_rate(done, self.settings) for done in ahead]))
        decays = [ema_decay(done, self.settings["ema"]) or 0.0 for done in ahead]
        self.decays.copy_(torch.tensor(decays))

    def _steps(self, count: int) -> None:
        flat, gradient, settings = self.backbone.flat, self.gradient, self.settings
        for i in range(count):
            x_0 = self.data[self.points[:, i]]
            losses = noise_loss(self.backbone, x_0, self.times[:, i], self.noise[:, i], self.scales)
            pieces = torch.autograd.grad(losses.sum(), list(self.backbone.views.values()))
            torch.cat([piece.flatten(1) for piece in pieces], dim=1, out=gradient)
            self.losses[i] = losses.detach()
            if settings["clip_norm"]:
                norm = gradient.norm(dim=1, keepdim=True)
                gradient.mul_((settings["clip_norm"] / (norm + 1e-6)).clamp(max=1))
            self._set_rate(self.rates[i])
            self.optimiser.step()
            if i % settings["ema"]["every"] == 0:
                self.ema.lerp_(flat, 1 - self.decays[i])

    def _set_rate(self, rate: Tensor) -> None:
        group = self.optimiser.param_groups[0]
        if isinstance(group["lr"], Tensor):
            group["lr"].copy_(rate)
        else:
            group["lr"] = float(rate)

    def _require_finite(self, step: int, count: int) -> None:
        finite = self.losses[:count].isfinite().all(dim=1)
        if not finite.all():
            first = step + int(finite.logical_not().nonzero()[0, 0]) + 1
            raise DivergedError(
                f"the loss is not finite at step {first} of {self.settings['steps']}: "
                f"try a learning_rate below {self.settings['learning_rate']:g}, "
                "or clip_norm, and look for extreme values in the data"
            )


@torch.no_grad()
def evaluation_loss(
    backbone: Backbone, schedule: Schedule, data: Tensor, streams: Sequence[int | str]
) -> Tensor:
    """The training objective averaged once over the whole set, (S,): every point gets one
    timestep and one noise."""
    scales = scale_table(schedule, data.device)
    total = torch.zeros(backbone.models, device=data.device)
    rows = 4096
    generators = [
        torch.Generator(data.device).manual_seed(stream_seed(stream, "evaluation loss"))
        for stream in streams
    ]
    for start in range(0, len(data), rows):
        x_0 = data[start : start + rows]
        times = torch.stack(
            [
                torch.randint(0, backbone.timesteps, x_0.shape[:1], generator=g, device=g.device)
                for g in generators
            ]
        )
        noise = torch.stack(
            [torch.randn(x_0.shape, generator=g, device=g.device) for g in generators]
        )
        x_0 = x_0.expand(backbone.models, -1, -1)
        total += noise_loss(backbone, x_0, times, noise, scales) * x_0.shape[1]
    return total / len(data)
