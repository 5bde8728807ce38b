import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from dualscale.sampling import ancestral
from dualscale.schedule import linear_schedule


@pytest.fixture
def oracle():
    return DDPMScheduler(
        num_train_timesteps=100,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        variance_type="fixed_small",
        clip_sample=False,
    )


def test_alpha_bar_is_that_of_diffusers(oracle):
    schedule = linear_schedule(100, 1e-4, 0.02)
    np.testing.assert_allclose(schedule.alpha_bar.float(), oracle.alphas_cumprod, rtol=1e-5)


def test_data_is_not_noised_away_at_the_last_step():
    assert linear_schedule(100, 1e-4, 0.02).alpha_bar[-1].item() == pytest.approx(0.364, abs=5e-4)


def test_alpha_and_sigma_preserve_variance():
    schedule = linear_schedule(50, 1e-3, 0.1)
    np.testing.assert_allclose(schedule.alpha**2 + schedule.sigma**2, 1, rtol=1e-12)


def test_ancestral_sampler_takes_the_steps_of_diffusers(oracle, monkeypatch):
    schedule = linear_schedule(100, 1e-4, 0.02)
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(1, 40, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(99, 1, 40, 2, generator=generator, dtype=torch.float64)

    def predicted_noise(x, t):
        return torch.sin(3 * x) * (1 + 0.01 * t)

    def denoise(x, t):
        return (x - schedule.sigma[t] * predicted_noise(x, t)) / schedule.alpha[t]

    x = start
    for t in reversed(range(100)):
        drawn = noise[99 - t] if t > 0 else torch.zeros_like(x)
        monkeypatch.setattr(
            "diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, d=drawn, **__: d
        )
        x = oracle.step(predicted_noise(x, t), t, x).prev_sample
    ours = ancestral(denoise, schedule, start, noise)
    np.testing.assert_allclose(ours, x, rtol=1e-4, atol=1e-4)
