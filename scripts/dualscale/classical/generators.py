"""Generators without a network: density estimates, and the training points themselves."""

import logging
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from dualscale.classical.generator import Array, Classical, Examples, Fitted
from dualscale.classical.tables import SMOTE  # noqa: F401  # parts are found by their base
from dualscale.parts import Once, OneOf


class GaussianMixture(Classical):
    """Gaussian mixture with full covariances by expectation maximisation from k-means.

    Dempster, Laird and Rubin (1977); the number of components is the one with the least BIC
    (Schwarz 1978).
    """

    kind: Literal["gaussian_mixture"] = "gaussian_mixture"
    components: Annotated[
        list[Annotated[int, Field(ge=1, le=100_000)]], Field(min_length=1, max_length=100), Once
    ] = Field(
        [10, 20, 50, 100, 200, 300],
        description="Numbers of components to choose from, at most that of the points.",
    )

    def fit(self, examples: Examples, seed: int) -> Fitted:
        from sklearn.mixture import GaussianMixture as Mixture

        points = examples.points
        counts = sorted({min(count, len(points)) for count in self.components})
        fits = [Mixture(count, random_state=seed).fit(points) for count in counts]
        bic = [fit.bic(points) for fit in fits]
        best = fits[int(np.argmin(bic))]
        logging.info("BIC of %s components: %s", counts, ", ".join(f"{value:.0f}" for value in bic))
        count, d = best.means_.shape
        weights = best.weights_.astype(np.float64)
        weights /= weights.sum()
        factors = np.linalg.cholesky(best.covariances_)

        def draw(n: int, rng: np.random.Generator) -> Array:
            chosen = rng.choice(count, n, p=weights)
            normal = rng.standard_normal((n, d))
            drawn: Array = best.means_[chosen] + np.einsum("nij,nj->ni", factors[chosen], normal)
            return drawn

        return Fitted(count * (1 + d + d * (d + 1) // 2) - 1, draw)


class KernelDensity(Classical):
    """Gaussian kernel around every training point (Parzen 1962).

    The width is the one with the highest likelihood of held-out points: three times at most
    2,000, a fifth of all.
    """

    kind: Literal["kernel_density"] = "kernel_density"
    widths: Annotated[
        list[Annotated[float, Field(ge=1e-6, le=1e6)]], Field(min_length=1, max_length=100), Once
    ] = Field(
        [0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5],
        description="Widths to choose from: the kernel's standard deviation, in the model's units.",
    )

    def fit(self, examples: Examples, seed: int) -> Fitted:
        from sklearn.model_selection import GridSearchCV, ShuffleSplit
        from sklearn.neighbors import KernelDensity as Density

        points = examples.points
        held_out = ShuffleSplit(3, test_size=min(2000, max(1, len(points) // 5)), random_state=seed)
        search = GridSearchCV(
            Density(rtol=1e-3), {"bandwidth": self.widths}, cv=held_out, refit=False
        )
        width = float(search.fit(points).best_params_["bandwidth"])
        logging.info("width %g, from %g to %g", width, min(self.widths), max(self.widths))

        def draw(n: int, rng: np.random.Generator) -> Array:
            centres = points[rng.integers(len(points), size=n)]
            drawn: Array = centres + width * rng.standard_normal(centres.shape)
            return drawn

        return Fitted(points.size + 1, draw)


class TrainingPoints(Classical):
    """The training points again, in random order: each once before any a second time."""

    kind: Literal["training_points"] = "training_points"

    def fit(self, examples: Examples, seed: int) -> Fitted:
        points = examples.points

        def draw(n: int, rng: np.random.Generator) -> Array:
            passes = -(-n // len(points))
            return points[np.concatenate([rng.permutation(len(points)) for _ in range(passes)])[:n]]

        return Fitted(points.size, draw)


AnyClassical = Annotated[Classical, OneOf()]
CLASSICAL: TypeAdapter[Classical] = TypeAdapter(AnyClassical)
