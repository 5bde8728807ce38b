import numpy as np
import pytest
import torch

from dualscale.sampling import Sampler, ancestral
from dualscale.schedule import linear_schedule

SCHEDULE = linear_schedule(100, 1e-4, 0.02)
CPU = torch.device("cpu")


def exact_denoiser(mean, width, schedule=SCHEDULE):
    """E[x_0 | x_t] of data that are N(mean, width^2 I)."""
    alphas, sigmas = schedule.alpha.tolist(), schedule.sigma.tolist()

    def denoise(x, t):
        alpha, sigma = alphas[t], sigmas[t]
        gain = alpha * width**2 / (alpha**2 * width**2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    return denoise


def sample(*arguments):
    return Sampler(*arguments).draw()


def test_the_exact_denoiser_of_a_gaussian_gives_that_gaussian():
    fine = linear_schedule(1000, 1e-4, 0.02)  # noises the data away: N(0, I) is the right start
    x = sample(exact_denoiser(1.5, 0.3, fine), fine, 10_000, 2, ["0"], CPU)[0].numpy()
    np.testing.assert_allclose(x.mean(axis=0), 1.5, atol=0.02)
    np.testing.assert_allclose(x.std(axis=0), 0.3, rtol=0.04)


def test_from_the_noisy_data_the_exact_denoiser_gives_the_data_whatever_the_schedule():
    data = 1.5 + 0.3 * torch.randn(10_000, 2)
    sampler = Sampler(exact_denoiser(1.5, 0.3), SCHEDULE, 10_000, 2, ["0"], CPU)
    x = sampler.draw(data)[0].numpy()
    np.testing.assert_allclose(x.mean(axis=0), 1.5, atol=0.02)
    np.testing.assert_allclose(x.std(axis=0), 0.3, rtol=0.06)


def test_the_same_stream_gives_the_same_points():
    draws = [sample(exact_denoiser(0, 1), SCHEDULE, 600, 2, ["0"], CPU) for _ in range(2)]
    assert torch.equal(*draws)


def test_models_are_sampled_together_as_they_are_alone():
    both = sample(exact_denoiser(0, 1), SCHEDULE, 600, 2, ["a", "b"], CPU)
    for model, stream in enumerate("ab"):
        alone = sample(exact_denoiser(0, 1), SCHEDULE, 600, 2, [stream], CPU)
        torch.testing.assert_close(both[model], alone[0])


def test_points_do_not_depend_on_the_tile_they_are_drawn_in(monkeypatch):
    whole = sample(exact_denoiser(0, 1), SCHEDULE, 70, 3, ["0"], CPU)
    monkeypatch.setattr("dualscale.sampling.TILE", 16)
    torch.testing.assert_close(sample(exact_denoiser(0, 1), SCHEDULE, 70, 3, ["0"], CPU), whole)


def test_the_last_step_adds_no_noise():
    start, noise = torch.randn(1, 5, 2), torch.randn(99, 1, 5, 2)
    x = ancestral(lambda x, t: torch.ones_like(x), SCHEDULE, start, noise)
    torch.testing.assert_close(x, torch.ones(1, 5, 2))


def test_any_number_of_points_can_be_drawn():
    assert sample(exact_denoiser(0, 1), SCHEDULE, 10_001, 1, ["0"], CPU).shape == (1, 10_001, 1)


def test_warm_up_leaves_no_trace():
    cold, warm = (Sampler(exact_denoiser(0, 1), SCHEDULE, 70, 2, ["0"], CPU) for _ in range(2))
    warm.warm_up()
    assert torch.equal(warm.draw(), cold.draw())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_replayed_graph_draws_what_single_steps_do():
    cuda = torch.device("cuda")
    eager, graphed = (
        Sampler(exact_denoiser(0, 1), SCHEDULE, 10_001, 2, ["a", "b"], cuda) for _ in range(2)
    )
    graphed.warm_up()
    torch.testing.assert_close(graphed.draw(), eager.draw())
