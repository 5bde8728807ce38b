import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, EDMEulerScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

from dualscale.diffusion.schedules import (
    Cosine,
    Geometric,
    Karras,
    Linear,
    LinearPath,
    NoiseLevels,
    ScaledLinear,
    Schedule,
    ZeroTerminalSNR,
)
from dualscale.parts import parts_of

END_IN_NOISE = (ZeroTerminalSNR, LinearPath)
each_schedule = pytest.mark.parametrize("schedule", list(parts_of(Schedule)))


@pytest.mark.parametrize(
    ("schedule", "name"),
    [(Linear, "linear"), (ScaledLinear, "scaled_linear"), (Cosine, "squaredcos_cap_v2")],
)
def test_alpha_bar_is_that_of_diffusers(schedule, name):
    oracle = DDPMScheduler(100, beta_start=1e-4, beta_end=0.02, beta_schedule=name)
    np.testing.assert_allclose(schedule().levels().alpha ** 2, oracle.alphas_cumprod, rtol=2e-4)


def test_zero_terminal_snr_is_that_of_diffusers():
    levels = ZeroTerminalSNR().levels()
    betas = rescale_zero_terminal_snr(torch.linspace(1e-4, 0.02, 100, dtype=torch.float64))
    np.testing.assert_allclose(levels.alpha**2, torch.cumprod(1 - betas, 0), atol=1e-12)
    assert levels.alpha[-1] == 0


def test_karras_levels_are_those_of_diffusers():
    oracle = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0, num_train_timesteps=100)
    oracle.set_timesteps(100)
    levels = Karras(sigma_min=0.002, sigma_max=80.0, rho=7.0).levels()
    np.testing.assert_allclose(levels.sigma[::-1], oracle.sigmas[:-1], rtol=1e-4)


def test_geometric_levels_grow_by_one_factor():
    sigma = Geometric(sigma_min=0.005, sigma_max=30.0).levels().sigma
    np.testing.assert_allclose(sigma[[0, -1]], [0.005, 30])
    np.testing.assert_allclose(sigma[1:] / sigma[:-1], (30 / 0.005) ** (1 / 99))


def test_the_linear_path_mixes_data_and_noise_in_even_steps():
    levels = LinearPath(timesteps=4).levels()
    np.testing.assert_allclose(levels.sigma, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(levels.alpha + levels.sigma, 1)


def test_data_is_not_noised_away_at_the_papers_last_step():
    assert Linear().levels().alpha[-1] ** 2 == pytest.approx(0.364, abs=5e-4)


@pytest.mark.parametrize("schedule", [Linear, ScaledLinear, Cosine, ZeroTerminalSNR])
def test_variance_is_preserved(schedule):
    levels = schedule().levels()
    np.testing.assert_allclose(levels.alpha**2 + levels.sigma**2, 1, rtol=1e-12)


@each_schedule
def test_noise_grows_against_the_data_and_only_the_named_kinds_end_without_data(schedule):
    levels = schedule().levels()
    ratio = levels.alpha / levels.sigma
    assert (ratio[1:] < ratio[:-1]).all()
    assert math.isclose(levels.alpha[-1], 0, abs_tol=1e-12) == (schedule in END_IN_NOISE)
    assert levels.end_in_noise == (schedule in END_IN_NOISE)


@each_schedule
@pytest.mark.parametrize("timesteps", [2, 50])
def test_a_schedule_has_as_many_levels_as_it_is_asked_for(schedule, timesteps):
    levels = schedule(timesteps=timesteps).levels()
    assert levels.timesteps == len(levels.alpha) == len(levels.sigma) == timesteps


@pytest.mark.parametrize("third", [0.2, 0.1])
def test_noise_that_does_not_rise_is_refused(third):
    with pytest.raises(ValueError, match=r"0.2 at t = 1 and .* at t = 2"):
        NoiseLevels(np.ones(4), np.array([0.1, 0.2, third, 0.4]))


def test_the_log_ratio_is_infinite_where_the_data_vanish():
    levels = Linear(timesteps=1000, beta_start=0.5, beta_end=0.9999).levels()
    assert levels.end_in_noise
    assert levels.log_ratio[-1] == math.inf
    np.testing.assert_allclose(np.exp(levels.log_ratio[0]), 1, rtol=1e-12)
