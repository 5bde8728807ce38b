"""Curves and surfaces in space: many points on each, blurred, so that the density is exact."""

from abc import abstractmethod
from typing import Literal

import numpy as np

from dualscale.data.datasets import KnownDistribution
from dualscale.data.distributions import Array, GaussianMixture


class Shape(KnownDistribution):
    """Curve or surface in space: a mixture of Gaussians of one width, whose means lie on it.

    Neighbouring means are at most 1.25 standard deviations apart, so that the density has no bumps.
    """

    def coordinates(self) -> int:
        return 3

    @abstractmethod
    def build(self) -> GaussianMixture: ...


class Trefoil(Shape):
    """Trefoil knot out to radius 4, uniform along its length, blurred by 0.1."""

    kind: Literal["trefoil"] = "trefoil"

    def build(self) -> GaussianMixture:
        t = turns(500)
        x, y = np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t)
        speed = np.sqrt(17 + 8 * np.cos(3 * t) + 9 * np.cos(3 * t) ** 2)
        return blurred(4 / 3 * np.stack([x, y, -np.sin(3 * t)], axis=1), 0.1, speed)


class Helix(Shape):
    """Three turns of radius 3, from height -3 to 3, blurred by 0.1."""

    kind: Literal["helix"] = "helix"

    def build(self) -> GaussianMixture:
        u = np.linspace(-1, 1, 500)
        angle = 3 * np.pi * u
        return blurred(np.stack([3 * np.cos(angle), 3 * np.sin(angle), 3 * u], axis=1), 0.1)


class Sphere(Shape):
    """Surface of radius 3, uniform over its area, blurred by 0.2."""

    kind: Literal["sphere"] = "sphere"

    def build(self) -> GaussianMixture:
        # A Fibonacci lattice: each of its points has the same share of the area.
        number = np.arange(2000)
        z, angle = 1 - (2 * number + 1) / 2000, np.pi * (3 - np.sqrt(5)) * number
        x, y = np.sqrt(1 - z**2) * np.stack([np.cos(angle), np.sin(angle)])
        return blurred(3 * np.stack([x, y, z], axis=1), 0.2)


class Torus(Shape):
    """Tube of radius 1.2 along a circle of radius 2.8, uniform over its area, blurred by 0.2."""

    kind: Literal["torus"] = "torus"

    def build(self) -> GaussianMixture:
        along, around = (part.ravel() for part in np.meshgrid(turns(101), turns(31)))
        radius = 2.8 + 1.2 * np.cos(around)
        x, y = radius * np.stack([np.cos(along), np.sin(along)])
        return blurred(np.stack([x, y, 1.2 * np.sin(around)], axis=1), 0.2, radius)


class SwissRollInSpace(Shape):
    """scikit-learn's Swiss roll: 1.5 turns out to radius 4, from y = -3 to 3, blurred by 0.2."""

    kind: Literal["swiss_roll_3d"] = "swiss_roll_3d"

    def build(self) -> GaussianMixture:
        u, height = (
            part.ravel() for part in np.meshgrid(np.linspace(0, 1, 152), np.linspace(-3, 3, 25))
        )
        angle = 1.5 * np.pi * (1 + 2 * u)
        radius = 4 * angle / (4.5 * np.pi)
        x, z = radius * np.stack([np.cos(angle), np.sin(angle)])
        return blurred(np.stack([x, height, z], axis=1), 0.2)


def turns(count: int) -> Array:
    """Angles that divide a whole turn, (count,)."""
    return np.linspace(0, 2 * np.pi, count, endpoint=False)


def blurred(points: Array, width: float, weights: Array | None = None) -> GaussianMixture:
    """Mixture of N(point, width² I) over points (n, d), of equal weights unless given, (n,)."""
    weights = np.ones(len(points)) if weights is None else weights
    return GaussianMixture(points, weights / weights.sum(), np.full(points.shape[1], width))
