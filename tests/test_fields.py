"""Exact fields along a trajectory."""

import numpy as np
import pytest

from compute_fields import main
from dualscale.data.datasets import Line
from dualscale.diffusion.schedules import Geometric, Linear
from dualscale.reporting.grids import ARROWS, CELLS, lattice

SIDE = 10.0


@pytest.fixture
def fields(tmp_path):
    """Fields of `line` with a schedule, at timesteps 60 and 0 and of the samples."""

    def computed(schedule):
        path = tmp_path / "trajectory.npz"
        corners = {"low": np.full(2, -SIDE / 2), "high": np.full(2, SIDE / 2)}
        np.savez(path, timesteps=np.array([60, 0, -1]), **corners)
        settings = {"distribution": {"kind": "line"}, "schedule": schedule.model_dump()}
        main(path, tmp_path / "fields.npz", settings=settings)
        return np.load(tmp_path / "fields.npz")

    return computed


@pytest.mark.parametrize("schedule", [Linear(), Geometric(sigma_min=0.01, sigma_max=10.0)])
def test_densities_of_rescaled_points_sum_to_one(fields, schedule):
    found = fields(schedule)["log_density"]
    assert found.shape == (3, CELLS, CELLS)
    mass = np.exp(found[1:]).sum(axis=(1, 2)) * (SIDE / (CELLS - 1)) ** 2
    assert mass == pytest.approx([1, 1], abs=1e-3)
    assert np.exp(found[2, CELLS // 2, CELLS // 2]) == pytest.approx(1 / 32)


def test_scores_are_those_of_the_level_times_sigma(fields):
    found, levels = fields(Linear())["scores"], Linear().levels()
    places = lattice(np.full(2, -SIDE / 2), np.full(2, SIDE / 2), ARROWS)
    alpha, sigma = levels.alpha[60], levels.sigma[60]
    exact = sigma * Line().build().score(alpha * places, alpha, sigma)
    np.testing.assert_allclose(found[0], exact)
