import numpy as np
import pytest
import torch

from dualscale.data.datasets import Dino, Gaussians, KnownDistribution, Moons
from dualscale.data.moments import moments_of
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.oracle import ExactDenoiser
from dualscale.diffusion.reverse_process import ReverseProcess
from dualscale.diffusion.samplers import DDIM
from dualscale.diffusion.schedules import (
    Linear,
    LinearPath,
    ZeroTerminalSNR,
    variance_preserving,
)
from dualscale.metrics.kl import knn_kl
from dualscale.parts import parts_of

CPU = torch.device("cpu")
LEVELS = Linear().levels()
each_distribution = pytest.mark.parametrize("kind", list(parts_of(KnownDistribution)))
each_schedule_to_noise = pytest.mark.parametrize("schedule", [LinearPath, ZeroTerminalSNR])


@each_distribution
def test_the_exact_denoiser_is_the_mean_of_the_clean_points_given_the_noisy_one(kind):
    distribution, t = kind().build(), 60
    denoise = ExactDenoiser(distribution, LEVELS)
    x_0 = distribution.sample(400_000, np.random.default_rng(0))
    alpha, sigma = denoise.alpha[t], denoise.sigma[t]
    x_t = x_0[:5] * alpha + 0.3 * sigma
    # Bayes' rule: clean points weighted by the likelihood of the noisy one.
    for noisy, denoised in zip(
        x_t, denoise(torch.from_numpy(x_t)[None].float(), t)[0], strict=True
    ):
        log_weight = -0.5 * ((noisy - alpha * x_0) ** 2).sum(axis=1) / sigma**2
        weight = np.exp(log_weight - log_weight.max())
        expected = weight @ x_0 / weight.sum()
        np.testing.assert_allclose(denoised.numpy(), expected, atol=0.02)


def test_the_mean_squared_error_of_no_network_is_below_the_exact_ones():
    distribution, t, rng = Moons().build(), 30, np.random.default_rng(0)
    denoise = ExactDenoiser(distribution, LEVELS)
    real = distribution.sample(20_000, rng)
    noise = rng.standard_normal(real.shape)
    x = torch.from_numpy(denoise.alpha[t] * real + denoise.sigma[t] * noise).float()
    exact = denoise.noise(x[None], t)[0].numpy()
    least = np.square(exact - noise).mean()
    for other in (1.05 * exact, exact + 0.05, 0.95 * exact):
        assert np.square(other - noise).mean() > least


@pytest.mark.parametrize("kind", [Dino, Moons])
def test_from_the_noisy_data_on_many_steps_the_exact_denoiser_reaches_the_floor(kind):
    distribution, rng, n = kind().build(), np.random.default_rng(0), 2000
    real, fresh, origin = (distribution.sample(n, rng) for _ in range(3))
    sigma = np.logspace(-3, 0.5, 400)  # in units of alpha
    fine = variance_preserving(1 / (1 + sigma**2))
    parts = ExactDenoiser(distribution, fine), fine, moments_of(torch.from_numpy(real)), Drawing()
    generated = ReverseProcess(*parts, n, ["0"], CPU).draw(origin.astype("f4"))[0]
    floor = knn_kl(real, fresh, 5)
    assert knn_kl(real, generated, 5) == pytest.approx(floor, abs=0.15)


@each_distribution
def test_the_mean_of_a_distribution_is_that_of_its_points(kind):
    distribution, n = kind().build(), 100_000
    points = distribution.sample(n, np.random.default_rng(0))
    error = points.std(axis=0) / np.sqrt(n)
    assert (np.abs(points.mean(axis=0) - distribution.mean) < 5 * error).all()


@each_schedule_to_noise
@each_distribution
def test_of_noise_alone_the_exact_denoiser_makes_the_mean(kind, schedule):
    distribution = kind().build()
    denoise = ExactDenoiser(distribution, schedule(timesteps=20).levels())
    x = torch.randn(1, 5, distribution.dimensions)
    mean = torch.from_numpy(distribution.mean).float().expand_as(x)
    assert torch.equal(denoise(x, 19), mean)
    torch.testing.assert_close(denoise.noise(x, 19), x / denoise.sigma[19])


@each_schedule_to_noise
def test_from_noise_alone_the_exact_denoiser_reaches_the_data(schedule):
    distribution, levels, n = Gaussians().build(), schedule(timesteps=20).levels(), 4000
    real = distribution.sample(n, np.random.default_rng(0))
    parts = ExactDenoiser(distribution, levels), levels, moments_of(torch.from_numpy(real))
    generated = ReverseProcess(*parts, Drawing(sampler=DDIM()), n, ["0"], CPU).draw()[0]
    np.testing.assert_allclose(generated.mean(axis=0), distribution.mean, atol=0.15)
    assert distribution.log_density(generated.astype(float)).mean() > -4
