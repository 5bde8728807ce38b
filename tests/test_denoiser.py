import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EDMEulerScheduler

from dualscale.diffusion.denoiser import Denoiser
from dualscale.diffusion.predictions import EDM, Epsilon, Prediction, Sample, Velocity
from dualscale.diffusion.schedules import Karras, Linear, LinearPath, Schedule, ZeroTerminalSNR
from dualscale.parts import parts_of
from dualscale.settings import ModelSettings

END_IN_NOISE = (ZeroTerminalSNR, LinearPath)
PAIRS = [
    (schedule, prediction)
    for schedule in parts_of(Schedule)
    for prediction in parts_of(Prediction)
    if not (schedule in END_IN_NOISE and prediction is Epsilon)
]
EDM_LEVELS = Karras(sigma_min=0.002, sigma_max=80.0)


@pytest.mark.parametrize(("schedule", "prediction"), PAIRS)
def test_a_network_that_gives_its_target_is_a_denoiser_that_gives_the_clean_points(
    schedule, prediction
):
    levels = schedule(timesteps=50).levels()
    factors = prediction().coefficients(levels, 1.7)
    clean, noise = torch.randn(2, 1, 30, 2, dtype=torch.float64)
    for t in (0, 25, 49):
        target = factors.target_data[t] * clean + factors.target_noise[t] * noise
        denoiser = Denoiser(lambda x, t, target=target: target, levels, factors)
        x = levels.alpha[t] * clean + levels.sigma[t] * noise
        torch.testing.assert_close(denoiser(x, t), clean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(denoiser.noise(x, t), noise, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("schedule", END_IN_NOISE)
def test_pairs_that_divide_by_zero_are_refused(schedule):
    with pytest.raises(ValueError, match="divides by alpha"):
        ModelSettings(schedule=schedule(), prediction=Epsilon())


@pytest.mark.parametrize(
    ("ours", "theirs"), [(Epsilon, "epsilon"), (Sample, "sample"), (Velocity, "v_prediction")]
)
def test_predictions_are_undone_as_in_diffusers(ours, theirs):
    levels = Linear().levels()
    oracle = DDIMScheduler(
        100, 1e-4, 0.02, prediction_type=theirs, clip_sample=False, set_alpha_to_one=True
    )
    oracle.set_timesteps(100)
    x, output = torch.randn(2, 1, 20, 2)
    denoiser = Denoiser(lambda x, t: output, levels, ours().coefficients(levels, 1.0))
    expected = oracle.step(output, 70, x).pred_original_sample
    torch.testing.assert_close(denoiser(x, 70), expected, rtol=1e-4, atol=1e-4)


def test_edm_preconditioning_is_that_of_diffusers():
    levels = EDM_LEVELS.levels()
    oracle = EDMEulerScheduler(sigma_data=0.5)
    factors = EDM().coefficients(levels, 0.5)
    x, output = torch.randn(2, 1, 20, 2)
    for t in (0, 40, 99):
        sigma = torch.tensor(levels.sigma[t])
        ours = factors.c_skip[t] * x + factors.c_out[t] * output
        theirs = oracle.precondition_outputs(x, output, sigma)
        torch.testing.assert_close(ours, theirs, check_dtype=False)
        seen = oracle.precondition_inputs(x, sigma)
        torch.testing.assert_close(factors.c_in[t] * x, seen, check_dtype=False)


def test_edm_inputs_and_targets_have_variance_one_at_every_level():
    levels = EDM_LEVELS.levels()
    factors = EDM().coefficients(levels, 0.5)
    power = (0.5 * levels.alpha) ** 2 + levels.sigma**2
    np.testing.assert_allclose(factors.c_in**2 * power, 1)
    np.testing.assert_allclose((0.5 * factors.target_data) ** 2 + factors.target_noise**2, 1)
