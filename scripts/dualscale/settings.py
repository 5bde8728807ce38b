"""Settings of a trained model, as its file keeps them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dualscale.diffusion.cascade import Cascaded
from dualscale.diffusion.categories import AnyCategories, Discrete, Gaussian
from dualscale.diffusion.conditioning import Conditioning
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.predictions import AnyPrediction, Epsilon
from dualscale.diffusion.schedules import AnySchedule, Linear
from dualscale.networks.settings import Architecture, DualScale
from dualscale.parts import Part

Precision = Literal["float32", "bfloat16"]
PRECISION = (
    "Type of the network's products and activations; parameters, optimiser, EMA, loss and the "
    "sampler's state are float32."
)
MOST_TIME_FEATURES = 2**25  # T times the features of each, which are kept in memory


class ModelSettings(Part):
    """Everything that a model is built and sampled with, apart from its network and weights."""

    schedule: AnySchedule = Field(Linear(), description="Noise schedule of the forward process.")
    prediction: AnyPrediction = Field(Epsilon(), description="Target of the network.")
    categories: AnyCategories = Field(
        Gaussian(),
        exclude_if=lambda value: value == Gaussian(),
        description="Noise of a table's categories, beside that of its numbers.",
    )
    sampling: Drawing = Field(Drawing(), description="How points are drawn.")
    precision: Precision = Field("float32", description=PRECISION)

    @model_validator(mode="after")
    def _fit(self) -> "ModelSettings":
        levels = self.schedule.levels()
        if self.prediction.divides_by_alpha and levels.end_in_noise:
            raise ValueError(
                f"prediction is {self.prediction.kind!r}: it divides by alpha, which is 0 at the "
                f"last timestep of schedule.kind {self.schedule.kind!r}"
            )
        self.sampling.require_fit(levels)
        if isinstance(self.categories, Discrete) and isinstance(self.sampling.sampler, Cascaded):
            raise ValueError(
                f"categories is {self.categories.kind!r}: with sampling.sampler 'cascaded', "
                "'gaussian' is allowed, since coarse points have no categories"
            )
        if isinstance(self.categories, Discrete):
            self.categories.require_start(self.sampling.visited(levels))
        return self


class BranchesModel(DualScale, ModelSettings):
    """Settings of a model whose network is made of branches."""

    conditioning: Conditioning | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="Columns that can be given when points are drawn; null, none.",
    )

    @model_validator(mode="after")
    def _has_one_stage(self) -> "BranchesModel":
        if isinstance(self.sampling.sampler, Cascaded):
            raise ValueError(
                "sampling.sampler is 'cascaded': branches are one stage; an architecture of two is "
                "allowed"
            )
        return self

    @model_validator(mode="after")
    def _time_features_fit(self) -> "BranchesModel":
        timesteps, embedding = self.schedule.timesteps, self.network.embedding
        if timesteps * embedding > MOST_TIME_FEATURES:
            raise ValueError(
                f"schedule.timesteps is {timesteps}: with network.embedding {embedding}, "
                f"{MOST_TIME_FEATURES // embedding} or less is allowed"
            )
        return self


class OwnModel(ModelSettings):
    """Settings of a model whose network is a user-defined class."""

    architecture: Architecture = Field(description="The class.")


def network_of(value: Any) -> str:
    """Return the tag of a model's kind of network."""
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", ())
    return "of one's own" if "architecture" in keys else "of branches"


AnyModel = Annotated[
    Annotated[BranchesModel, Tag("of branches")] | Annotated[OwnModel, Tag("of one's own")],
    Discriminator(network_of),
]
