"""The configuration's tree of parts; the variants are in `variants.py`."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dualscale.config.sweep import Sweep
from dualscale.config.variants import NORMALISED, AnyVariant, ClassicalVariant
from dualscale.data.files import AnyDataset
from dualscale.data.images import Images
from dualscale.data.normalisations import AnyNormalisation
from dualscale.data.sources import Known
from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.predictions import AnyPrediction, Epsilon
from dualscale.diffusion.samplers import Sampler
from dualscale.diffusion.schedules import AnySchedule, Linear
from dualscale.errors import unknown
from dualscale.metrics.distances import Metrics, every_metric
from dualscale.metrics.quality.kinds import TableMetrics, every_table_metric
from dualscale.networks.settings import Size
from dualscale.parts import REAL, Name, Once, Part, Seed, kinds
from dualscale.settings import PRECISION, Precision
from dualscale.training.settings import Training

Names = Annotated[list[Name], Once]
Margin = Annotated[float, Field(ge=0, le=100)]


class Run(Part):
    """Variants, datasets and seeds to run."""

    variants: Annotated[Names, Field(min_length=1)] = Field(description="Variants to train.")
    datasets: Annotated[Names, Field(min_length=1)] = Field(description="Datasets to train on.")
    seeds: Annotated[list[Seed], Once, Field(min_length=1)] = Field(
        description="Seeds. The first is the one that Figure 1 shows."
    )
    seeds_per_job: int = Field(
        1,
        ge=1,
        le=4096,
        description="Seeds of a (variant, dataset) that one job trains as one stack. More than 1 "
        "pays on a GPU.",
    )


class KL(Part):
    """The k-nearest-neighbour estimate of KL(real || generated)."""

    k: int = Field(
        5,
        ge=1,
        le=100_000,
        description="The estimate uses distances to the k-th nearest neighbour.",
    )
    real_points: int | None = Field(
        None,
        ge=2,
        le=100_000_000,
        description="Largest number of real points used, from the first; null, all. In many "
        "dimensions the time grows with their square.",
    )


class Steps(Part):
    """KL against the number of network function evaluations (NFE): `snakemake few_steps`."""

    variants: Names = Field(
        [], description="Variants to draw from; those that are not run are left out."
    )
    samplings: dict[Name, dict[str, Any]] = Field(
        {kind: {"sampler": kind} for kind in kinds(Sampler)},
        description="Ways of sampling by name: the keys of a variant's `sampling` that each "
        "changes. By default, every kind of sampler, to which others are added; null takes one "
        "away. One that gives `steps` is tried in that number alone.",
    )
    counts: Annotated[list[Annotated[int, Field(ge=1, le=100_000)]], Once, Field(min_length=1)] = (
        Field(
            [1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100],
            description="Numbers of steps to try in every way, up to all timesteps.",
        )
    )
    metrics: Metrics = Field([], description="Metrics of these samples beside the KL.")
    margin_bits: Margin = Field(
        0.02, description="How far the KL of few steps may exceed the full run's."
    )


class Study(Part):
    """Comparisons of variants, and where their KL comes from: `snakemake study`."""

    comparisons: list[Annotated[Names, Field(min_length=2, max_length=2)]] = Field(
        [], description="Pairs of a variant and the one it is compared with."
    )
    margin_bits: Margin = Field(0.02, description="Equivalence margin of the KL, in bits.")
    floors: int = Field(
        10,
        ge=2,
        le=1000,
        description="Samples of fresh real points, each of sampling.points; the mean of their KL "
        "is the floor.",
    )
    seeds: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="How many of run.seeds, from the first, get the metrics other than the KL, "
        "which take long; null, all.",
    )
    metrics: Metrics = Field(
        default_factory=every_metric,
        description="Metrics of the samples beside the KL; without it, every kind.",
    )
    draws: int = Field(
        1,
        ge=1,
        le=1000,
        description="Further samples of each model, for the variance of the KL due to sampling.",
    )
    points: int = Field(
        2000,
        ge=2,
        le=1_000_000,
        description="Perturbed points per timestep for the score error; real points for the "
        "likelihood.",
    )


class Quality(Part):
    """Comparison of generated tables with real ones: `results/quality/`."""

    metrics: TableMetrics = Field(
        default_factory=every_table_metric,
        description="Metrics of the generated rows; without it, every kind.",
    )


class Sections(Part):
    """Everything but the variants."""

    run: Run = Field(description="What to run.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU where PyTorch can use one."
    )
    datasets: Annotated[dict[Name, AnyDataset], Field(min_length=1)] = Field(
        description="Datasets by name."
    )
    normalisation: AnyNormalisation | None = Field(None, description=NORMALISED)
    network: Size = Field(Size(), description="Size and features of every branch.")
    schedule: AnySchedule = Field(Linear(), description="Noise schedule.")
    prediction: AnyPrediction = Field(Epsilon(), description="Target of the network.")
    precision: Precision = Field("float32", description=PRECISION)
    training: Training = Field(Training(), description="Optimisation of the parameters.")
    sampling: Sampling = Field(Sampling(), description="How samples are drawn.")
    kl: KL = Field(KL(), description="Estimate of the KL.")
    steps: Steps = Field(Steps(), description="Sampling in few steps.")
    sweep: Sweep = Field(Sweep(), description="Search among settings of a variant.")
    study: Study = Field(Study(), description="Statistics and decomposition of the KL.")
    quality: Quality = Field(Quality(), description="Quality of generated tables.")


class TriedSteps(Part):
    """Ways of sampling, complete."""

    samplings: dict[Name, Sampling] = Field(description="By name.")


class Tried(Part):
    """Ways of sampling a variant in few steps, at their place in the configuration."""

    steps: TriedSteps = Field(description="Sampling in few steps.")


class Configuration(Sections):
    """The whole configuration, with every variant resolved."""

    variants: Annotated[dict[Name, AnyVariant], Field(min_length=1)] = Field(
        description="Variants by name."
    )

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Configuration":
        lists: dict[str, tuple[list[str], dict[str, Any]]] = {
            "run.variants": (self.run.variants, self.variants),
            "run.datasets": (self.run.datasets, self.datasets),
            "steps.variants": (self.steps.variants, self.variants),
            "sweep.datasets": (self.sweep.datasets or [], self.datasets),
        }
        for index, pair in enumerate(self.study.comparisons):
            lists[f"study.comparisons.{index}"] = pair, self.variants
        if self.sweep.choices:
            lists["sweep.variant"] = [str(self.sweep.variant)], self.variants
        for key, (names, known) in lists.items():
            for name in names:
                if name not in known:
                    raise ValueError(unknown(key, name, known))
        if REAL in self.variants:
            raise ValueError(
                f"variants has {REAL!r}, the study's name for fresh real points: choose another"
            )
        return self

    @model_validator(mode="after")
    def _a_network_is_run(self) -> "Configuration":
        if all(isinstance(self.variants[name], ClassicalVariant) for name in self.run.variants):
            raise ValueError(
                f"run.variants is {self.run.variants}: one at least needs a network, these are "
                "classical"
            )
        return self

    @model_validator(mode="after")
    def _a_sweep_can_judge(self) -> "Configuration":
        sweep = self.sweep
        if not sweep.choices:
            return self
        if isinstance(self.variants[str(sweep.variant)], ClassicalVariant):
            raise ValueError(f"sweep.variant is {sweep.variant!r}, classical: a network is allowed")
        for name in sweep.datasets or []:
            if isinstance(self.datasets[name], Images):
                raise ValueError(f"sweep.datasets has {name!r}, images: points are allowed")
        for seed in sweep.seeds:
            if seed in self.run.seeds:
                raise ValueError(
                    f"sweep.seeds has {seed}, which run.seeds has, too: settings are tuned on "
                    "seeds that do not report; take another"
                )
        return self

    @model_validator(mode="after")
    def _enough_points(self) -> "Configuration":
        k, most = self.kl.k, self.kl.real_points
        if k > self.sampling.points:
            raise ValueError(
                f"kl.k is {k}: at most sampling.points, {self.sampling.points}, is allowed"
            )
        if most is not None and k >= most:
            raise ValueError(f"kl.k is {k}: less than kl.real_points, {most}, is allowed")
        # A file's points are counted by the job that reads it.
        for name in [*self.run.datasets, *(self.sweep.datasets or [])]:
            dataset = self.datasets[name]
            if isinstance(dataset, Known) and k >= dataset.points:
                raise ValueError(
                    f"kl.k is {k}: less than datasets.{name}.points, {dataset.points}, is allowed"
                )
        return self

    @model_validator(mode="after")
    def _labels_differ(self) -> "Configuration":
        names: dict[str, str] = {}
        for name in self.run.variants:
            label = " ".join((self.variants[name].label or name).split())
            if label in names:
                raise ValueError(
                    f"variants.{name}.label is {label!r}, as that of variants.{names[label]} is: "
                    "each of run.variants needs a label of its own"
                )
            names[label] = name
        return self
