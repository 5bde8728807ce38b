"""Datasets in the plane that are known distributions, by name, and Gaussians in any dimension."""

from abc import abstractmethod
from collections.abc import Callable
from importlib import resources
from typing import Literal

import numpy as np
from pydantic import Field

from dualscale.data.discs import Discs
from dualscale.data.distributions import (
    Array,
    Distribution,
    GaussianMixture,
    Mixture,
    UniformBox,
    along_curves,
)
from dualscale.parts import Choice


class KnownDistribution(Choice):
    """Distribution with an exact density and score."""

    def coordinates(self) -> int:
        """Return the number of coordinates d, without building the distribution."""
        return 2

    @abstractmethod
    def build(self) -> Distribution: ...


class Line(KnownDistribution):
    """Uniform distribution on [-2, 2] x [-4, 4]: the paper's line is a filled rectangle."""

    kind: Literal["line"] = "line"

    def build(self) -> UniformBox:
        return UniformBox(np.array([-2.0, -4.0]), np.array([2.0, 4.0]))


class Circle(KnownDistribution):
    """Sixteen small discs on a circle of radius 3, and one at its centre.

    A point's disc is chosen by a pair of numbers, each uniform on (-0.25, 0.25) and rounded to one
    decimal: -0.2, -0.1, 0, 0.1 and 0.2 have probability 1/5 each. The pair gives the direction of
    the disc's centre; the 25 pairs have 16 directions, and (0, 0) gives the disc at the centre.
    """

    kind: Literal["circle"] = "circle"

    def build(self) -> Discs:
        grid = np.array([(u, v) for u in range(-2, 3) for v in range(-2, 3)])
        divisor = np.maximum(np.gcd(grid[:, 0], grid[:, 1]), 1)[:, None]
        directions, count = np.unique(grid // divisor, axis=0, return_counts=True)
        length = np.maximum(np.hypot(directions[:, 0], directions[:, 1]), 1)[:, None]
        return Discs(3 * directions / length, count / 25, radius=3 * 0.03)


class Moons(KnownDistribution):
    """Two half circles with Gaussian noise, as scikit-learn draws them, scaled and shifted.

    The density integrates a Gaussian over the angle by Gauss-Legendre quadrature. That makes it a
    mixture whose components are much closer together (at most 0.02 rad) than they are wide (0.03
    rad).
    """

    kind: Literal["moons"] = "moons"

    def build(self) -> GaussianMixture:
        def place(points: Array) -> Array:
            return np.array([2.0, 3.0]) * (points + 0.3) - 1

        from sklearn.datasets import make_moons  # slow to import

        def draw(n: int, rng: np.random.Generator) -> Array:
            points, _ = make_moons(n, noise=0.03, random_state=int(rng.integers(2**32)))
            return place(points)

        node, weight = np.polynomial.legendre.leggauss(256)
        angle = 0.5 * np.pi * (node + 1)
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
        return GaussianMixture(
            means=place(np.concatenate([upper, lower])),
            weights=np.concatenate([weight, weight]) / 4,
            width=0.03 * np.array([2.0, 3.0]),
            draw=draw,
        )


class Dino(KnownDistribution):
    """The 142 points of the Datasaurus, each blurred by N(0, 0.15²), scaled to about [-4, 4]."""

    kind: Literal["dino"] = "dino"

    def build(self) -> GaussianMixture:
        points, scale = outline_points("dino"), np.array([54.0, 48.0])
        return GaussianMixture(
            means=4 * (points / scale - 1),
            weights=np.full(len(points), 1 / len(points)),
            width=4 * 0.15 / scale,
        )


class Outline(KnownDistribution):
    """Outline from data-morph, each of its points blurred by N(0, 0.04²), scaled to [-4, 4]."""

    kind: Literal["outline"] = "outline"
    shape: Literal[
        "bunny",
        "cat",
        "dino",
        "dog",
        "gorilla",
        "music",
        "panda",
        "pi",
        "python",
        "sheep",
        "soccer_ball",
        "superdatascience",
    ] = Field("cat", description="Outline of data-morph.")

    def build(self) -> GaussianMixture:
        points = outline_points(self.shape)
        low, high = points.min(axis=0), points.max(axis=0)
        return GaussianMixture(
            means=8 * (points - (low + high) / 2) / (high - low).max(),
            weights=np.full(len(points), 1 / len(points)),
            width=np.full(2, 0.04),
        )


class Checkerboard(KnownDistribution):
    """Uniform distribution on the eight black squares of a 4 x 4 board on [-4, 4] x [-4, 4]."""

    kind: Literal["checkerboard"] = "checkerboard"

    def build(self) -> Mixture:
        corners = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
        squares = [UniformBox(2 * np.array(c) - 4.0, 2 * np.array(c) - 2.0) for c in corners]
        return Mixture(squares, np.full(len(squares), 1 / len(squares)))


class EightGaussians(KnownDistribution):
    """Eight Gaussians of standard deviation 0.2 on a circle of radius 3."""

    kind: Literal["eight_gaussians"] = "eight_gaussians"

    def build(self) -> GaussianMixture:
        angle = 2 * np.pi * np.arange(8) / 8
        means = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return GaussianMixture(means, np.full(8, 1 / 8), np.full(2, 0.2))


class TwoSpirals(KnownDistribution):
    """Two spirals of one and a half turns, out to radius 4, blurred by 0.1."""

    kind: Literal["two_spirals"] = "two_spirals"

    def build(self) -> GaussianMixture:
        def arm(sign: float) -> Callable[[Array], Array]:
            return lambda u: sign * polar(4 * np.sqrt(u), 3 * np.pi * np.sqrt(u))

        return along_curves([arm(1.0), arm(-1.0)], width=0.1)


class Pinwheel(KnownDistribution):
    """Five bent arms from radius 0.5 to 4, blurred by 0.12."""

    kind: Literal["pinwheel"] = "pinwheel"

    def build(self) -> GaussianMixture:
        def arm(turn: float) -> Callable[[Array], Array]:
            return lambda u: polar(0.5 + 3.5 * u, turn + 1.2 * u)

        return along_curves([arm(2 * np.pi * i / 5) for i in range(5)], width=0.12)


class SwissRoll(KnownDistribution):
    """scikit-learn's Swiss roll in cross-section, 1.5 turns out to radius 4, blurred by 0.1."""

    kind: Literal["swiss_roll"] = "swiss_roll"

    def build(self) -> GaussianMixture:
        def roll(u: Array) -> Array:
            angle = 1.5 * np.pi * (1 + 2 * u)
            return polar(4 * angle / (4.5 * np.pi), angle)

        return along_curves([roll], width=0.1)


class Rings(KnownDistribution):
    """Four circles about the origin, of radius 1 to 4 and equal probability, blurred by 0.08."""

    kind: Literal["rings"] = "rings"

    def build(self) -> GaussianMixture:
        def ring(radius: float) -> Callable[[Array], Array]:
            return lambda u: polar(np.full_like(u, radius), 2 * np.pi * u)

        return along_curves(
            [ring(radius) for radius in (1.0, 2.0, 3.0, 4.0)], width=0.08, nodes=768
        )


class Gaussians(KnownDistribution):
    """Ten Gaussians of standard deviation 0.3 in any dimension, means drawn once from N(0, 4 I)."""

    kind: Literal["gaussians"] = "gaussians"
    dimensions: int = Field(2, ge=1, le=64, description="Number of coordinates d.")

    def coordinates(self) -> int:
        return self.dimensions

    def build(self) -> GaussianMixture:
        means = np.random.default_rng(0).normal(0, 2, (10, self.dimensions))
        return GaussianMixture(means, np.full(10, 1 / 10), np.full(self.dimensions, 0.3))


def outline_points(shape: str) -> Array:
    """Points (n, 2) of an outline, in data-morph's units."""
    source = resources.files("data_morph") / "data" / "starter_shapes" / f"{shape}.csv"
    with source.open() as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1)


def polar(radius: Array, angle: Array) -> Array:
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
