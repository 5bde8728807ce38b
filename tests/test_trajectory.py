"""Trajectories: the states of the reverse process."""

import numpy as np
import pytest
from test_model import make

from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.trajectory import trajectory


@pytest.mark.parametrize("kind", ["ancestral", "ddim", "heun"])
def test_a_trajectory_visits_every_level_and_ends_in_the_samples(kind):
    model, drawing = make(), Drawing.model_validate({"sampler": {"kind": kind}, "steps": 7})
    found = trajectory(model.sampler(drawing, 30, ["stream"]))
    assert found.t == drawing.visited(model.levels).t
    assert found.points.shape == (8, 30, 2)
    assert np.array_equal(found.points[-1], model.sampler(drawing, 30, ["stream"]).draw()[0])
