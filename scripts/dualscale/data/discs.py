"""Mixtures of discs in the plane, whose perturbed density is a quadrature."""

from dataclasses import dataclass

import numpy as np
import scipy  # loads its modules when used, so that planning a workflow is fast

from dualscale.data.distributions import Array, in_blocks, noise_log_density, require_noise

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)


@dataclass(frozen=True)
class Discs:
    """Mixture of discs of one radius in the plane, with uniform angle and uniform distance.

    The perturbed density of one disc is a single integral over the distance from its centre,
    computed by Gauss-Legendre quadrature over the support of the integrand.

    Args:
        centres: (discs, 2).
        weights: (discs,), summing to one.
        radius: largest distance from a centre.
    """

    centres: Array
    weights: Array
    radius: float
    dimensions: int = 2

    @property
    def mean(self) -> Array:
        return self.weights @ self.centres

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        disc = rng.choice(len(self.weights), size=n, p=self.weights)
        angle = rng.uniform(0, 2 * np.pi, n)
        distance = rng.uniform(0, self.radius, n)
        offset = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return self.centres[disc] + offset

    def _offsets(self, x: Array, alpha: float) -> tuple[Array, Array]:
        """Vectors from every centre, (n, discs, 2), and their lengths, (n, discs)."""
        offset = x[:, None, :] - alpha * self.centres
        return offset, np.hypot(offset[..., 0], offset[..., 1])

    def log_density(self, x: Array, alpha: float = 1.0, sigma: float = 0.0) -> Array:
        if alpha == 0:
            return noise_log_density(x, sigma)

        def block_density(block: Array) -> Array:
            distance = self._offsets(block, alpha)[1]
            radius = alpha * self.radius
            if sigma == 0:
                with np.errstate(divide="ignore"):
                    one = np.where(
                        distance <= radius, -np.log(2 * np.pi * distance * radius), -np.inf
                    )
            else:
                one = _noisy_disc(distance, radius, sigma)[0]
            return scipy.special.logsumexp(np.log(self.weights) + one, axis=1)

        return in_blocks(block_density, x)

    def score(self, x: Array, alpha: float, sigma: float) -> Array:
        require_noise(sigma)
        if alpha == 0:
            return -x / sigma**2

        def block_score(block: Array) -> Array:
            offset, distance = self._offsets(block, alpha)
            log_density, mean = _noisy_disc(distance, alpha * self.radius, sigma)
            posterior = scipy.special.softmax(np.log(self.weights) + log_density, axis=1)
            outward = offset / np.maximum(distance, np.finfo(float).tiny)[..., None]
            pull = (mean - distance)[..., None] * outward / sigma**2
            return (posterior[..., None] * pull).sum(axis=1)

        return in_blocks(block_score, x)


def _noisy_disc(distance: Array, radius: float, sigma: float) -> tuple[Array, Array]:
    """Log-density and posterior mean for a perturbed disc at the origin.

    The density is the mean over r in [0, radius] of

        exp(-(distance - r)² / 2 sigma²) i0e(distance r / sigma²) / (2 pi sigma²),

    with i0e the exponentially scaled Bessel function.

    Returns:
        The log-density, and the posterior mean of x_0 along the outward direction, both of the
        shape of `distance`.
    """
    # The integrand decays within a few sigmas of its peak. For points outside the disc it decays
    # from the rim as exp(-(distance - radius) depth / sigma²), which may be much faster.
    outside = np.maximum(distance - radius, 0)
    reach = np.minimum(10 * sigma, 50 * sigma**2 / np.maximum(outside, 5 * sigma))
    low = np.maximum(np.minimum(distance, radius) - reach, 0)
    high = np.minimum(distance + reach, radius)
    half = 0.5 * (high - low)[..., None]
    r = 0.5 * (high + low)[..., None] + half * _NODES
    argument = distance[..., None] * r / sigma**2
    i0e = scipy.special.i0e(argument)
    exponent = -0.5 * ((distance[..., None] - r) / sigma) ** 2
    peak = exponent.max(axis=-1, keepdims=True)
    weight = _NODE_WEIGHTS * half * np.exp(exponent - peak) * i0e
    total = weight.sum(axis=-1)
    log_density = np.log(total) + peak[..., 0] - np.log(2 * np.pi * sigma**2 * radius)
    mean = (weight * r * scipy.special.i1e(argument) / i0e).sum(axis=-1) / total
    return log_density, mean
