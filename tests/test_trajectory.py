"""Trajectories: the states of the reverse process."""

import numpy as np
import pytest
from test_model import DATA, make

from draw_trajectory import main as draw_trajectory
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.trajectory import trajectory


@pytest.mark.parametrize("kind", ["ancestral", "ddim", "heun"])
def test_a_trajectory_visits_every_level_and_ends_in_the_samples(kind):
    model, drawing = make(), Drawing.model_validate({"sampler": {"kind": kind}, "steps": 7})
    found = trajectory(model.sampler(drawing, 30, ["stream"]))
    assert found.t == drawing.visited(model.levels).t
    assert found.points.shape == (8, 30, 2)
    assert np.array_equal(found.points[-1], model.sampler(drawing, 30, ["stream"]).draw()[0])


@pytest.mark.parametrize(("normalisation", "drawn"), [("standard", True), ("whitened", False)])
def test_arrows_of_the_score_are_drawn_where_the_models_axes_are_those_of_the_picture(
    tmp_path, normalisation, drawn
):
    path, real, states = (tmp_path / name for name in ("m.safetensors", "real.npy", "states.npz"))
    model = make(normalisation=normalisation)
    model.save(path, model.backbone.flat, 0)
    np.save(real, DATA.numpy())
    draw_trajectory(path, real, states, settings={"steps": 3}, stream="s", architecture=None)
    assert ("scores" in np.load(states)) == drawn
