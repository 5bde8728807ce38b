"""Stochastic samplers: their sources' formulas, and their error where the denoiser is exact."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EDMEulerScheduler
from test_reverse_process import (
    LEVELS,
    denoise_as_predicted,
    exact_denoiser,
    numbers,
    predicted_noise,
)

from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.samplers import (
    DDIM,
    Ancestral,
    DPMSolver,
    Heun,
    Restart,
    SDEDPMSolver,
)
from dualscale.diffusion.schedules import NoiseLevels
from dualscale.diffusion.spacings import Geometric, Trailing, Visited

EIGHTHS = NoiseLevels(np.ones(64), 0.02 * 2 ** (np.arange(64) / 8))  # of an octave apart


@pytest.mark.parametrize("steps", [50, 20, 4])
def test_sde_dpm_solver_takes_the_steps_of_diffusers(steps):
    oracle = DPMSolverMultistepScheduler(
        100,
        1e-4,
        0.02,
        algorithm_type="sde-dpmsolver++",
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        lower_order_final=True,
        euler_at_final=True,
    )
    oracle.set_timesteps(steps)
    drawn = numbers(steps)
    x = drawn[0]
    for i, t in enumerate(oracle.timesteps.tolist()):
        noise = drawn[i + 1] if i + 1 < steps else torch.zeros_like(x)
        x = oracle.step(predicted_noise(x, t), t, x, variance_noise=noise).prev_sample
    levels = Trailing().visited(LEVELS, steps)
    ours = SDEDPMSolver().run(denoise_as_predicted, levels, drawn[0], iter(drawn[1:]))
    np.testing.assert_allclose(ours, x, rtol=1e-3, atol=1e-3)


def test_sde_dpm_solver_takes_the_steps_of_its_formula_for_any_noise():
    eta, levels = 0.6, Geometric(sigma_max=3.0).visited(EIGHTHS, 9)
    drawn, denoise = numbers(9), exact_denoiser(0.4, 0.5, EIGHTHS)
    x = start = 3 * drawn[0]
    last = before = None
    for i, t in enumerate(levels.t[:-1]):
        here, ahead = levels.sigma[i : i + 2]
        x_0, h = denoise(x, t), math.log(here / ahead)
        middle = x_0 if last is None else x_0 + h / (2 * before) * (x_0 - last)
        x = (
            ahead / here * math.exp(-eta * h) * x
            + (1 - math.exp(-(1 + eta) * h)) * middle
            + ahead * math.sqrt(1 - math.exp(-2 * eta * h)) * drawn[i + 1]
        )
        last, before = x_0, h
    x = denoise(x, levels.t[-1])
    ours = SDEDPMSolver(eta=eta).run(denoise, levels, start, iter(drawn[1:]))
    torch.testing.assert_close(ours, x)


def test_sde_dpm_solver_without_noise_is_dpm_solver():
    parts = exact_denoiser(0.4, 0.5), Trailing().visited(LEVELS, 12), numbers(1)[0], iter(())
    assert torch.equal(SDEDPMSolver(eta=0).run(*parts), DPMSolver().run(*parts))


@pytest.mark.parametrize("s_churn", [0.0, 2 ** (1 / 4) - 1, 100.0])
def test_a_step_with_churn_is_that_of_diffusers(s_churn, monkeypatch):
    """Of a single step, which is Euler's; diffusers has churn for Euler's method alone."""
    start, noise = numbers(2)
    oracle = EDMEulerScheduler(sigma_min=0.32, sigma_max=0.32)
    oracle.set_timesteps(1)
    t = oracle.timesteps[0]
    oracle.scale_model_input(start, t)
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_edm_euler.randn_tensor", lambda *_, **__: noise
    )
    x_0 = 0.5 * start
    expected = oracle.step(start, t, start, s_churn, s_noise=1.1, pred_original_sample=x_0)
    levels = Visited(EIGHTHS, [32])
    assert levels.sigma[0] == pytest.approx(0.32)
    ours = Heun(s_churn=s_churn, s_noise=1.1).run(lambda x, t: x_0, levels, start, iter([noise]))
    np.testing.assert_allclose(ours, expected.prev_sample, rtol=1e-5, atol=1e-6)


def reference_heun(denoise, x, here, ahead):
    """Step of Karras et al. (2022), algorithm 1, from one sigma to the next."""
    slope = (x - denoise(x, here)) / here
    euler = x + (ahead - here) * slope
    if ahead == 0:
        return euler
    return x + (ahead - here) / 2 * (slope + (euler - denoise(euler, ahead)) / ahead)


def gaussian(x, sigma):
    """Exact denoiser of N(0.4, 0.5²)."""
    return 0.4 + 0.25 / (0.25 + sigma**2) * (x - 0.4)


def test_heun_with_churn_is_edms_algorithm_2():
    gamma, s_noise = 2 ** (1 / 4) - 1, 1.1  # two of the model's levels up
    levels = Trailing().visited(EIGHTHS, 16)
    drawn = numbers(17)
    x, used = drawn[0], iter(drawn[1:])
    for here, ahead in pairwise(levels.sigma):
        raised = here * (1 + gamma) if 0.05 <= here <= 1 else here
        if raised > here:
            x = x + math.sqrt(raised**2 - here**2) * s_noise * next(used)
        x = reference_heun(gaussian, x, raised, ahead)
    sampler = Heun(s_churn=16 * gamma, s_min=0.05, s_max=1.0, s_noise=s_noise)
    ours = sampler.run(exact_denoiser(0.4, 0.5, EIGHTHS), levels, drawn[0], iter(drawn[1:]))
    torch.testing.assert_close(ours, x)


def test_restart_is_xus_algorithm():
    levels = Trailing().visited(EIGHTHS, 16)
    drawn = numbers(4)
    x, used = drawn[0], iter(drawn[1:])
    low, high = 0.02 * 2 ** (19 / 8), 0.02 * 2 ** (32 / 8)  # of the visited, and of all levels
    root = np.linspace(high ** (1 / 7), low ** (1 / 7), 5)
    back = 0.02 * 2 ** (np.round(8 * np.log2(root**7 / 0.02)) / 8)
    for here, ahead in pairwise(levels.sigma):
        x = reference_heun(gaussian, x, here, ahead)
        if ahead == pytest.approx(low):
            for _ in range(3):
                x = x + math.sqrt(high**2 - low**2) * next(used)
                for upper, lower in pairwise(back):
                    x = reference_heun(gaussian, x, upper, lower)
    sampler = Restart(restarts=3, steps=4, s_min=low, s_max=high)
    ours = sampler.run(exact_denoiser(0.4, 0.5, EIGHTHS), levels, drawn[0], iter(drawn[1:]))
    torch.testing.assert_close(ours, x)


def exact_law(sampler, steps, width=0.5):
    """What a sampler makes of N(0, width²) with its exact denoiser, without drawing.

    The points are linear in the start and in the noise, so that one run on unit vectors gives all
    coefficients: that of the start, and the standard deviation relative to the data's.
    """
    levels = NoiseLevels(np.ones(steps), np.geomspace(0.002, 10, steps))
    visited = Trailing().visited(levels, None)
    start, *noise = torch.eye(1 + sampler.draws(visited), dtype=torch.float64)
    x = sampler.run(exact_denoiser(0, width, levels), visited, start, iter(noise))
    variance = x[0] ** 2 * (width**2 + 10**2) + (x[1:] ** 2).sum()
    return x[0].item(), variance.sqrt().item() / width


@pytest.mark.parametrize(
    ("sampler", "order"),
    [
        (DDIM(), 1),
        (Ancestral(), 1),
        (DPMSolver(), 2),
        (SDEDPMSolver(), 2),
        (SDEDPMSolver(eta=0.5), 2),
        (Heun(), 2),
        (Heun(s_churn=10.0, s_min=0.05, s_max=1.0), 2),
    ],
)
def test_the_bias_falls_with_the_order_of_the_sampler(sampler, order):
    coarse, fine = (exact_law(sampler, steps)[1] - 1 for steps in (50, 100))
    assert coarse / fine == pytest.approx(2**order, rel=0.15)
    assert abs(fine) < 0.05 / 10 ** (order - 1)


@pytest.mark.parametrize(
    "sampler", [Ancestral(), SDEDPMSolver(), Heun(s_churn=10.0), Restart(restarts=4, s_max=1.0)]
)
def test_noise_contracts_the_error_of_the_start(sampler):
    left = exact_law(DDIM(), 50)[0]
    assert exact_law(sampler, 50)[0] < 0.5 * left


def test_restarts_cost_what_they_say():
    drawing = Drawing(sampler=Restart(restarts=3, steps=4), steps=16)
    assert drawing.evaluations(EIGHTHS) == (2 * 16 - 1) + 3 * 2 * 4


def test_there_are_no_restarts_within_one_level():
    levels = Trailing().visited(EIGHTHS, 8)
    at = levels.sigma[4]
    assert Restart(s_min=at, s_max=1.01 * at).path(levels) == levels


def test_a_restart_that_does_not_rise_is_refused():
    with pytest.raises(ValueError, match=r"s_max is 0.1: more than s_min, 0.2, is allowed"):
        Restart(s_min=0.2, s_max=0.1)
