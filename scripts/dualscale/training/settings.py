"""Settings of training: steps, batches, learning rate and EMA."""

import math

from pydantic import Field, model_validator

from dualscale.diffusion.losses import AnyLossWeighting, Uniform
from dualscale.parts import Part
from dualscale.training.couplings import AnyCoupling, Independent
from dualscale.training.optimisers import Adam, AnyOptimiser
from dualscale.training.targets import AnyTarget, Distilled, Drawn


class EMA(Part):
    """Exponential moving average of the parameters, with which samples are drawn."""

    decay: float = Field(0.995, ge=0, le=0.9999999, description="Decay per update.")
    every: int = Field(10, ge=1, le=100, description="Optimiser steps between updates.")
    warmup: bool = Field(False, description="Copy the parameters first, then raise the decay.")

    def decay_after(self, done: int) -> float | None:
        """Return the decay at the optimiser step after `done` steps; None: no update.

        With warm-up it is 0 (a copy) while done <= 110, then min(decay, 1 - (done - 99)^(-2/3)).
        """
        if done % self.every:
            return None
        if not self.warmup:
            return self.decay
        return 0.0 if done <= 110 else min(self.decay, 1 - (done - 99) ** (-2 / 3))

    def initial_share(self, steps: int) -> float:
        """Return the share of the initial parameters in the average after `steps`."""
        return 0.0 if self.warmup else self.decay ** math.ceil(steps / self.every)

    def decay_for(self, steps: int, share: float = 0.01) -> float:
        """Return a decay, of two decimals, that leaves at most that share after `steps`."""
        return math.floor(100 * share ** (1 / math.ceil(steps / self.every))) / 100


class Training(Part):
    """Optimisation of the parameters."""

    steps: int = Field(10_000, ge=1, le=100_000_000, description="Number of optimiser steps.")
    batch_size: int = Field(256, ge=1, le=1_000_000, description="Points per step.")
    antithetic_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of a batch in antithetic pairs: same point and time, opposite noise.",
    )
    coupling: AnyCoupling = Field(
        Independent(), description="Which noise each point of a batch is perturbed with."
    )
    target: AnyTarget = Field(Drawn(), description="Clean point that the network is asked for.")
    learning_rate: float = Field(
        3e-4,
        ge=1e-10,
        le=10,
        description="Learning rate of the first step, annealed to 0 by a cosine. Adam changes each "
        "parameter by about this much; below 1e-10, less than half the spacing of float32 at 1/256 "
        "(the bound of the initial parameters of the widest network), it has no effect.",
    )
    optimiser: AnyOptimiser = Field(Adam(), description="Optimiser.")
    # Gradients clipped to less are lost in Adam's epsilon.
    clip_norm: float | None = Field(
        None, ge=1e-6, description="Largest norm of a model's gradient; null: it is not clipped."
    )
    loss: AnyLossWeighting = Field(Uniform(), description="Weighting of the timesteps.")
    ema: EMA = Field(EMA(), description="Exponential moving average of the parameters.")

    @model_validator(mode="after")
    def _pairs_fit(self) -> "Training":
        if self.antithetic_fraction and self.coupling.kind != "independent":
            raise ValueError(
                f"antithetic_fraction is {self.antithetic_fraction:g}: with coupling "
                f"{self.coupling.kind!r} 0 is allowed, since opposite noise is not matched noise"
            )
        return self

    @model_validator(mode="after")
    def _target_fits(self) -> "Training":
        if self.target.kind != "drawn" and self.coupling.kind != "independent":
            raise ValueError(
                f"target is {self.target.kind!r}: with coupling {self.coupling.kind!r} 'drawn' is "
                "allowed, since matched noise tells of the point that it is added to"
            )
        return self

    @model_validator(mode="after")
    def _ends_fit(self) -> "Training":
        if isinstance(self.target, Distilled) and self.antithetic_fraction:
            raise ValueError(
                f"antithetic_fraction is {self.antithetic_fraction:g}: with target 'distilled' 0 "
                "is allowed, since opposite noise leads elsewhere"
            )
        return self

    @property
    def pairs(self) -> int:
        """Number of antithetic pairs in a batch."""
        return min(round(self.antithetic_fraction * self.batch_size / 2), self.batch_size // 2)

    def learning_rate_after(self, done: int) -> float:
        """Return the learning rate after `done` steps: cosine annealing to 0."""
        return 0.5 * self.learning_rate * (1 + math.cos(math.pi * done / self.steps))
