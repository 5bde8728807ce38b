import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, EDMEulerScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

from dualscale.config.configuration import ENDS_IN_NOISE
from dualscale.diffusion.noise_levels import noise_levels
from dualscale.diffusion.schedule import (
    SCHEDULES,
    cosine,
    karras,
    linear,
    log_linear,
    make_schedule,
    quadratic,
    zero_terminal_snr,
)
from dualscale.parts import OF_KIND

DIFFUSERS = {"linear": "linear", "quadratic": "scaled_linear", "cosine": "squaredcos_cap_v2"}


def made(kind, timesteps=100):
    return make_schedule({"kind": kind, "timesteps": timesteps} | OF_KIND["schedule"][kind])


@pytest.mark.parametrize(
    ("schedule", "name"),
    [
        (linear(100, 1e-4, 0.02), "linear"),
        (quadratic(100, 1e-4, 0.02), "scaled_linear"),
        (cosine(100), "squaredcos_cap_v2"),
    ],
)
def test_alpha_bar_is_that_of_diffusers(schedule, name):
    oracle = DDPMScheduler(100, beta_start=1e-4, beta_end=0.02, beta_schedule=name)
    np.testing.assert_allclose(schedule.alpha**2, oracle.alphas_cumprod, rtol=2e-4)


def test_zero_terminal_snr_is_that_of_diffusers():
    schedule = zero_terminal_snr(100, 1e-4, 0.02)
    betas = rescale_zero_terminal_snr(torch.linspace(1e-4, 0.02, 100, dtype=torch.float64))
    np.testing.assert_allclose(schedule.alpha**2, torch.cumprod(1 - betas, 0), atol=1e-12)
    assert schedule.alpha[-1] == 0


def test_karras_levels_are_those_of_diffusers():
    oracle = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0, num_train_timesteps=100)
    oracle.set_timesteps(100)
    sigma = karras(100, 0.002, 80.0, 7.0).sigma
    np.testing.assert_allclose(sigma.flip(0), oracle.sigmas[:-1], rtol=1e-4)


def test_log_linear_levels_grow_by_one_factor():
    sigma = log_linear(100, 0.005, 30.0).sigma
    np.testing.assert_allclose(sigma[[0, -1]], [0.005, 30])
    np.testing.assert_allclose(sigma[1:] / sigma[:-1], (30 / 0.005) ** (1 / 99))


def test_data_is_not_noised_away_at_the_papers_last_step():
    assert linear(100, 1e-4, 0.02).alpha[-1].item() ** 2 == pytest.approx(0.364, abs=5e-4)


@pytest.mark.parametrize("kind", ["linear", "quadratic", "cosine", "zero_terminal_snr"])
def test_variance_is_preserved(kind):
    schedule = made(kind)
    np.testing.assert_allclose(schedule.alpha**2 + schedule.sigma**2, 1, rtol=1e-12)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_noise_grows_against_the_data_and_only_the_named_kinds_end_without_data(kind):
    schedule = made(kind)
    ratio = schedule.alpha / schedule.sigma
    assert (ratio[1:] < ratio[:-1]).all()
    assert math.isclose(schedule.alpha[-1], 0, abs_tol=1e-12) == (kind in ENDS_IN_NOISE)


@pytest.mark.parametrize("kind", sorted(set(SCHEDULES) - set(ENDS_IN_NOISE)))
def test_noise_levels_without_pytorch_are_those_of_the_schedule(kind):
    settings = {"kind": kind, "timesteps": 50} | OF_KIND["schedule"][kind]
    schedule = make_schedule(settings)
    levels = (schedule.sigma / schedule.alpha).log()
    np.testing.assert_allclose(noise_levels(settings), levels, rtol=1e-9, atol=1e-9)


def test_noise_levels_without_pytorch_are_infinite_where_the_data_vanish():
    settings = {"kind": "linear", "timesteps": 1000, "beta_first": 0.5, "beta_last": 0.9999}
    assert make_schedule(settings).alpha[-1] == 0
    assert noise_levels(settings)[-1] == math.inf
