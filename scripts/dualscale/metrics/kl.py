"""The k-nearest-neighbour estimate of the KL divergence between two samples."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast
from numpy.typing import NDArray

from dualscale.data.metric_units import MetricUnits, loaded_units, stored_units
from dualscale.data.units import own_units

Array = NDArray[np.floating]

PROBE = 50  # points that the search is timed on
PAIRS = 2**20  # distances in memory at a time in the brute-force search
CURES = {  # of repeated points
    "real": "remove them",
    "generated": "where a generator draws its training points again, lower sampling.points",
}
EVERY_PAIR_FROM = 24  # dimensions; below, the tree was always faster (benchmarks/neighbours.py)


class UndefinedError(ValueError):
    """The k-nearest-neighbour estimate is undefined for these points."""


def knn_kl(
    real: Array,
    generated: Array,
    k: int,
    workers: int = 1,
    expect: Callable[[float], None] = lambda seconds: None,
) -> float:
    """Estimate KL(real || generated) in bits in the samples' own units; see `Reference.kl`."""
    reference = Reference.of(real, [k], workers=workers, expect=expect)
    return reference.kl(generated, workers, expect)


@dataclass(frozen=True)
class Reference:
    """Real points and their neighbour distances, shared by all estimates of KL(real || generated).

    The KL is invariant to units, but its estimate is not: a column of large numbers would dominate
    every Chebyshev distance. The estimate therefore uses the model's units.

    Args:
        points: (n, d) in float64, in the model's units, without constant columns.
        distances: Chebyshev distance of each point to its k-th nearest other point, (n, ks).
        ks: numbers of neighbours.
        units: of the model.
    """

    points: Array
    distances: Array
    ks: Sequence[int]
    units: MetricUnits

    @classmethod
    def of(
        cls,
        real: Array,
        ks: Sequence[int],
        units: MetricUnits | None = None,
        workers: int = 1,
        expect: Callable[[float], None] = lambda seconds: None,
    ) -> Self:
        """Find the neighbours of the real points.

        Args:
            real: (n, columns), in the data's units.
            units: of the model; None: those of the data.
            workers: threads of the search.
            expect: called with the expected seconds of the search; may raise.

        Raises:
            ValueError: a point is not finite.
        """
        require_finite("real", real)
        units = units or own_units(real.shape[1])
        points = units.into_model(real.astype(np.float64))
        # The nearest real point of a real point is itself, hence k + 1.
        distances = kth_distances(points, points, [k + 1 for k in ks], workers, expect)
        return cls(points, distances, ks, units)

    def save(self, file: BinaryIO) -> None:
        """Write everything but the points, as npz."""
        np.savez(file, distances=self.distances, ks=np.array(self.ks), **stored_units(self.units))

    @classmethod
    def load(cls, path: str | Path, real: Array) -> Self:
        """Load a saved reference for the first of the real points, as many as it has distances."""
        with np.load(path, allow_pickle=False) as file:
            distances, ks = file["distances"], file["ks"].tolist()
            units = loaded_units(file)
        points = units.into_model(real[: len(distances)].astype(np.float64))
        return cls(points, distances, ks, units)

    def kl(
        self,
        generated: Array,
        workers: int = 1,
        expect: Callable[[float], None] = lambda seconds: None,
    ) -> float:
        """Estimate KL(real || generated) in bits by k nearest neighbours, with the first k.

        D = [ln(m / (n - 1)) + d mean(ln nu_k - ln rho_k)] / ln 2, with rho_k the Chebyshev distance
        of a real point to its k-th nearest other real point and nu_k to its k-th nearest generated
        one (Wang, Kulkarni and Verdu 2009, equation 5 with one k for both).

        Args:
            generated: (m, columns), m >= k, in the data's units.
            workers, expect: as in `of`.

        Raises:
            UndefinedError: a sample is too small, or a distance is 0 because of equal points.
            ValueError: a point is not finite, or the samples differ in their columns.
        """
        return self._bits(0, self._distances_to(generated, workers, expect), len(generated))

    def kls(
        self,
        generated: Array,
        workers: int = 1,
        expect: Callable[[float], None] = lambda seconds: None,
    ) -> list[float | None]:
        """Estimate the KL with every k from one search.

        Where the points leave an estimate undefined, it is None, with a line in the log.
        """
        nu, found = self._distances_to(generated, workers, expect), list[float | None]()
        for index in range(len(self.ks)):
            try:
                found.append(self._bits(index, nu, len(generated)))
            except UndefinedError as error:
                logging.warning("left out: %s", error)
                found.append(None)
        return found

    def _distances_to(
        self, generated: Array, workers: int, expect: Callable[[float], None]
    ) -> Array:
        """Chebyshev distance of each real point to its k-th nearest generated point, (n, ks)."""
        columns = self.units.coordinates
        if generated.shape[1] != columns:
            raise ValueError(
                f"real points have {columns} dimensions, generated ones {generated.shape[1]}"
            )
        require_finite("generated", generated)
        inside = self.units.into_model(generated.astype(np.float64))
        return kth_distances(self.points, inside, self.ks, workers, expect)

    def _bits(self, index: int, nu: Array, m: int) -> float:
        """Estimate from the distances to the m generated points, with the k of an index."""
        k, (n, d) = self.ks[index], self.points.shape
        for name, count, least in (("real", n, k + 1), ("generated", m, k)):
            if count < least:
                raise UndefinedError(f"k = {k} needs {least} {name} points, there are {count}")
        require_distinct(self.distances[:, index], k, "real")
        require_distinct(nu[:, index], k, "generated")
        ratio = np.mean(np.log(nu[:, index]) - np.log(self.distances[:, index]))
        return float((np.log(m / (n - 1)) + d * ratio) / np.log(2))


def kth_distances(
    points: Array,
    others: Array,
    ks: Sequence[int],
    workers: int = 1,
    expect: Callable[[float], None] = lambda seconds: None,
) -> Array:
    """Chebyshev distance of each point to its k-th nearest of the others for every k, (n, ks).

    Uses a k-d tree, or in many dimensions brute force if it is faster for the first few points: how
    much of a tree is searched depends on the data. Both are exact.

    Args:
        points: (n, d) in float64.
        others: (m, d) in float64; if m < k, all distances are infinite.
        ks: found in one search, which takes as long as that of the largest.
    """
    tree = scipy.spatial.cKDTree(others)
    searches = [lambda some: kth_by_tree(some, tree, ks, workers)]
    if points.shape[1] >= EVERY_PAIR_FROM and len(others) >= max(ks):
        searches.append(lambda some: kth_of_every_pair(some, others, ks))
    seconds = [_seconds_a_point(search, points[:PROBE]) for search in searches]
    fastest = searches[int(np.argmin(seconds))]
    expect(min(seconds) * len(points))
    return fastest(points)


def kth_by_tree(
    points: Array, tree: "scipy.spatial.cKDTree", ks: Sequence[int], workers: int
) -> Array:
    """Compute `kth_distances` with a tree of the others."""
    # Close points visit the same nodes: taken one after another, they find them in the cache. The
    # cheapest tree of the points gives such an order.
    order = scipy.spatial.cKDTree(points, balanced_tree=False, compact_nodes=False).indices
    distances = np.empty((len(points), len(ks)))
    distances[order] = tree.query(points[order], ks, p=np.inf, workers=workers)[0]
    return distances


def kth_of_every_pair(points: Array, others: Array, ks: Sequence[int]) -> Array:
    """Compute `kth_distances` by brute force over all pairs, in blocks."""
    rows, distances = max(1, PAIRS // len(others)), scipy.spatial.distance.cdist
    starts = range(0, len(points), rows)
    blocks = (distances(points[i : i + rows], others, "chebyshev") for i in starts)
    places = [k - 1 for k in ks]
    return np.concatenate([np.partition(block, places)[:, places] for block in blocks])


def _seconds_a_point(search: Callable[[Array], Array], points: Array) -> float:
    start = time.perf_counter()
    search(points)
    return (time.perf_counter() - start) / len(points)


def require_finite(name: str, points: Array) -> None:
    broken = int((~np.isfinite(points)).any(axis=1).sum())
    if broken:
        raise ValueError(f"{broken} of {len(points)} {name} points are not finite")


def require_distinct(distances: Array, k: int, name: str) -> None:
    zero = int((distances == 0).sum())
    if zero:
        raise UndefinedError(
            f"{zero} of {len(distances)} real points coincide with {k} or more {name} points: "
            f"the k-NN estimate is undefined for repeated points; {CURES[name]} or raise k"
        )
