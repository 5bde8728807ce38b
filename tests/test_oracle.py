import numpy as np
import pytest
import torch

from dualscale.data.datasets import DISTRIBUTIONS
from dualscale.data.moments import moments_of
from dualscale.diffusion.oracle import ExactDenoiser
from dualscale.diffusion.sampling import Sampler
from dualscale.diffusion.schedule import interpolation, linear, of_alpha_bar, zero_terminal_snr
from dualscale.metrics.divergence import knn_kl

SCHEDULE = linear(100, 1e-4, 0.02)
TO_NOISE = {
    "interpolation": interpolation(20),
    "zero_terminal_snr": zero_terminal_snr(20, 1e-4, 0.02),
}
"""Schedules that end at alpha = 0."""


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_exact_denoiser_is_the_mean_of_the_clean_points_given_the_noisy_one(name):
    distribution, t = DISTRIBUTIONS[name](), 60
    denoise = ExactDenoiser(distribution, SCHEDULE)
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
    distribution, t, rng = DISTRIBUTIONS["moons"](), 30, np.random.default_rng(0)
    denoise = ExactDenoiser(distribution, SCHEDULE)
    real = distribution.sample(20_000, rng)
    noise = rng.standard_normal(real.shape)
    x = torch.from_numpy(denoise.alpha[t] * real + denoise.sigma[t] * noise).float()
    exact = denoise.noise(x[None], t)[0].numpy()
    least = np.square(exact - noise).mean()
    for other in (1.05 * exact, exact + 0.05, 0.95 * exact):
        assert np.square(other - noise).mean() > least


@pytest.mark.parametrize("name", ["dino", "moons"])
def test_from_the_noisy_data_on_many_steps_the_exact_denoiser_reaches_the_floor(name):
    distribution, rng, n = DISTRIBUTIONS[name](), np.random.default_rng(0), 2000
    real, fresh, origin = (distribution.sample(n, rng) for _ in range(3))
    sigma = torch.logspace(-3, 0.5, 400, dtype=torch.float64)  # in units of alpha
    fine = of_alpha_bar(1 / (1 + sigma**2))
    settings = {
        "start": "standard",
        "sampler": {"kind": "ancestral", "variance": "posterior"},
        "steps": None,
    }
    sampler = Sampler(
        ExactDenoiser(distribution, fine),
        fine,
        moments_of(torch.from_numpy(real)),
        settings,
        n,
        ["0"],
        torch.device("cpu"),
    )
    generated = sampler.draw(torch.from_numpy(origin).float())[0].numpy()
    floor = knn_kl(real, fresh, 5)
    assert knn_kl(real, generated, 5) == pytest.approx(floor, abs=0.15)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_mean_of_a_distribution_is_that_of_its_points(name):
    distribution, n = DISTRIBUTIONS[name](), 100_000
    points = distribution.sample(n, np.random.default_rng(0))
    error = points.std(axis=0) / np.sqrt(n)
    assert (np.abs(points.mean(axis=0) - distribution.mean) < 5 * error).all()


@pytest.mark.parametrize("schedule", TO_NOISE.values(), ids=TO_NOISE)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_of_noise_alone_the_exact_denoiser_makes_the_mean(name, schedule):
    distribution = DISTRIBUTIONS[name]()
    denoise, x = ExactDenoiser(distribution, schedule), torch.randn(1, 5, distribution.dimensions)
    mean = torch.from_numpy(distribution.mean).float().expand_as(x)
    assert torch.equal(denoise(x, 19), mean)
    torch.testing.assert_close(denoise.noise(x, 19), x / denoise.sigma[19])


@pytest.mark.parametrize("schedule", TO_NOISE.values(), ids=TO_NOISE)
def test_from_noise_alone_the_exact_denoiser_reaches_the_data(schedule):
    distribution, n = DISTRIBUTIONS["gaussians"](), 4000
    real = distribution.sample(n, np.random.default_rng(0))
    settings = {"start": "standard", "sampler": {"kind": "ddim"}, "steps": None}
    parts = ExactDenoiser(distribution, schedule), schedule, moments_of(torch.from_numpy(real))
    generated = Sampler(*parts, settings, n, ["0"], torch.device("cpu")).draw()[0].numpy()
    np.testing.assert_allclose(generated.mean(axis=0), distribution.mean, atol=0.15)
    assert distribution.log_density(generated.astype(float)).mean() > -4
