"""Settings for drawing points from a model: prior, spacing of the levels, sampler and steps."""

from pydantic import Field

from dualscale.diffusion.cascade import AnyMethod, Cascaded
from dualscale.diffusion.priors import AnyPrior, Standard
from dualscale.diffusion.samplers import Ancestral
from dualscale.diffusion.schedules import NoiseLevels
from dualscale.diffusion.spacings import AnySpacing, Trailing, Visited
from dualscale.parts import Part


class Drawing(Part):
    """Prior, sampler and number of steps with which points are drawn from a model."""

    prior: AnyPrior = Field(Standard(), description="Distribution that sampling starts from.")
    sampler: AnyMethod = Field(Ancestral(), description="Method of the reverse process.")
    spacing: AnySpacing = Field(
        Trailing(), description="Which of the schedule's timesteps the sampler visits."
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="How many of the schedule's timesteps the sampler visits; null, all that the "
        "spacing allows.",
    )

    def visited(self, levels: NoiseLevels) -> Visited:
        """Return the levels that the sampler visits, out of those that the network knows."""
        return self.spacing.visited(levels, self.steps)

    def evaluations(self, levels: NoiseLevels) -> int:
        """Return the number of network function evaluations (NFE) per sample."""
        return self.sampler.evaluations(self.visited(levels))

    def require_fit(self, levels: NoiseLevels, at: str = "sampling.") -> None:
        """Raise a ValueError if points cannot be drawn in this way at these noise levels."""
        allowed = self.spacing.allowed(levels)
        most = len(allowed)
        if self.steps is not None and self.steps > most:
            of_all = most == levels.timesteps
            what = "schedule.timesteps" if of_all else f"the timesteps within {at}spacing"
            raise ValueError(f"{at}steps is {self.steps}: at most {what}, {most}, is allowed")
        if isinstance(self.sampler, Cascaded) and not isinstance(self.prior, Standard):
            raise ValueError(
                f"{at}prior is {self.prior.kind!r}: with {at}sampler 'cascaded', 'standard' is "
                "allowed, since coarse points have other moments"
            )
        if self.sampler.divides_by_alpha and levels.alpha[allowed[-1]] == 0:
            raise ValueError(
                f"{at}sampler is {self.sampler.kind!r}: it divides by alpha, which is 0 at "
                "this schedule's last timestep"
            )


class Sampling(Drawing):
    """Drawing of the sample on which a model is evaluated."""

    points: int = Field(10_000, ge=1, le=100_000_000, description="Number of generated points.")
