import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EDMEulerScheduler

from dualscale.config.configuration import ENDS_IN_NOISE
from dualscale.diffusion.denoiser import PREDICTIONS, Denoiser, make_prediction
from dualscale.diffusion.schedule import SCHEDULES, karras, linear, make_schedule
from dualscale.parts import OF_KIND

PAIRS = [
    (kind, prediction)
    for kind in SCHEDULES
    for prediction in PREDICTIONS
    if not (kind in ENDS_IN_NOISE and prediction == "noise")
]


def made(kind):
    return make_schedule({"kind": kind, "timesteps": 50} | OF_KIND["schedule"][kind])


@pytest.mark.parametrize(("kind", "prediction"), PAIRS)
def test_a_network_that_gives_its_target_is_a_denoiser_that_gives_the_clean_points(
    kind, prediction
):
    schedule = made(kind)
    factors = make_prediction(prediction, schedule, 1.7)
    clean, noise = torch.randn(2, 1, 30, 2, dtype=torch.float64)
    for t in (0, 25, 49):
        target = factors.clean[t] * clean + factors.noise[t] * noise
        denoiser = Denoiser(lambda x, t, target=target: target, schedule, factors)
        x = schedule.alpha[t] * clean + schedule.sigma[t] * noise
        torch.testing.assert_close(denoiser(x, t), clean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(denoiser.noise(x, t), noise, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("kind", ENDS_IN_NOISE)
def test_pairs_that_divide_by_zero_are_refused(kind):
    with pytest.raises(ValueError, match="divides by alpha"):
        make_prediction("noise", made(kind), 1.0)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("noise", "epsilon"), ("clean", "sample"), ("velocity", "v_prediction")]
)
def test_predictions_are_undone_as_in_diffusers(ours, theirs):
    schedule = linear(100, 1e-4, 0.02)
    oracle = DDIMScheduler(
        100, 1e-4, 0.02, prediction_type=theirs, clip_sample=False, set_alpha_to_one=True
    )
    oracle.set_timesteps(100)
    x, output = torch.randn(2, 1, 20, 2)
    denoiser = Denoiser(lambda x, t: output, schedule, make_prediction(ours, schedule, 1.0))
    expected = oracle.step(output, 70, x).pred_original_sample
    torch.testing.assert_close(denoiser(x, 70), expected, rtol=1e-4, atol=1e-4)


def test_edm_preconditioning_is_that_of_diffusers():
    schedule = karras(100, 0.002, 80.0, 7.0)
    oracle = EDMEulerScheduler(sigma_data=0.5)
    factors = make_prediction("edm", schedule, 0.5)
    x, output = torch.randn(2, 1, 20, 2)
    for t in (0, 40, 99):
        sigma = schedule.sigma[t]
        ours = factors.skip[t] * x + factors.out[t] * output
        theirs = oracle.precondition_outputs(x, output, sigma)
        torch.testing.assert_close(ours, theirs, check_dtype=False)
        seen = oracle.precondition_inputs(x, sigma)
        torch.testing.assert_close(factors.into[t] * x, seen, check_dtype=False)


def test_edm_inputs_and_targets_have_variance_one_at_every_level():
    schedule = karras(30, 0.002, 80.0, 7.0)
    factors = make_prediction("edm", schedule, 0.5)
    power = (0.5 * schedule.alpha) ** 2 + schedule.sigma**2
    np.testing.assert_allclose(factors.into**2 * power, 1)
    np.testing.assert_allclose((0.5 * factors.clean) ** 2 + factors.noise**2, 1)
