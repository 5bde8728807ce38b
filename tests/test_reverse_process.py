import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    HeunDiscreteScheduler,
)

from dualscale.data.moments import Moments
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.priors import MomentMatched, Standard
from dualscale.diffusion.reverse_process import ReverseProcess, normal_numbers, replayed
from dualscale.diffusion.samplers import DDIM, Ancestral, DPMSolver, Heun, Restart, Sampler
from dualscale.diffusion.schedules import (
    Cosine,
    Geometric,
    Karras,
    Linear,
    LinearPath,
    NoiseLevels,
)
from dualscale.diffusion.spacings import Trailing
from dualscale.parts import parts_of

LEVELS = Linear().levels()
CPU = torch.device("cpu")
ROUNDING = {"rtol": 1.3e-6, "atol": 1e-5}  # torch.testing's, for float32
each_sampler = pytest.mark.parametrize("kind", list(parts_of(Sampler)))


def exact_denoiser(mean, width, levels=LEVELS):
    """E[x_0 | x_t] for data from N(mean, width² I)."""
    alphas, sigmas = levels.alpha.tolist(), levels.sigma.tolist()

    def denoise(x, t):
        alpha, sigma = alphas[t], sigmas[t]
        gain = alpha * width**2 / (alpha**2 * width**2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    return denoise


def moments(mean=0.0, width=1.0, d=2):
    return Moments(np.full(d, mean), width**2 * np.eye(d))


def process(denoise, points=600, streams=("0",), d=2, levels=LEVELS, **drawing):
    parts = denoise, levels, moments(d=d), Drawing(**drawing)
    return ReverseProcess(*parts, points, streams, CPU)


def sample(*arguments, **settings):
    return process(*arguments, **settings).draw()


def predicted_noise(x, t):
    return torch.sin(3 * x) * (1 + 0.01 * t)


def denoise_as_predicted(x, t):
    return (x - LEVELS.sigma[t] * predicted_noise(x, t)) / LEVELS.alpha[t]


def numbers(steps):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(steps, 1, 40, 2, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("steps", [100, 20, 1])
@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_ancestral_takes_the_steps_of_diffusers(steps, variance, monkeypatch):
    oracle = DDPMScheduler(
        100, 1e-4, 0.02, variance_type=variance, clip_sample=False, timestep_spacing="trailing"
    )
    oracle.set_timesteps(steps)
    drawn = numbers(steps)
    x = drawn[0]
    for i, t in enumerate(oracle.timesteps.tolist()):
        noise = drawn[i + 1] if i + 1 < steps else torch.zeros_like(x)
        monkeypatch.setattr(
            "diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, n=noise, **__: n
        )
        x = oracle.step(predicted_noise(x, t), t, x).prev_sample
    parts = denoise_as_predicted, Trailing().visited(LEVELS, steps), drawn[0], iter(drawn[1:])
    ours = Ancestral(variance=variance).run(*parts)
    np.testing.assert_allclose(ours, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [100, 20, 1])
def test_ddim_takes_the_steps_of_diffusers(steps):
    oracle = DDIMScheduler(100, 1e-4, 0.02, clip_sample=False, timestep_spacing="trailing")
    oracle.set_timesteps(steps)
    x = start = numbers(1)[0]
    for t in oracle.timesteps.tolist():
        x = oracle.step(predicted_noise(x, t), t, x).prev_sample
    ours = DDIM().run(denoise_as_predicted, Trailing().visited(LEVELS, steps), start, iter(()))
    np.testing.assert_allclose(ours, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [50, 20, 4])
def test_dpm_solver_takes_the_steps_of_diffusers(steps):
    oracle = DPMSolverMultistepScheduler(
        100,
        1e-4,
        0.02,
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        lower_order_final=True,
        euler_at_final=True,
    )
    oracle.set_timesteps(steps)
    x = start = numbers(1)[0]
    for t in oracle.timesteps.tolist():
        x = oracle.step(predicted_noise(x, t), t, x).prev_sample
    ours = DPMSolver().run(denoise_as_predicted, Trailing().visited(LEVELS, steps), start, iter(()))
    np.testing.assert_allclose(ours, x, rtol=1e-3, atol=1e-3)


def test_heun_takes_the_steps_of_diffusers():
    oracle = HeunDiscreteScheduler(100, 1e-4, 0.02, timestep_spacing="trailing")
    oracle.set_timesteps(20)
    levels = Trailing().visited(LEVELS, 20)
    start = numbers(1)[0]
    x = start / levels.alpha[0]
    for t in oracle.timesteps:
        seen = oracle.scale_model_input(x, t)
        x = oracle.step(predicted_noise(seen, t.item()), t, x).prev_sample
    ours = Heun().run(denoise_as_predicted, levels, start, iter(()))
    np.testing.assert_allclose(ours, x, rtol=1e-3, atol=1e-3)


def test_ddim_takes_the_euler_steps_of_edm():
    levels = Karras(timesteps=20, sigma_min=0.02, sigma_max=10.0).levels()
    oracle = EDMEulerScheduler(sigma_min=0.02, sigma_max=10.0, sigma_data=0.5)
    oracle.set_timesteps(20)
    x = start = 10 * numbers(1)[0]
    denoise = exact_denoiser(0.4, 0.5, levels)
    for i, t in enumerate(oracle.timesteps):
        oracle.scale_model_input(x, t)
        x = oracle.step(x, t, x, pred_original_sample=denoise(x, 19 - i)).prev_sample
    ours = DDIM().run(denoise, Trailing().visited(levels, None), start, iter(()))
    np.testing.assert_allclose(ours, x, rtol=1e-3, atol=1e-3)


@each_sampler
@pytest.mark.parametrize("schedule", [Cosine, Geometric, Karras])
def test_the_exact_denoiser_of_a_gaussian_gives_that_gaussian(kind, schedule):
    many = schedule(timesteps=400).levels()
    x = sample(exact_denoiser(1.5, 0.3, many), 10_000, levels=many, sampler=kind())[0]
    np.testing.assert_allclose(x.mean(axis=0), 1.5, atol=0.02)
    np.testing.assert_allclose(x.std(axis=0), 0.3, rtol=0.04)


@each_sampler
def test_no_sampler_needs_more_evaluations_than_it_says(kind):
    asked = []

    def denoise(x, t):
        asked.append(t)
        return 0.5 * x

    process(denoise, 10, sampler=kind(), steps=7).draw()
    assert len(asked) == Drawing(sampler=kind(), steps=7).evaluations(LEVELS)
    assert max(asked) == 99


def test_from_the_noisy_data_the_exact_denoiser_gives_the_data_whatever_the_schedule():
    data = 1.5 + 0.3 * torch.randn(10_000, 2)
    x = process(exact_denoiser(1.5, 0.3), 10_000).draw(data.numpy())[0]
    np.testing.assert_allclose(x.mean(axis=0), 1.5, atol=0.02)
    np.testing.assert_allclose(x.std(axis=0), 0.3, rtol=0.06)


@pytest.mark.parametrize("schedule", [Linear, Geometric, LinearPath])
def test_the_matched_prior_has_the_moments_of_the_noised_data(schedule):
    levels = schedule(timesteps=10).levels()
    mean, covariance = MomentMatched().moments(levels, moments(2.0, 3.0))
    alpha, sigma = levels.alpha[-1], levels.sigma[-1]
    np.testing.assert_allclose(mean, [2 * alpha, 2 * alpha])
    np.testing.assert_allclose(covariance, (9 * alpha**2 + sigma**2) * np.eye(2))


def test_sampling_starts_from_the_noisiest_level_that_it_visits():
    levels, seen = Geometric(timesteps=50).levels(), []

    def denoise(x, t):
        seen.append((t, x.std()))
        return 0 * x

    spacing = {"kind": "geometric", "sigma_max": 1.0}
    origin = np.full((600, 2), 5, np.float32)
    drawer = process(denoise, levels=levels, spacing=spacing, prior="moment_matched", steps=5)
    drawer.draw()
    drawer.draw(origin)
    (first, spread), (again, alone) = seen[0], seen[5]
    assert first == again == levels.nearest(1.0)
    sigma = levels.sigma[first]
    assert spread.item() == pytest.approx(math.hypot(1, sigma), rel=0.1)
    assert alone.item() == pytest.approx(sigma, rel=0.1)


def test_the_papers_prior_is_a_standard_normal_law():
    mean, covariance = Standard().moments(LEVELS, moments(2.0, 3.0))
    assert (mean == 0).all()
    np.testing.assert_allclose(covariance, np.eye(2), rtol=1e-12)


def test_the_prior_is_drawn_with_its_mean_and_covariance():
    covariance = np.array([[2.0, 0.9], [0.9, 1.0]])
    law = Moments(np.array([1.0, -2.0]), covariance)
    one, drawing = NoiseLevels(np.ones(1), np.full(1, 0.1)), Drawing(prior=MomentMatched())
    x = ReverseProcess(lambda x, t: x, one, law, drawing, 20_000, ["0"], CPU).draw()[0]
    np.testing.assert_allclose(x.mean(axis=0), law.mean, atol=0.05)
    np.testing.assert_allclose(np.cov(x.T), covariance + 0.01 * np.eye(2), atol=0.06)


def test_the_same_stream_gives_the_same_points():
    assert np.array_equal(*[sample(exact_denoiser(0, 1)) for _ in range(2)])


def test_models_are_sampled_together_as_they_are_alone():
    both = sample(exact_denoiser(0, 1), 600, ("a", "b"))
    for model, stream in enumerate("ab"):
        alone = sample(exact_denoiser(0, 1), 600, (stream,))
        np.testing.assert_allclose(both[model], alone[0], **ROUNDING)


def test_points_do_not_depend_on_the_tile_they_are_drawn_in(monkeypatch):
    whole = sample(exact_denoiser(0, 1), 70, d=3)
    monkeypatch.setattr("dualscale.diffusion.reverse_process.TILE", 16)
    np.testing.assert_allclose(sample(exact_denoiser(0, 1), 70, d=3), whole, **ROUNDING)


@pytest.mark.parametrize(
    ("steps", "points", "d"),
    [
        (100, 100, 2),
        (7, 1, 1),
        (100, 1, 1),
        (3, 16, 1),
        (33, 5, 1),
        (35, 3, 3),
        (1, 9, 2),
        (2, 8, 1),
    ],
)
def test_numbers_drawn_step_by_step_are_those_of_one_call(steps, points, d):
    drawn = list(
        normal_numbers([torch.Generator().manual_seed(s) for s in (3, 4)], steps, points, d)
    )
    assert len(drawn) == steps
    for model, seed in enumerate((3, 4)):
        whole = torch.randn(steps, points, d, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(torch.stack(drawn)[:, model], whole)


def test_the_noise_of_all_steps_is_never_held_at_once():
    code = """if True:
        import resource, numpy, torch
        from dualscale.data.moments import Moments
        from dualscale.diffusion.drawing import Drawing
        from dualscale.diffusion.reverse_process import ReverseProcess
        from dualscale.diffusion.schedules import Linear
        law, many = Moments(numpy.zeros(16), numpy.eye(16)), Linear(timesteps=1000).levels()
        parts = lambda x, t: x / 2, many, law, Drawing()
        draw = ReverseProcess(*parts, 2000, ["0"], torch.device("cpu")).draw
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        draw()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command, scripts = [sys.executable, "-c", code], ROOT / "scripts"
    done = subprocess.run(command, cwd=scripts, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30_000, "KB; the noise of a thousand steps takes 128,000"


def test_samples_are_drawn_with_the_same_numbers_for_every_device(monkeypatch):
    """The device "meta" stands for a GPU: it has neither numbers nor a generator of its own."""
    sent = {}
    for device in ("cpu", "meta"):
        sent[device] = []

        def send(tensor, to, sent=sent[device]):
            sent.append(tensor)
            return tensor.to(to)

        monkeypatch.setattr("dualscale.diffusion.reverse_process.to_device", send)
        parts = exact_denoiser(0, 1), LEVELS, moments(), Drawing(), 70, ["a", "b"]
        drawer = ReverseProcess(*parts, torch.device(device))
        noise = drawer._draw_noise(slice(0, 70))
        assert drawer.run(next(noise), noise).device.type == device
    assert len(sent["cpu"]) == len(sent["meta"]) == 100
    for ours, theirs in zip(*sent.values(), strict=True):
        assert theirs.device.type == "cpu"
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("sampler", [Ancestral(), DDIM(), Heun(s_churn=20.0), Restart()])
def test_a_captured_run_draws_what_single_steps_do(sampler, monkeypatch):
    """Run on the CPU, where a "capture" is the work itself."""
    monkeypatch.setattr("dualscale.diffusion.reverse_process.captured", lambda work, _: work)
    monkeypatch.setattr("dualscale.diffusion.reverse_process.BLOCK", 64)
    single, graphed = (process(exact_denoiser(0, 1), 100, "ab", sampler=sampler) for _ in range(2))
    graphed.tile = 64
    graphed.run = replayed(graphed.run, torch.zeros(graphed.tensors, 2, 64, 2))
    np.testing.assert_allclose(graphed.draw(), single.draw(), **ROUNDING)


@each_sampler
def test_the_last_step_ends_at_the_denoised_point(kind):
    start, noise = torch.randn(1, 5, 2), torch.randn(99, 1, 5, 2)
    levels = Trailing().visited(LEVELS, None)
    x = kind().run(lambda x, t: torch.ones_like(x), levels, start, iter(noise))
    torch.testing.assert_close(x, torch.ones(1, 5, 2), rtol=1e-4, atol=1e-4)


def test_any_number_of_points_can_be_drawn():
    assert sample(exact_denoiser(0, 1), 10_001, d=1).shape == (1, 10_001, 1)


def test_warm_up_leaves_no_trace():
    cold, warm = (process(exact_denoiser(0, 1), 70) for _ in range(2))
    warm.warm_up()
    assert np.array_equal(warm.draw(), cold.draw())
