"""Variants of the configuration: as they are written, and resolved."""

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from dualscale.classical.generators import AnyClassical
from dualscale.data.normalisations import AnyNormalisation, Whitened
from dualscale.diffusion.categories import Discrete
from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.samplers import Consistency
from dualscale.parts import Name, Part
from dualscale.settings import BranchesModel, ModelSettings, OwnModel, network_of
from dualscale.training.settings import Training
from dualscale.training.targets import Distilled


def _text(pattern: str, words: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.search(pattern, value):
            raise ValueError(f"is {value!r}: {words} is allowed")
        return value

    return AfterValidator(check)


Label = Annotated[
    str,
    _text(
        r"\A(?=.*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+\Z",
        "a line of text without control characters",
    ),
]
Note = Annotated[
    str,
    _text(r"\A[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]*\Z", "text without control characters"),
]
NOT_INHERITED = ("label", "like", "note", "stream")
"""Settings of a variant's name and random streams, which `like` does not copy."""
NORMALISED = (
    "Units in which the network sees the data; null, standard for a file, shared for images and "
    "none for a distribution."
)


class GivenVariant(BaseModel):
    """A variant as it is written, before it is resolved: what it copies and changes."""

    model_config = ConfigDict(extra="allow", strict=True)

    like: str | None = None
    sampling: dict[str, Any] | None = None


class GivenVariants(Part):
    """All variants as they are written."""

    variants: dict[Name, GivenVariant | None] = Field(description="Variants by name.")


class About(Part):
    """Name, random stream and data normalisation of a variant of any kind."""

    label: Label | None = Field(
        None, description="Name in tables and figures, unique within a run; null, its key."
    )
    note: Note | None = Field(None, description="Footnote in Table 1.")
    stream: Name | None = Field(
        None,
        description="Name of a random stream of its own; without it, variants share their random "
        "numbers.",
    )
    normalisation: AnyNormalisation | None = Field(None, description=NORMALISED)


class VariantSettings(About, ModelSettings):
    """A variant with a network: its model and how it is trained."""

    training: Training = Field(Training(), description="Optimisation of the parameters.")
    sampling: Sampling = Field(Sampling(), description="How samples are drawn.")

    @property
    def tells_columns_apart(self) -> bool:
        """Whether columns are treated each in its own way: discrete categories, or conditioning."""
        return isinstance(self.categories, Discrete) or bool(getattr(self, "conditioning", None))

    @model_validator(mode="after")
    def _loss_has_weight(self) -> "VariantSettings":
        levels, loss = self.schedule.levels(), self.training.loss
        if loss.divides_by_alpha and levels.end_in_noise:
            raise ValueError(
                f"training.loss.kind is {loss.kind!r}: it divides by alpha, which is 0 at the "
                f"last timestep of schedule.kind {self.schedule.kind!r}"
            )
        loss.require_weight(levels)
        return self

    @model_validator(mode="after")
    def _noise_is_independent(self) -> "VariantSettings":
        coupling = self.training.coupling.kind
        if coupling != "independent" and self.tells_columns_apart:
            raise ValueError(
                f"training.coupling is {coupling!r}: with discrete categories or conditioning, "
                "'independent' is allowed, since matched noise tells of what it is added to"
            )
        return self

    @model_validator(mode="after")
    def _target_is_of_all_columns(self) -> "VariantSettings":
        target = self.training.target.kind
        if target != "drawn" and self.tells_columns_apart:
            raise ValueError(
                f"training.target is {target!r}: with discrete categories or conditioning, 'drawn' "
                "is allowed, since its weights are of Gaussian noise on every column"
            )
        return self

    @model_validator(mode="after")
    def _sampler_fits(self) -> "VariantSettings":
        sampler, target = self.sampling.sampler, self.training.target
        if isinstance(target, Distilled) != isinstance(sampler, Consistency):
            raise ValueError(
                f"sampling.sampler is {sampler.kind!r}, training.target {target.kind!r}: "
                "'consistency' and 'distilled' belong together, since such a network leads from "
                "noise to data at once"
            )
        levels = self.schedule.levels()
        if isinstance(target, Distilled) and self.sampling.visited(levels).alpha[0] == 0:
            raise ValueError(
                "training.target is 'distilled', and alpha is 0 where sampling starts, from where "
                "no ODE leads: a sampling.spacing of lower levels is allowed"
            )
        return self

    @model_validator(mode="after")
    def _columns_stay_apart(self) -> "VariantSettings":
        if isinstance(self.normalisation, Whitened) and self.tells_columns_apart:
            raise ValueError(
                "normalisation is 'whitened': with discrete categories or conditioning, 'standard' "
                "is allowed, since it mixes columns"
            )
        return self


class BranchesVariant(VariantSettings, BranchesModel):
    """Variant whose network is made of branches."""


class OwnVariant(VariantSettings, OwnModel):
    """Variant whose network is a user-defined class."""

    @model_validator(mode="after")
    def _target_is_drawn(self) -> "OwnVariant":
        if self.training.target.kind != "drawn":
            raise ValueError(
                f"training.target is {self.training.target.kind!r}: with architecture, 'drawn' is "
                "allowed, since such a network makes its examples itself"
            )
        return self


class ClassicalVariant(About):
    """Variant without a network."""

    classical: AnyClassical = Field(description="Generator that is fitted to the training points.")

    @model_validator(mode="after")
    def _columns_stay_apart(self) -> "ClassicalVariant":
        if isinstance(self.normalisation, Whitened):
            raise ValueError(
                "normalisation is 'whitened': with classical, 'standard' is allowed, since it "
                "mixes columns"
            )
        return self


def _kind_of_variant(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", ())
    return "classical" if "classical" in keys else network_of(value)


AnyVariant = Annotated[
    Annotated[BranchesVariant, Tag("of branches")]
    | Annotated[OwnVariant, Tag("of one's own")]
    | Annotated[ClassicalVariant, Tag("classical")],
    Discriminator(_kind_of_variant),
]
