"""Metrics of generated images beside held-out ones: each has blind spots.

The k-nearest-neighbour KL is not among them: with as many coordinates as pixels and a thousand
images its estimate says more of the number of images than of what they show.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast
from pydantic import TypeAdapter

from dualscale.data.units import own_units
from dualscale.metrics.distances import ClassifierTest
from dualscale.metrics.kl import Reference
from dualscale.metrics.metric import Array, Column, Samples, by_column
from dualscale.metrics.recogniser import Recogniser
from dualscale.parts import Choice, OneOf, kinds
from dualscale.runtime.records import RUN


@dataclass(frozen=True)
class ImageSamples:
    """Generated images and as many held-out ones, all (n, d), and those that were trained on.

    Args:
        recogniser: classifier, trained on the training images.
        seed: of a metric's random numbers.
    """

    generated: Array
    held_out: Array
    training: Array
    recogniser: Recogniser
    seed: int = 0

    @cached_property
    def pair(self) -> tuple[Array, Array]:
        return self.held_out, self.generated


class ImageMetric(Choice):
    """Comparison of generated images with held-out ones."""

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """Return the columns of its values, whose names no other metric of images has."""

    @abstractmethod
    def measure(self, samples: ImageSamples) -> Sequence[float]:
        """Return a value for each column."""


class Frechet(ImageMetric):
    """Fréchet distance between Gaussians fitted to the classifier's features (Heusel et al. 2017).

    |m - m'|² + tr(C + C' - 2 (C C')^(1/2)); as many features as the last hidden layer has units.
    """

    kind: Literal["frechet"] = "frechet"

    def columns(self) -> list[Column]:
        return [Column("frechet_distance", "Fréchet distance", 2)]

    def measure(self, samples: ImageSamples) -> list[float]:
        features = [samples.recogniser.features(images) for images in samples.pair]
        mean, other = (each.mean(axis=0) for each in features)
        covariance, another = (np.cov(each, rowvar=False) for each in features)
        # The product's eigenvalues are those of root @ another @ root, which is symmetric.
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(values.clip(0)) @ vectors.T
        common = np.sqrt(np.linalg.eigvalsh(root @ another @ root).clip(0)).sum()
        traces = np.trace(covariance) + np.trace(another)
        return [float(np.square(mean - other).sum() + traces - 2 * common)]


class ImageClassifierTest(ImageMetric):
    """Accuracy of the classifier two-sample test on pixels, as `classifier` has it for points."""

    kind: Literal["classifier"] = "classifier"

    def columns(self) -> list[Column]:
        return [Column("classifier_accuracy", "C2ST accuracy")]

    def measure(self, samples: ImageSamples) -> list[float]:
        held_out, generated = samples.pair
        none = np.empty((len(held_out), 0))
        reference = Reference(held_out, none, [], own_units(held_out.shape[1]))
        return ClassifierTest().measure(Samples(reference, generated, seed=samples.seed))[:1]


class NearestImage(ImageMetric):
    """Euclidean distance to the nearest training image, and the share of near copies.

    The median is given as a share of that of held-out images. A near copy is nearer than all but
    1 % of these.
    """

    kind: Literal["nearest_training"] = "nearest_training"
    rare: ClassVar[float] = 0.01

    def columns(self) -> list[Column]:
        return [
            Column("nearest_training", "distance to training images"),
            Column("near_copies_share", "near copies"),
        ]

    def measure(self, samples: ImageSamples) -> list[float]:
        tree = scipy.spatial.cKDTree(samples.training)
        held_out, generated = (tree.query(images)[0] for images in samples.pair)
        ratio = np.median(generated) / np.median(held_out)
        return [float(ratio), float(np.mean(generated < np.quantile(held_out, self.rare)))]


class ClassShares(ImageMetric):
    """Total variation distance between the shares of the classes, as the classifier sees them."""

    kind: Literal["class_shares"] = "class_shares"

    def columns(self) -> list[Column]:
        return [Column("class_shares_distance", "distance of class shares")]

    def measure(self, samples: ImageSamples) -> list[float]:
        count = samples.recogniser.count
        held_out, generated = (
            np.bincount(samples.recogniser.classes(images), minlength=count) / len(images)
            for images in samples.pair
        )
        return [float(np.abs(held_out - generated).sum() / 2)]


AnyImageMetric = Annotated[ImageMetric, OneOf()]
IMAGE_METRICS: list[ImageMetric] = TypeAdapter(list[AnyImageMetric]).validate_python(
    kinds(ImageMetric)
)
"""Every kind, with its defaults."""
IMAGE_COLUMNS = [
    *RUN,
    *(column.name for metric in IMAGE_METRICS for column in metric.columns()),
    *("train_seconds", "sample_seconds", "eval_loss", "parameters", "device"),
]
"""Columns of the table of all runs on images."""


def measured(samples: Sequence[ImageSamples]) -> dict[str, float | None]:
    """Return the values of all metrics by column, each the mean over several samples."""

    def means(metric: ImageMetric) -> list[float]:
        found: list[float] = np.mean([metric.measure(each) for each in samples], axis=0).tolist()
        return found

    return by_column(IMAGE_METRICS, means)
