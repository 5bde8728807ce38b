"""Metrics beside the paper's KL, which compare a sample with real points: each has blind spots.

If both come from one distribution, the energy and Wasserstein distances are 0 up to sampling error;
the docstrings of the others give their values.
"""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast
from pydantic import AfterValidator, Field, TypeAdapter

from dualscale.data.discs import Discs
from dualscale.data.distributions import GaussianMixture
from dualscale.metrics.kl import Reference, kth_distances
from dualscale.metrics.metric import Array, Column, Metric, Samples, each_column_once
from dualscale.parts import Once, OneOf, kinds

Neighbours = Annotated[
    list[Annotated[int, Field(ge=1, le=100_000)]], Field(min_length=1, max_length=100), Once
]


class KL(Metric):
    """KL(real || generated) in bits with several numbers of nearest neighbours."""

    kind: Literal["kl"] = "kl"
    k: Neighbours = Field([1, 5, 20], description="Numbers of neighbours, each with a column.")

    def columns(self) -> list[Column]:
        return [Column(f"kl_k{k}_bits", f"KL, k = {k}") for k in self.k]

    def measure(self, samples: Samples) -> list[float | None]:
        reference = samples.reference
        found = reference.kls(samples.drawn, samples.threads, samples.expect)
        return [found[list(reference.ks).index(k)] for k in self.k]

    def neighbours(self) -> list[int]:
        return self.k


class ReverseKL(Metric):
    """KL(generated || real) in bits with several numbers of nearest neighbours."""

    kind: Literal["reverse_kl"] = "reverse_kl"
    k: Neighbours = Field([1, 5, 20], description="Numbers of neighbours, each with a column.")

    def columns(self) -> list[Column]:
        return [Column(f"reverse_kl_k{k}_bits", f"reverse KL, k = {k}") for k in self.k]

    def measure(self, samples: Samples) -> list[float | None]:
        threads, expect = samples.threads, samples.expect
        reference = Reference.of(samples.generated, self.k, workers=threads, expect=expect)
        return reference.kls(samples.reference.points, threads, expect)


class ClassifierTest(Metric):
    """Classifier two-sample test (C2ST) with boosted trees: accuracy and p-value.

    Trained on one half and tested on the other (Lopez-Paz and Oquab 2017); accuracy 0.5 means
    indistinguishable. The p-value is from a one-sided binomial test.
    """

    kind: Literal["classifier"] = "classifier"

    def columns(self) -> list[Column]:
        return [
            Column("classifier_accuracy", "C2ST accuracy"),
            Column("classifier_p", "C2ST p"),
        ]

    def measure(self, samples: Samples) -> list[float]:
        from sklearn.ensemble import HistGradientBoostingClassifier

        real, generated = samples.equal
        rng = np.random.default_rng(samples.seed)
        points = np.concatenate([real, generated])
        labels = np.concatenate([np.zeros(len(real)), np.ones(len(generated))])
        order = rng.permutation(len(points))
        train, judge = order[: len(order) // 2], order[len(order) // 2 :]
        trees = HistGradientBoostingClassifier(random_state=samples.seed)
        right = trees.fit(points[train], labels[train]).predict(points[judge]) == labels[judge]
        # Accuracy of always guessing the larger class; 0.5 for samples of equal size.
        chance = max(labels.mean(), 1 - labels.mean())
        test = scipy.stats.binomtest(int(right.sum()), len(right), chance, alternative="greater")
        return [float(right.mean()), float(test.pvalue)]


class Coverage(Metric):
    """Share of real points with a generated point within the distance of their k-th real neighbour.

    Naeem et al. (2020), equation 5. For two samples of one distribution and size n its expectation
    is 1 - prod_{i = 1…k} (n - i) / (2 n - i), about 1 - 2^-k.
    """

    kind: Literal["coverage"] = "coverage"
    k: int = Field(5, ge=1, le=100_000, description="Real neighbour whose distance is taken.")

    def columns(self) -> list[Column]:
        return [Column("coverage", "coverage")]

    def measure(self, samples: Samples) -> list[float]:
        real, generated = samples.equal
        radius = scipy.spatial.cKDTree(real).query(real, [self.k + 1])[0][:, 0]
        nearest = scipy.spatial.cKDTree(generated).query(real, [1])[0][:, 0]
        return [float(np.mean(nearest <= radius))]


class OffSupport(Metric):
    """Share of generated points below the 0.1 % quantile of the real points' density.

    0.001 if both come from one distribution; less at a hard edge.
    """

    kind: Literal["off_support"] = "off_support"

    def columns(self) -> list[Column]:
        return [Column("off_support_share", "share off support", needs_density=True)]

    def measure(self, samples: Samples) -> list[float]:
        assert samples.distribution is not None
        density = samples.distribution.log_density
        real, generated = (density(points.astype(np.float64)) for points in samples.equal)
        return [float(np.mean(generated < np.quantile(real, 0.001)))]


class BlobWidth(Metric):
    """Standard deviation within blobs, as a share of that of the real points.

    1 if both come from one distribution. For mixtures of discs, or of at most 200 Gaussians: curves
    are mixtures too, of Gaussians that overlap. Points farther from every centre than 1.8 radii, or
    5 sqrt(d / 2) standard deviations, belong to no blob.
    """

    kind: Literal["blob_width"] = "blob_width"
    most: ClassVar[int] = 200  # Gaussians

    def columns(self) -> list[Column]:
        return [Column("blob_width_ratio", "blob width", needs_density=True)]

    def measure(self, samples: Samples) -> list[float | None]:
        match samples.distribution:
            case Discs(centres=centres, radius=radius):
                reach = 1.8 * radius
            case GaussianMixture(means=centres, width=width) if len(centres) <= self.most:
                reach = 5 * math.sqrt(centres.shape[1] / 2) * width.max()
            case _:
                return [None]
        blobs = scipy.spatial.cKDTree(centres)
        real, generated = (self._offsets(points, blobs, reach) for points in samples.equal)
        return [float(generated.std() / real.std()) if len(generated) else None]

    def _offsets(self, points: Array, blobs: scipy.spatial.cKDTree, reach: float) -> Array:
        """Return the points of blobs less their nearest centre."""
        distances, nearest = blobs.query(points)
        offsets: Array = (points - blobs.data[nearest])[distances < reach]
        return offsets


class EnergyDistance(Metric):
    """Unbiased energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'|, in the model's units.

    Székely and Rizzo (2013), equation 2, without pairs of a point with itself.
    """

    kind: Literal["energy_distance"] = "energy_distance"
    rows: ClassVar[int] = 500  # at a time, which bounds the memory

    def columns(self) -> list[Column]:
        return [Column("energy_distance", "energy distance")]

    def measure(self, samples: Samples) -> list[float]:
        x, y = samples.equal
        n, m = len(x), len(y)
        between = self._sum(x, y) / (n * m)
        return [2 * between - self._sum(x, x) / (n * (n - 1)) - self._sum(y, y) / (m * (m - 1))]

    def _sum(self, x: Array, y: Array) -> float:
        """Sum of all pairwise distances."""
        blocks = (x[start : start + self.rows] for start in range(0, len(x), self.rows))
        return float(sum(scipy.spatial.distance.cdist(block, y).sum() for block in blocks))


class SlicedWasserstein(Metric):
    """Sliced 1-Wasserstein distance, in the model's units (Bonneel et al. 2015).

    Mean over random directions, uniform on the sphere, of the distance of the projections.
    """

    kind: Literal["sliced_wasserstein"] = "sliced_wasserstein"
    directions: int = Field(100, ge=1, le=100_000, description="Number of directions.")

    def columns(self) -> list[Column]:
        return [Column("sliced_wasserstein", "sliced Wasserstein")]

    def measure(self, samples: Samples) -> list[float]:
        x, y = samples.equal
        rng = np.random.default_rng(samples.seed)
        normals = rng.standard_normal((self.directions, x.shape[1]))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        distance = scipy.stats.wasserstein_distance
        return [float(np.mean([distance(x @ v, y @ v) for v in normals]))]


class NearestTraining(Metric):
    """Median distance to the nearest training point, as a share of that of fresh real points.

    Chebyshev distance. 1 for points of the same distribution, 0 for the training points themselves.
    """

    kind: Literal["nearest_training"] = "nearest_training"

    def columns(self) -> list[Column]:
        return [Column("nearest_training", "distance to training points")]

    def measure(self, samples: Samples) -> list[float | None]:
        generated, fresh = (
            np.median(kth_distances(points, samples.trained_on, [1], samples.threads))
            for points in (samples.generated, samples.fresh)
        )
        return [float(generated / fresh) if fresh > 0 else None]


def every_metric() -> list[Metric]:
    """Return every kind of metric with its defaults."""
    return METRICS.validate_python(kinds(Metric))


AnyMetric = Annotated[Metric, OneOf()]
Metrics = Annotated[list[AnyMetric], AfterValidator(each_column_once)]
METRICS: TypeAdapter[list[Metric]] = TypeAdapter(Metrics)
