"""Distributions with samples, and with the exact density and score at any noise level.

A perturbed distribution is that of ``alpha * x_0 + sigma * eps`` with x_0 drawn from the
distribution and eps ~ N(0, I). Points are float64 of shape (n, d); densities are in nats.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Distribution(Protocol):
    """Distribution on R^d whose perturbed densities have a closed form or a quadrature."""

    @property
    def dimensions(self) -> int: ...

    @property
    def mean(self) -> Array:
        """Expected value, shape (d,)."""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n points, (n, d); independent, but for the evenly spaced angles of `moons`."""

    def log_density(self, x: Array, alpha: float = 1.0, sigma: float = 0.0) -> Array:
        """Log-density of ``alpha * x_0 + sigma * eps`` at x (n, d), shape (n,)."""

    def score(self, x: Array, alpha: float, sigma: float) -> Array:
        """Gradient of that log-density at x, (n, d); sigma must be positive."""


def require_noise(sigma: float) -> None:
    if not sigma > 0:
        raise ValueError(f"the score is defined for sigma > 0, not for sigma = {sigma}")


def noise_log_density(x: Array, sigma: float) -> Array:
    """Log-density of N(0, sigma² I), which every distribution becomes at alpha = 0."""
    d = x.shape[1]
    return -0.5 * (x**2).sum(axis=1) / sigma**2 - d * np.log(sigma * np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class UniformBox:
    """Uniform distribution on the box low <= x <= high, both of shape (d,)."""

    low: Array
    high: Array

    @property
    def dimensions(self) -> int:
        return len(self.low)

    @property
    def mean(self) -> Array:
        return (self.low + self.high) / 2

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, size=(n, self.dimensions))

    def _log_mass(self, x: Array, alpha: float, sigma: float) -> tuple[Array, Array, Array]:
        """log[Phi(u) - Phi(v)] for each axis, with the distances u and v to both ends in sigmas."""
        u = (x - alpha * self.low) / sigma
        v = (x - alpha * self.high) / sigma
        # Phi(u) - Phi(v) = Phi(-v) - Phi(-u): take the tail in which nothing cancels.
        near, far = np.where(u + v > 0, -v, u), np.where(u + v > 0, -u, v)
        log_near, log_far = scipy.special.log_ndtr(near), scipy.special.log_ndtr(far)
        return log_near + np.log(-np.expm1(log_far - log_near)), u, v

    def log_density(self, x: Array, alpha: float = 1.0, sigma: float = 0.0) -> Array:
        if alpha == 0:
            return noise_log_density(x, sigma)
        log_volume = np.log(alpha * (self.high - self.low)).sum()
        if sigma == 0:
            inside = ((x >= alpha * self.low) & (x <= alpha * self.high)).all(axis=1)
            return np.where(inside, -log_volume, -np.inf)
        return self._log_mass(x, alpha, sigma)[0].sum(axis=1) - log_volume

    def score(self, x: Array, alpha: float, sigma: float) -> Array:
        require_noise(sigma)
        if alpha == 0:
            return -x / sigma**2
        log_mass, u, v = self._log_mass(x, alpha, sigma)
        return (_normal_ratio(u, log_mass) - _normal_ratio(v, log_mass)) / sigma


def _normal_ratio(u: Array, log_mass: Array) -> Array:
    """phi(u) / mass, computed in logs so that the far tail neither overflows nor vanishes."""
    return np.exp(-0.5 * u**2 - 0.5 * np.log(2 * np.pi) - log_mass)


@dataclass(frozen=True)
class GaussianMixture:
    """Mixture of Gaussians with one diagonal covariance.

    Args:
        means: (components, d).
        weights: (components,), summing to one.
        width: standard deviation along each axis, (d,).
        draw: sampler to use instead of drawing a component and a Gaussian.
    """

    means: Array
    weights: Array
    width: Array
    draw: Callable[[int, np.random.Generator], Array] | None = None

    @property
    def dimensions(self) -> int:
        return self.means.shape[1]

    @property
    def mean(self) -> Array:
        return self.weights @ self.means

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        if self.draw is not None:
            return self.draw(n, rng)
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        return self.means[component] + self.width * rng.standard_normal((n, self.dimensions))

    def _log_joint(self, x: Array, alpha: float, sigma: float) -> tuple[Array, Array]:
        """log p(x, component), (n, components), and the variance along each axis, (d,)."""
        variance = (alpha * self.width) ** 2 + sigma**2
        scale = np.sqrt(variance)
        squared = sum(
            (x[:, None, axis] / scale[axis] - alpha * self.means[None, :, axis] / scale[axis]) ** 2
            for axis in range(self.dimensions)
        )
        constant = np.log(scale).sum() + 0.5 * self.dimensions * np.log(2 * np.pi)
        return np.log(self.weights) - 0.5 * squared - constant, variance

    def log_density(self, x: Array, alpha: float = 1.0, sigma: float = 0.0) -> Array:
        return in_blocks(
            lambda block: scipy.special.logsumexp(self._log_joint(block, alpha, sigma)[0], axis=1),
            x,
        )

    def score(self, x: Array, alpha: float, sigma: float) -> Array:
        require_noise(sigma)

        def block_score(block: Array) -> Array:
            log_joint, variance = self._log_joint(block, alpha, sigma)
            posterior = scipy.special.softmax(log_joint, axis=1)
            return (alpha * posterior @ self.means - block) / variance

        return in_blocks(block_score, x)


def in_blocks(function: Callable[[Array], Array], x: Array, rows: int = 2048) -> Array:
    """Apply a function to blocks of rows, to bound the memory of (n, components) arrays."""
    return np.concatenate([function(x[start : start + rows]) for start in range(0, len(x), rows)])


@dataclass(frozen=True)
class Mixture:
    """Mixture of distributions.

    Args:
        parts: distributions of one dimension d.
        weights: (parts,), summing to one.
    """

    parts: Sequence[Distribution]
    weights: Array

    @property
    def dimensions(self) -> int:
        return self.parts[0].dimensions

    @property
    def mean(self) -> Array:
        return self.weights @ np.stack([part.mean for part in self.parts])

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        part = rng.choice(len(self.parts), size=n, p=self.weights)
        points = np.empty((n, self.dimensions))
        for index, distribution in enumerate(self.parts):
            chosen = part == index
            points[chosen] = distribution.sample(int(chosen.sum()), rng)
        return points

    def _log_joint(self, x: Array, alpha: float, sigma: float) -> Array:
        """log p(x, part), (n, parts)."""
        parts = [part.log_density(x, alpha, sigma) for part in self.parts]
        return np.stack(parts, axis=1) + np.log(self.weights)

    def log_density(self, x: Array, alpha: float = 1.0, sigma: float = 0.0) -> Array:
        return scipy.special.logsumexp(self._log_joint(x, alpha, sigma), axis=1)

    def score(self, x: Array, alpha: float, sigma: float) -> Array:
        posterior = scipy.special.softmax(self._log_joint(x, alpha, sigma), axis=1)
        scores = np.stack([part.score(x, alpha, sigma) for part in self.parts], axis=1)
        return (posterior[..., None] * scores).sum(axis=1)


def along_curves(
    curves: Sequence[Callable[[Array], Array]], width: float, nodes: int = 512
) -> GaussianMixture:
    """Equal mixture of curves in the plane, blurred by N(0, width² I).

    Args:
        curves: functions of u (n,), uniform on (0, 1), that return points (n, 2).
        nodes: number of Gauss-Legendre nodes per curve, the means of the Gaussians that make up the
            density; they must be closer together than `width`.
    """

    def draw(n: int, rng: np.random.Generator) -> Array:
        curve, u = rng.integers(len(curves), size=n), rng.uniform(size=n)
        points = width * rng.standard_normal((n, 2))
        for index, function in enumerate(curves):
            points[curve == index] += function(u[curve == index])
        return points

    node, weight = np.polynomial.legendre.leggauss(nodes)
    means = np.concatenate([function(0.5 * (node + 1)) for function in curves])
    weights = np.tile(weight / 2, len(curves)) / len(curves)
    return GaussianMixture(means, weights, np.full(2, width), draw)
