"""Generators that know the columns of a table: the baselines of its quality page."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast
from numpy.typing import NDArray
from pydantic import Field

from dualscale.classical.generator import Array, Classical, Examples, Fitted


class IndependentColumns(Classical):
    """Every column from a training row of its own: exact columns, and nothing between them."""

    kind: Literal["independent_columns"] = "independent_columns"

    def fit(self, examples: Examples, seed: int) -> Fitted:
        points, columns = examples.points, examples.columns

        def draw(n: int, rng: np.random.Generator) -> Array:
            rows = [rng.integers(len(points), size=n) for _ in columns]
            return assembled(points, columns, rows)

        return Fitted(points.size, draw)


class GaussianCopula(Classical):
    """Gaussian copula with the columns' empirical distributions (Patki et al. 2016).

    The normal scores of the ranks give its correlations. Categories have the order of their
    coordinates, and equal cells random ranks (Rüschendorf 2009, the distributional transform).
    Whether a number is missing has a rank of its own beside that of the numbers.
    """

    kind: Literal["gaussian_copula"] = "gaussian_copula"

    def fit(self, examples: Examples, seed: int) -> Fitted:
        import pandas as pd
        from statsmodels.stats.correlation_tools import corr_clipped

        points, rng = examples.points, np.random.default_rng(seed)
        parts = list(self._parts(examples))
        scores, orders = np.full((len(points), len(parts)), np.nan), []
        for part, (coordinates, rows) in enumerate(parts):
            cells = points[np.ix_(rows, coordinates)]
            order = rows[np.lexsort([rng.random(len(rows)), *cells.T])]
            scores[order, part] = scipy.special.ndtri((np.arange(len(rows)) + 0.5) / len(rows))
            orders.append(order)
        correlations = pd.DataFrame(scores).corr().fillna(0).to_numpy(copy=True)
        np.fill_diagonal(correlations, 1)  # also where a part has a single row
        correlations = corr_clipped(correlations)  # pairs of columns have rows of their own

        def draw(n: int, rng: np.random.Generator) -> Array:
            normal = rng.multivariate_normal(np.zeros(len(parts)), correlations, n, method="eigh")
            chosen = [
                order[(share * len(order)).astype(int)]
                for order, share in zip(orders, scipy.special.ndtr(normal).T, strict=True)
            ]
            return assembled(points, [coordinates for coordinates, _ in parts], chosen)

        return Fitted(points.size + len(parts) * (len(parts) - 1) // 2, draw)

    def _parts(self, examples: Examples) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Iterate over what has a rank: its coordinates, and the rows where it is not missing."""
        for column in examples.columns:
            flags = examples.flags[column]
            words, numbers = column[flags], column[~flags]
            if len(words):
                yield words, np.arange(len(examples.points))
            if len(numbers):
                yield numbers, np.flatnonzero(~(examples.points[:, words] > 0).any(axis=1))


class SMOTE(Classical):
    """Points between a training row and one of its nearest neighbours (Chawla et al. 2002).

    With a target that is a category, neighbours are of the same class. Numbers are interpolated;
    a category is the most frequent one among the neighbours, and so is whether a cell is missing
    (section 6.1 there, SMOTE-NC: a category that differs counts like a standard deviation).
    """

    kind: Literal["smote"] = "smote"
    k: int = Field(5, ge=1, le=100, description="Number of nearest neighbours to choose from.")

    def fit(self, examples: Examples, seed: int) -> Fitted:
        points, flags = examples.points, examples.flags
        neighbours = self._neighbours(examples)
        usual = points.copy()  # its flags are those of most neighbours
        for column in examples.columns:
            some = column[flags[column]]
            if len(some):
                values, codes = np.unique(points[:, some], axis=0, return_inverse=True)
                modes = scipy.stats.mode(codes.reshape(-1)[neighbours], axis=1).mode
                usual[:, some] = values[modes]

        def draw(n: int, rng: np.random.Generator) -> Array:
            rows = rng.integers(len(points), size=n)
            others = neighbours[rows, rng.integers(neighbours.shape[1], size=n)]
            drawn = usual[rows]
            step = rng.random((n, 1)) * (points[others] - points[rows])
            drawn[:, ~flags] += step[:, ~flags]
            return drawn

        return Fitted(points.size, draw)

    def _neighbours(self, examples: Examples) -> NDArray[np.intp]:
        """Rows of the k nearest neighbours in its class of every point, (n, k).

        A class of fewer points repeats them; a point that is alone is its own neighbour.
        """
        from sklearn.neighbors import NearestNeighbors

        points, classes = examples.points, examples.classes
        placed = np.where(examples.flags, (points > 0) / np.sqrt(2), points)
        found = np.empty((len(points), self.k), np.intp)
        classes = np.zeros(len(points)) if classes is None else classes
        for members in (np.flatnonzero(classes == each) for each in np.unique(classes)):
            if len(members) == 1:
                found[members] = members
                continue
            nearest = NearestNeighbors(n_neighbors=min(self.k, len(members) - 1))
            others = nearest.fit(placed[members]).kneighbors(return_distance=False)
            found[members] = members[np.resize(others.T, (self.k, len(members))).T]
        return found


def assembled(
    points: Array, columns: list[NDArray[np.intp]], rows: list[NDArray[np.intp]]
) -> Array:
    """Return points whose every column is that of a row of its own, (n, d).

    Args:
        rows: of every column, (n,) each.
    """
    drawn = np.empty((len(rows[0]), points.shape[1]), points.dtype)
    for column, chosen in zip(columns, rows, strict=True):
        drawn[:, column] = points[np.ix_(chosen, column)]
    return drawn
