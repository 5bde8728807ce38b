"""Mean and covariance of a model's training data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dualscale.data.units import blocks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of a model's training data.

    Args:
        mean: (d,); or (n, d), where it differs from point to point.
        covariance: (d, d).

    Raises:
        ValueError: the shapes do not match, or the covariance is not symmetric and positive
            semi-definite.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def __post_init__(self) -> None:
        d = self.mean.shape[-1] if self.mean.ndim in (1, 2) else 0
        if self.covariance.shape != (d, d) or d == 0:
            raise ValueError(
                f"the mean has shape {self.mean.shape}, the covariance {self.covariance.shape}"
            )
        if not np.isfinite(self.mean).all() or not np.isfinite(self.covariance).all():
            raise ValueError("mean or covariance are NaN or infinite")
        if not np.allclose(self.covariance, self.covariance.T):
            raise ValueError("the covariance is not symmetric")
        least = np.linalg.eigvalsh(self.covariance)[0]
        if least < -1e-6 * np.trace(self.covariance):
            raise ValueError(f"the covariance has the negative eigenvalue {least:g}")

    @property
    def scale(self) -> float:
        """Root mean square of the coordinates."""
        return float(np.sqrt((self.mean**2 + self.covariance.diagonal()).mean()))

    def conditional(self, values: NDArray[np.floating], given: NDArray[np.bool_]) -> "Moments":
        """Return the moments of a Gaussian with these moments, given some coordinates of points.

        Args:
            values: (n, d), of which those of the given coordinates are used.
            given: mask of the given coordinates, (d,).
        """
        covariance = self.covariance
        # The coordinates of a category sum to one, so that their covariance is singular.
        inverse = np.linalg.pinv(covariance[np.ix_(given, given)], rcond=1e-10, hermitian=True)
        slope = covariance[:, given] @ inverse
        mean = self.mean + (values - self.mean)[:, given] @ slope.T
        mean[:, given] = values[:, given]
        left = covariance - slope @ covariance[given]
        left = (left + left.T) / 2
        left[given] = left[:, given] = 0
        return Moments(mean, left)


def moments_of(data: "Tensor") -> Moments:
    """Return the moments of data (n, d), summed in float64."""
    import torch  # here, since planning a workflow loads this module and not PyTorch

    mean = torch.zeros(data.shape[1]).double()
    for block in blocks(data):
        mean += block.double().cpu().sum(dim=0)
    mean /= len(data)
    covariance = torch.zeros(data.shape[1], data.shape[1]).double()
    for block in blocks(data):
        centred = block.double().cpu() - mean
        covariance += centred.T @ centred
    return Moments(mean.numpy(), (covariance / (len(data) - 1)).numpy())
