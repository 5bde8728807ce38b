"""Mean and covariance of a model's training data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dualscale.data.units import blocks


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of a model's training data.

    Args:
        mean: (d,) in float64.
        covariance: (d, d) in float64.
    """

    mean: Tensor
    covariance: Tensor

    @property
    def scale(self) -> float:
        """Root mean square of the coordinates."""
        power = self.mean.square() + self.covariance.diagonal()
        return power.mean().sqrt().item()


def moments_of(data: Tensor) -> Moments:
    """Return the moments of data (n, d), summed in float64."""
    mean = torch.zeros(data.shape[1]).double()
    for block in blocks(data):
        mean += block.double().cpu().sum(dim=0)
    mean /= len(data)
    covariance = torch.zeros(data.shape[1], data.shape[1]).double()
    for block in blocks(data):
        centred = block.double().cpu() - mean
        covariance += centred.T @ centred
    return Moments(mean, covariance / (len(data) - 1))
