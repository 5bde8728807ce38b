"""Datasets that are known distributions, by name."""

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import make_moons

from dualscale.data.distributions import (
    Array,
    Discs,
    Distribution,
    GaussianMixture,
    Mixture,
    UniformBox,
    along_curves,
)


def line() -> UniformBox:
    """Uniform distribution on [-2, 2] x [-4, 4]: the paper's line is a filled rectangle."""
    return UniformBox(np.array([-2.0, -4.0]), np.array([2.0, 4.0]))


def circle() -> Discs:
    """Sixteen small discs on a circle of radius 3, and one at its centre.

    The coordinates of a centre are uniform on (-0.25, 0.25), rounded to one decimal: each of -0.2,
    -0.1, 0, 0.1 and 0.2 has probability 1/5. Normalising the 25 pairs to length 1 leaves 16
    directions and the origin.
    """
    grid = np.array([(u, v) for u in range(-2, 3) for v in range(-2, 3)])
    divisor = np.maximum(np.gcd(grid[:, 0], grid[:, 1]), 1)[:, None]
    directions, count = np.unique(grid // divisor, axis=0, return_counts=True)
    length = np.maximum(np.hypot(directions[:, 0], directions[:, 1]), 1)[:, None]
    return Discs(3 * directions / length, count / 25, radius=3 * 0.03)


def moons() -> GaussianMixture:
    """Two half circles with Gaussian noise, as scikit-learn draws them, scaled and shifted.

    The density integrates a Gaussian over the angle by Gauss-Legendre quadrature. That makes it a
    mixture whose components are much closer together (at most 0.02 rad) than they are wide (0.03
    rad).
    """

    def place(points: Array) -> Array:
        return np.array([2.0, 3.0]) * (points + 0.3) - 1

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


def dino() -> GaussianMixture:
    """The 142 points of the Datasaurus, each blurred by N(0, 0.15²), scaled to about [-4, 4]."""
    points, scale = outline_points("dino"), np.array([54.0, 48.0])
    return GaussianMixture(
        means=4 * (points / scale - 1),
        weights=np.full(len(points), 1 / len(points)),
        width=4 * 0.15 / scale,
    )


def outline(shape: str = "cat") -> GaussianMixture:
    """Outline from data-morph, each of its points blurred by N(0, 0.04²), scaled to [-4, 4]."""
    points = outline_points(shape)
    low, high = points.min(axis=0), points.max(axis=0)
    return GaussianMixture(
        means=8 * (points - (low + high) / 2) / (high - low).max(),
        weights=np.full(len(points), 1 / len(points)),
        width=np.full(2, 0.04),
    )


def outline_points(shape: str) -> Array:
    """Points (n, 2) of an outline, in data-morph's units."""
    source = resources.files("data_morph") / "data" / "starter_shapes" / f"{shape}.csv"
    with source.open() as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1)


def checkerboard() -> Mixture:
    """Uniform distribution on the eight black squares of a 4 x 4 board on [-4, 4] x [-4, 4]."""
    corners = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    squares = [UniformBox(2 * np.array(c) - 4.0, 2 * np.array(c) - 2.0) for c in corners]
    return Mixture(squares, np.full(len(squares), 1 / len(squares)))


def eight_gaussians() -> GaussianMixture:
    """Eight Gaussians of standard deviation 0.2 on a circle of radius 3."""
    angle = 2 * np.pi * np.arange(8) / 8
    means = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return GaussianMixture(means, np.full(8, 1 / 8), np.full(2, 0.2))


def two_spirals() -> GaussianMixture:
    """Two spirals of one and a half turns, out to radius 4, blurred by 0.1."""

    def arm(sign: float) -> Callable[[Array], Array]:
        return lambda u: sign * polar(4 * np.sqrt(u), 3 * np.pi * np.sqrt(u))

    return along_curves([arm(1.0), arm(-1.0)], width=0.1)


def pinwheel() -> GaussianMixture:
    """Five bent arms from radius 0.5 to 4, blurred by 0.12."""

    def arm(turn: float) -> Callable[[Array], Array]:
        return lambda u: polar(0.5 + 3.5 * u, turn + 1.2 * u)

    return along_curves([arm(2 * np.pi * i / 5) for i in range(5)], width=0.12)


def swiss_roll() -> GaussianMixture:
    """scikit-learn's Swiss roll in cross-section, 1.5 turns out to radius 4, blurred by 0.1."""

    def roll(u: Array) -> Array:
        angle = 1.5 * np.pi * (1 + 2 * u)
        return polar(4 * angle / (4.5 * np.pi), angle)

    return along_curves([roll], width=0.1)


def rings() -> GaussianMixture:
    """Four circles about the origin, of radius 1 to 4 and equal probability, blurred by 0.08."""

    def ring(radius: float) -> Callable[[Array], Array]:
        return lambda u: polar(np.full_like(u, radius), 2 * np.pi * u)

    return along_curves([ring(radius) for radius in (1.0, 2.0, 3.0, 4.0)], width=0.08, nodes=768)


def polar(radius: Array, angle: Array) -> Array:
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def gaussians(dimensions: int = 2) -> GaussianMixture:
    """Ten Gaussians of standard deviation 0.3 in any dimension, means drawn once from N(0, 4 I)."""
    means = np.random.default_rng(0).normal(0, 2, (10, dimensions))
    return GaussianMixture(means, np.full(10, 1 / 10), np.full(dimensions, 0.3))


DISTRIBUTIONS: dict[str, Callable[..., Distribution]] = {
    "circle": circle,
    "dino": dino,
    "line": line,
    "moons": moons,
    "checkerboard": checkerboard,
    "eight_gaussians": eight_gaussians,
    "gaussians": gaussians,
    "outline": outline,
    "pinwheel": pinwheel,
    "rings": rings,
    "swiss_roll": swiss_roll,
    "two_spirals": two_spirals,
}


def make_distribution(settings: Mapping[str, Any]) -> Distribution:
    """Build the distribution of a dataset in the configuration.

    Args:
        settings: `distribution`, a key of DISTRIBUTIONS, and its `dimensions` or `shape`.
    """
    options = {key: settings[key] for key in ("dimensions", "shape") if settings.get(key)}
    return DISTRIBUTIONS[settings["distribution"]](**options)


def fresh_points(
    settings: Mapping[str, Any], training: str | Path | None
) -> Callable[[int, np.random.Generator], Array]:
    """Return what draws real points, (n, d) in float32, for the KL to take as though generated.

    Args:
        settings: of a known distribution, which is sampled.
        training: else, the training points of a file: they are as fresh as can be to those held
            out. None is drawn twice; where there are fewer than n, all are.
    """
    if training is None:
        distribution = make_distribution(settings)
        return lambda n, rng: distribution.sample(n, rng).astype(np.float32)
    points = np.load(training, mmap_mode="r", allow_pickle=False)
    return lambda n, rng: points[
        np.sort(rng.choice(len(points), min(n, len(points)), replace=False))
    ]
