"""Which noise levels a sampler visits."""

import numpy as np
import pytest
from diffusers import EDMEulerScheduler
from hypothesis import given
from hypothesis import strategies as st

from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.schedules import (
    Cosine,
    Linear,
    LinearPath,
    Schedule,
    ZeroTerminalSNR,
)
from dualscale.diffusion.schedules import Geometric as LogSpaced
from dualscale.diffusion.spacings import Geometric, Karras, Listed, Spacing, Trailing
from dualscale.parts import parts_of

FINE = LogSpaced(timesteps=2000, sigma_min=0.002, sigma_max=80.0).levels()
COARSE = LogSpaced(timesteps=100, sigma_min=0.002, sigma_max=10.0).levels()
BETWEEN = {"sigma_min": 0.01, "sigma_max": 3.0}


def test_log_spaced_levels_are_those_of_their_formula():
    levels = Geometric(**BETWEEN).visited(FINE, 12)
    expected = 3 * (0.01 / 3) ** (np.arange(12) / 11)
    np.testing.assert_allclose(levels.ratio[:-1], expected, rtol=0.006)


def test_karras_levels_are_those_of_diffusers():
    levels = Karras(sigma_min=0.002, sigma_max=80.0).visited(FINE, 18)
    oracle = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    oracle.set_timesteps(18)
    np.testing.assert_allclose(levels.ratio, oracle.sigmas, rtol=0.003)


@pytest.mark.parametrize("kind", [Geometric, Karras])
def test_without_bounds_the_models_levels_are_visited_from_end_to_end(kind):
    levels = kind().visited(COARSE, 7)
    assert (levels.t[0], levels.t[-1]) == (99, 0)
    assert kind().visited(COARSE, None) == Trailing().visited(COARSE, None)


def test_a_level_is_the_nearest_of_those_that_the_network_knows():
    apart = np.abs(np.log(COARSE.sigma / 0.1))
    assert COARSE.nearest(0.1) == apart.argmin()
    assert COARSE.nearest(1e-9) == 0
    assert COARSE.nearest(1e9) == 99


@pytest.mark.parametrize("schedule", list(parts_of(Schedule)))
@pytest.mark.parametrize("kind", list(parts_of(Spacing)))
@given(timesteps=st.integers(2, 60), share=st.floats(0, 1), ends=st.tuples(*[st.floats(-7, 4)] * 2))
def test_any_number_of_levels_can_be_visited_up_to_all_that_are_allowed(
    schedule, kind, timesteps, share, ends
):
    trained = schedule(timesteps=timesteps).levels()
    low, high = np.exp(sorted(ends))
    spacing = {
        Trailing: lambda: kind(),
        Listed: lambda: kind(sigmas=np.geomspace(high + 0.01, low, 9).tolist()),
    }.get(kind, lambda: kind(sigma_min=low, sigma_max=high + 0.01))()
    allowed = spacing.allowed(trained)
    steps = 1 + round(share * (len(allowed) - 1))
    t = spacing.visited(trained, steps).t
    assert len(t) == steps
    assert t[0] == allowed[-1]
    assert (np.diff(t) < 0).all()
    assert set(t) <= set(allowed)


def test_a_schedule_that_ends_in_noise_is_entered_where_there_is_data():
    trained = ZeroTerminalSNR().levels()
    assert Geometric().visited(trained, 5).t[0] == 98
    Drawing(sampler="heun", spacing="geometric", steps=5).require_fit(trained)
    with pytest.raises(ValueError, match="sampler is 'heun': it divides by alpha"):
        Drawing(sampler="heun", steps=5).require_fit(trained)


def test_more_levels_than_there_are_between_the_bounds_are_refused():
    spacing = {"kind": "geometric", **BETWEEN}
    Drawing(spacing=spacing, steps=67).require_fit(COARSE)
    refusal = r"sampling.steps is 68: at most the timesteps within sampling.spacing, 67, is allowed"
    with pytest.raises(ValueError, match=refusal):
        Drawing(spacing=spacing, steps=68).require_fit(COARSE)


def test_bounds_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match=r"sigma_max is 0.01: more than sigma_min, 3, is allowed"):
        Karras(sigma_min=3.0, sigma_max=0.01)


@pytest.mark.parametrize("schedule", [Linear, Cosine, LinearPath])
def test_the_ratio_of_noise_to_signal_is_what_is_spaced(schedule):
    trained = schedule(timesteps=1000).levels()
    levels = Geometric(sigma_min=0.05, sigma_max=1.0).visited(trained, 4)
    np.testing.assert_allclose(levels.ratio[:-1], np.geomspace(1, 0.05, 4), rtol=0.1)


def test_listed_levels_are_the_nearest_of_the_models_and_fewer_are_taken_evenly():
    listed = Listed(sigmas=[2.0, 0.5, 0.2, 0.1, 0.05])
    nearest = [int(COARSE.nearest(sigma)) for sigma in listed.sigmas]
    assert listed.visited(COARSE, None).t == nearest
    assert listed.visited(COARSE, 3).t == nearest[::2]
    assert listed.visited(COARSE, 1).t == nearest[:1]


def test_listed_levels_that_are_one_of_the_models_count_once():
    assert len(Listed(sigmas=[0.1, 0.09999]).visited(COARSE, None).t) == 1
