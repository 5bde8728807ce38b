"""Distances between a real and a generated sample."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def knn_kl(
    real: NDArray[np.floating], generated: NDArray[np.floating], k: int, workers: int = 1
) -> float:
    """The k-nearest-neighbour estimate of KL(real || generated), in bits.

    D = [ln(m / (n - 1)) + d mean(ln nu_k - ln rho_k)] / ln 2, with rho_k the Chebyshev distance
    of a real point to its k-th nearest other real point and nu_k to its k-th nearest generated
    one (Wang, Kulkarni and Verdu 2009, equation 5 with one k for both).

    Args:
        real: (n, d), n > k.
        generated: (m, d), m >= k.
        k: which neighbour.
        workers: threads of the search.

    Raises:
        ValueError: a sample is too small, has points that are not finite, or has so many equal
            points that a distance is 0, where the estimate is undefined.
    """
    n, d = real.shape
    m = len(generated)
    if generated.shape[1] != d:
        raise ValueError(f"real points have {d} dimensions, generated ones {generated.shape[1]}")
    for name, points, least in (("real", real, k + 1), ("generated", generated, k)):
        if len(points) < least:
            raise ValueError(f"k = {k} needs {least} {name} points, there are {len(points)}")
        broken = int((~np.isfinite(points)).any(axis=1).sum())
        if broken:
            raise ValueError(f"{broken} of {len(points)} {name} points are not finite")
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    # The nearest real point of a real point is itself, hence k + 1.
    rho = cKDTree(real).query(real, [k + 1], p=np.inf, workers=workers)[0]
    nu = cKDTree(generated).query(real, [k], p=np.inf, workers=workers)[0]
    for name, distance in (("real", rho), ("generated", nu)):
        zero = int((distance == 0).sum())
        if zero:
            raise ValueError(
                f"{zero} of {n} real points coincide with {k} or more {name} points: "
                "the k-NN estimate is undefined for repeated points; remove them or raise k"
            )
    return float((np.log(m / (n - 1)) + d * np.mean(np.log(nu) - np.log(rho))) / np.log(2))
