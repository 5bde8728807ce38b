import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    HeunDiscreteScheduler,
)

import _job
from dualscale.data.moments import Moments
from dualscale.diffusion.sampling import (
    SAMPLERS,
    STARTS,
    Sampler,
    ancestral,
    ddim,
    dpm_solver,
    evaluations,
    heun,
    make_levels,
    normal_numbers,
    replayed,
)
from dualscale.diffusion.schedule import Schedule, karras, linear, make_schedule
from dualscale.parts import OF_KIND

SCHEDULE = linear(100, 1e-4, 0.02)
CPU = torch.device("cpu")
PAPER = {
    "start": "standard",
    "sampler": {"kind": "ancestral", "variance": "posterior"},
    "steps": None,
}


def exact_denoiser(mean, width, schedule=SCHEDULE):
    """E[x_0 | x_t] for data from N(mean, width² I)."""
    alphas, sigmas = schedule.alpha.tolist(), schedule.sigma.tolist()

    def denoise(x, t):
        alpha, sigma = alphas[t], sigmas[t]
        gain = alpha * width**2 / (alpha**2 * width**2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    return denoise


def moments(mean=0.0, width=1.0, d=2):
    return Moments(torch.full((d,), mean).double(), width**2 * torch.eye(d).double())


def sampler(denoise, points=600, streams=("0",), d=2, schedule=SCHEDULE, **settings):
    return Sampler(denoise, schedule, moments(d=d), PAPER | settings, points, streams, CPU)


def sample(*arguments, **settings):
    return sampler(*arguments, **settings).draw()


def predicted_noise(x, t):
    return torch.sin(3 * x) * (1 + 0.01 * t)


def denoise_as(schedule):
    return lambda x, t: (x - schedule.sigma[t] * predicted_noise(x, t)) / schedule.alpha[t]


def numbers(steps):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(steps, 1, 40, 2, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("steps", [100, 20, 1])
@pytest.mark.parametrize(
    ("variance", "name"), [("posterior", "fixed_small"), ("forward", "fixed_large")]
)
def test_ancestral_takes_the_steps_of_diffusers(steps, variance, name, monkeypatch):
    oracle = DDPMScheduler(
        100, 1e-4, 0.02, variance_type=name, clip_sample=False, timestep_spacing="trailing"
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
    levels = make_levels(SCHEDULE, steps)
    ours = ancestral(denoise_as(SCHEDULE), levels, drawn[0], iter(drawn[1:]), variance)
    np.testing.assert_allclose(ours, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [100, 20, 1])
def test_ddim_takes_the_steps_of_diffusers(steps):
    oracle = DDIMScheduler(100, 1e-4, 0.02, clip_sample=False, timestep_spacing="trailing")
    oracle.set_timesteps(steps)
    x = start = numbers(1)[0]
    for t in oracle.timesteps.tolist():
        x = oracle.step(predicted_noise(x, t), t, x).prev_sample
    ours = ddim(denoise_as(SCHEDULE), make_levels(SCHEDULE, steps), start, iter(()))
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
    ours = dpm_solver(denoise_as(SCHEDULE), make_levels(SCHEDULE, steps), start, iter(()))
    np.testing.assert_allclose(ours, x, rtol=1e-3, atol=1e-3)


def test_heun_takes_the_steps_of_diffusers():
    oracle = HeunDiscreteScheduler(100, 1e-4, 0.02, timestep_spacing="trailing")
    oracle.set_timesteps(20)
    levels = make_levels(SCHEDULE, 20)
    start = numbers(1)[0]
    x = start / levels.alpha[0]
    for t in oracle.timesteps:
        seen = oracle.scale_model_input(x, t)
        x = oracle.step(predicted_noise(seen, t.item()), t, x).prev_sample
    ours = heun(denoise_as(SCHEDULE), levels, start, start)
    np.testing.assert_allclose(ours, x, rtol=1e-3, atol=1e-3)


def test_ddim_takes_the_euler_steps_of_edm():
    schedule = karras(20, 0.02, 10.0, 7.0)
    oracle = EDMEulerScheduler(sigma_min=0.02, sigma_max=10.0, sigma_data=0.5)
    oracle.set_timesteps(20)
    x = start = 10 * numbers(1)[0]
    denoise = exact_denoiser(0.4, 0.5, schedule)
    for i, t in enumerate(oracle.timesteps):
        oracle.scale_model_input(x, t)
        x = oracle.step(x, t, x, pred_original_sample=denoise(x, 19 - i)).prev_sample
    ours = ddim(denoise, make_levels(schedule, None), start, iter(()))
    np.testing.assert_allclose(ours, x, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("schedule", ["cosine", "log_linear", "karras"])
def test_the_exact_denoiser_of_a_gaussian_gives_that_gaussian(kind, schedule):
    many = make_schedule({"kind": schedule, "timesteps": 400} | OF_KIND["schedule"][schedule])
    chosen = {"kind": kind} | OF_KIND["sampler"][kind]
    denoise = exact_denoiser(1.5, 0.3, many)
    x = sample(denoise, 10_000, schedule=many, sampler=chosen)[0].numpy()
    np.testing.assert_allclose(x.mean(axis=0), 1.5, atol=0.02)
    np.testing.assert_allclose(x.std(axis=0), 0.3, rtol=0.04)


def test_no_sampler_needs_more_evaluations_than_it_says():
    for kind in SAMPLERS:
        asked = []

        def denoise(x, t, asked=asked):
            asked.append(t)
            return 0.5 * x

        chosen = {"kind": kind} | OF_KIND["sampler"][kind]
        sampler(denoise, 10, sampler=chosen, steps=7).draw()
        assert len(asked) == evaluations(kind, 7)
        assert max(asked) == 99


def test_from_the_noisy_data_the_exact_denoiser_gives_the_data_whatever_the_schedule():
    data = 1.5 + 0.3 * torch.randn(10_000, 2)
    x = sampler(exact_denoiser(1.5, 0.3), 10_000).draw(data)[0].numpy()
    np.testing.assert_allclose(x.mean(axis=0), 1.5, atol=0.02)
    np.testing.assert_allclose(x.std(axis=0), 0.3, rtol=0.06)


@pytest.mark.parametrize("kind", ["linear", "log_linear", "interpolation"])
def test_the_matched_start_has_the_moments_of_the_noised_data(kind):
    schedule = make_schedule({"kind": kind, "timesteps": 10} | OF_KIND["schedule"][kind])
    mean, covariance = STARTS["matched"](schedule, moments(2.0, 3.0))
    alpha, sigma = schedule.alpha[-1], schedule.sigma[-1]
    np.testing.assert_allclose(mean, [2 * alpha, 2 * alpha])
    np.testing.assert_allclose(covariance, (9 * alpha**2 + sigma**2) * np.eye(2))


def test_the_papers_start_is_a_standard_normal_law():
    mean, covariance = STARTS["standard"](SCHEDULE, moments(2.0, 3.0))
    assert (mean == 0).all()
    np.testing.assert_allclose(covariance, np.eye(2), rtol=1e-12)


def test_the_start_is_drawn_with_its_mean_and_covariance():
    covariance = torch.tensor([[2.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    law = Moments(torch.tensor([1.0, -2.0]).double(), covariance)
    one = Schedule(torch.ones(1).double(), torch.full((1,), 0.1).double())
    settings = PAPER | {"start": "matched"}
    x = Sampler(lambda x, t: x, one, law, settings, 20_000, ["0"], CPU).draw()[0].numpy()
    np.testing.assert_allclose(x.mean(axis=0), law.mean, atol=0.05)
    np.testing.assert_allclose(np.cov(x.T), covariance + 0.01 * np.eye(2), atol=0.06)


def test_the_same_stream_gives_the_same_points():
    assert torch.equal(*[sample(exact_denoiser(0, 1)) for _ in range(2)])


def test_models_are_sampled_together_as_they_are_alone():
    both = sample(exact_denoiser(0, 1), 600, ("a", "b"))
    for model, stream in enumerate("ab"):
        alone = sample(exact_denoiser(0, 1), 600, (stream,))
        torch.testing.assert_close(both[model], alone[0])


def test_points_do_not_depend_on_the_tile_they_are_drawn_in(monkeypatch):
    whole = sample(exact_denoiser(0, 1), 70, d=3)
    monkeypatch.setattr("dualscale.diffusion.sampling.TILE", 16)
    torch.testing.assert_close(sample(exact_denoiser(0, 1), 70, d=3), whole)


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
    code = f"""if True:
        import resource, torch
        from dualscale import model
        from dualscale.diffusion import sampling, schedule
        moments = model.Moments(torch.zeros(16).double(), torch.eye(16).double())
        many, cpu = schedule.linear(1000, 1e-4, 0.02), torch.device("cpu")
        draw = sampling.Sampler(lambda x, t: x / 2, many, moments, {PAPER}, 2000, ["0"], cpu).draw
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        draw()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command, scripts = [sys.executable, "-c", code], Path(_job.__file__).parent
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

        monkeypatch.setattr("dualscale.diffusion.sampling.to_device", send)
        parts = exact_denoiser(0, 1), SCHEDULE, moments(), PAPER, 70, ["a", "b"]
        drawer = Sampler(*parts, torch.device(device))
        noise = drawer._draw_noise(slice(0, 70))
        assert drawer.run(next(noise), noise).device.type == device
    assert len(sent["cpu"]) == len(sent["meta"]) == 100
    for ours, theirs in zip(*sent.values(), strict=True):
        assert theirs.device.type == "cpu"
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", ["ancestral", "ddim"])
def test_a_captured_run_draws_what_single_steps_do(kind, monkeypatch):
    """Run on the CPU, where a "capture" is the work itself."""
    monkeypatch.setattr("dualscale.diffusion.sampling.captured", lambda work: work)
    monkeypatch.setattr("dualscale.diffusion.sampling.BLOCK", 64)
    chosen = {"sampler": {"kind": kind} | OF_KIND["sampler"][kind]}
    single, graphed = (sampler(exact_denoiser(0, 1), 100, "ab", **chosen) for _ in range(2))
    graphed.tile = 64
    graphed.run = replayed(graphed.run, torch.zeros(100, 2, 64, 2))
    torch.testing.assert_close(graphed.draw(), single.draw())


@pytest.mark.parametrize("kind", SAMPLERS)
def test_the_last_step_ends_at_the_denoised_point(kind):
    options = OF_KIND["sampler"][kind]
    start, noise = torch.randn(1, 5, 2), torch.randn(99, 1, 5, 2)
    levels = make_levels(SCHEDULE, None)
    x = SAMPLERS[kind](lambda x, t: torch.ones_like(x), levels, start, iter(noise), **options)
    torch.testing.assert_close(x, torch.ones(1, 5, 2), rtol=1e-4, atol=1e-4)


def test_any_number_of_points_can_be_drawn():
    assert sample(exact_denoiser(0, 1), 10_001, d=1).shape == (1, 10_001, 1)


def test_warm_up_leaves_no_trace():
    cold, warm = (sampler(exact_denoiser(0, 1), 70) for _ in range(2))
    warm.warm_up()
    assert torch.equal(warm.draw(), cold.draw())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_replayed_graph_draws_what_single_steps_do(kind):
    settings = PAPER | {"sampler": {"kind": kind} | OF_KIND["sampler"][kind]}
    denoise, streams = exact_denoiser(0, 1), ["a", "b"]
    eager, graphed = (
        Sampler(denoise, SCHEDULE, moments(), settings, 10_001, streams, torch.device("cuda"))
        for _ in range(2)
    )
    graphed.warm_up()
    torch.testing.assert_close(graphed.draw(), eager.draw())
