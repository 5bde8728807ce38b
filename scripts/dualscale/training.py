"""The training loop: the paper's objective, optimiser and EMA, for a stack of models."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam

from dualscale.denoiser import Backbone
from dualscale.devices import captured
from dualscale.gradient import LossGradient
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


def diffuse(x_0: Tensor, t: Tensor, noise: Tensor, scales: Tensor) -> Tensor:
    """x_t = alpha_t x_0 + sigma_t noise (equation 1): (…, n, d) at the timesteps t (…, n).

    Args:
        scales: alpha and sigma of the schedule, (T, 2).
    """
    scale = scales[t]
    return scale[..., :1] * x_0 + scale[..., 1:] * noise


def noise_loss(backbone: Backbone, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """|noise - eps_theta(x_t, t)|^2, mean over points and coordinates, (S,) (equation 9, over d).

    Args:
        x_t, noise: (S, n, d).
        t: (S, n).
    """
    return (backbone(x_t, t) - noise).square().mean(dim=(1, 2))


def clip_norm(gradients: Iterable[Tensor], limit: float) -> None:
    """Scale each model's gradient down to a norm of at most the limit, in place.

    Args:
        gradients: of all parameters, each (S, …).
    """
    rows = [gradient.flatten(1) for gradient in gradients]
    norm = torch.stack([row.norm(dim=1) for row in rows]).norm(dim=0)
    scale = (limit / (norm + 1e-6)).clamp(max=1)
    for row in rows:
        row.mul_(scale[:, None])


def scale_table(schedule: Schedule, device: torch.device) -> Tensor:
    """alpha and sigma, (T, 2) in float32."""
    return torch.stack([schedule.alpha, schedule.sigma], dim=1).float().to(device)


class Adam:
    """Adam or AdamW over one tensor, in place, as one pass over it and its two moments.

    torch.optim's own function without its class, whose bookkeeping would take as long as the pass.
    """

    def __init__(self, parameters: Tensor, settings: Mapping):
        self.parameters, self.settings = parameters, settings
        self.mean, self.square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self.steps = torch.zeros((), device=parameters.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: Tensor | float) -> None:
        adam(
            [self.parameters],
            [gradient],
            [self.mean],
            [self.square],
            [],
            [self.steps],
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=self.settings["weight_decay"],
            decoupled_weight_decay=self.settings["optimiser"] == "adamw",
            amsgrad=False,
            maximize=False,
            fused=True,
            capturable=self.parameters.is_cuda,
        )

    def reset(self) -> None:
        for value in (self.mean, self.square, self.steps):
            value.zero_()


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
        self.loss_gradient = LossGradient(backbone, settings["batch_size"])
        self.optimiser = Adam(backbone.flat, settings)
        # A chunk is a whole number of EMA periods: which of its steps update never changes.
        self.chunk = settings["ema"]["every"] * math.ceil(CHUNK / settings["ema"]["every"])
        models, batch, d = backbone.models, settings["batch_size"], backbone.dimensions
        steps = self.chunk
        with self.device:
            self.times = torch.zeros(steps, models, batch, dtype=torch.int64)
            self.noise = torch.zeros(steps, models, batch, d)
            self.x_t = torch.zeros(steps, models, batch, d)
            self.rates, self.decays = torch.zeros(steps), torch.zeros(steps)
            self.losses = torch.zeros(steps, models)
        self._run_chunk: Callable[[], None] = lambda: self._steps(self.chunk)

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
            self._run_chunk = captured(self._run_chunk)
        else:
            self._steps(3)
        self.backbone.flat.copy_(start)
        self.ema.copy_(start)
        self.optimiser.reset()

    def _draw(self, step: int) -> None:
        """Fill the chunk that starts at a step: timesteps, noise, noisy points, rates, decays."""
        generator = torch.Generator(self.device)
        for model, stream in enumerate(self.streams):
            generator.manual_seed(stream_seed(stream, "batches", step))
            shape = self.chunk, self.settings["batch_size"]
            points = torch.randint(len(self.data), shape, generator=generator, device=self.device)
            times = torch.randint(
                self.backbone.timesteps, shape, generator=generator, device=self.device
            )
            noise = torch.randn(
                *shape, self.backbone.dimensions, generator=generator, device=self.device
            )
            self.times[:, model], self.noise[:, model] = times, noise
            self.x_t[:, model] = diffuse(self.data[points], times, noise, self.scales)
        ahead = range(step, step + self.chunk)
        self.rates.copy_(torch.tensor([learning_rate(done, self.settings) for done in ahead]))
        decays = [ema_decay(done, self.settings["ema"]) or 0.0 for done in ahead]
        self.decays.copy_(torch.tensor(decays))

    def _steps(self, count: int) -> None:
        clip, ema = self.settings["clip_norm"], self.settings["ema"]
        gradient = self.loss_gradient.flat
        each = self.backbone.named_views(gradient).values()
        rates = self.rates if self.device.type == "cuda" else self.rates.tolist()
        for i in range(count):
            self.losses[i] = self.loss_gradient(self.x_t[i], self.times[i], self.noise[i])
            if clip:
                clip_norm(each, clip)
            self.optimiser.step(gradient, rates[i])
            if i % ema["every"] == 0:
                self.ema.lerp_(self.backbone.flat, 1 - self.decays[i])

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
    rows = 1000  # few enough for a CPU's cache
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
        x_t = diffuse(x_0, times, noise, scales)
        total += noise_loss(backbone, x_t, times, noise) * x_0.shape[1]
    return total / len(data)
