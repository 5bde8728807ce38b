"""Sampling in Python: as draw.py draws, with settings that can be changed."""

import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import ROOT
from test_model import make

import draw
import dualscale
from dualscale.sampling import changed, in_evaluations


@pytest.fixture
def path(tmp_path):
    model = make()
    model.save(tmp_path / "0.safetensors", model.backbone.flat, 0)
    return tmp_path / "0.safetensors"


def test_python_draws_the_points_that_draw_does(path, tmp_path):
    draw.main(
        draw.parse([str(path), str(tmp_path / "points.npy"), "--points", "20", "--seed", "3"])
    )
    points = dualscale.sample(dualscale.load_model(str(path)), 20, seed=3)
    assert np.array_equal(points, np.load(tmp_path / "points.npy"))


def test_changes_are_settings_or_kinds_alone(path):
    model = dualscale.load_model(path)
    by_kind = dualscale.sample(model, 20, sampler="ddim", steps=5)
    assert np.array_equal(by_kind, dualscale.sample(model, 20, sampler={"kind": "ddim"}, steps=5))
    assert not np.array_equal(by_kind, dualscale.sample(model, 20, steps=5))


def test_few_evaluations_are_those_that_were_chosen_for_their_number(path, tmp_path):
    model = dualscale.load_model(path)
    protocol = yaml.safe_load((ROOT / "workflow/protocols/samplers.yaml").read_text())
    ways = protocol["steps"]["samplings"]
    for number in (10, 20, 50):
        found = in_evaluations(model, number)
        assert found.pop("prior") == "moment_matched"
        assert found == approximate(ways[f"sde_{number}"])
    drawing = changed(model.settings.sampling, in_evaluations(model, 14))
    assert drawing.evaluations(model.levels) == 14
    assert 1.5 < drawing.spacing.sigma_max < 3
    arguments = [str(path), str(tmp_path / "few.npy"), "--points", "20", "--evaluations", "14"]
    draw.main(draw.parse(arguments))
    points = dualscale.sample(model, 20, evaluations=14)
    assert np.array_equal(points, np.load(tmp_path / "few.npy"))


def approximate(settings):
    return {
        key: pytest.approx(value) if isinstance(value, dict) else value
        for key, value in settings.items()
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "didm"}, "sampler is 'didm': one of ancestral"),
        ({"step": 3}, "has the unknown key 'step'"),
        ({"steps": 101}, "steps is 101: at most schedule.timesteps, 100, is allowed"),
        ({"evaluations": 0}, "evaluations is 0: 1 or more is allowed"),
        ({"evaluations": 101}, "steps is 101: at most schedule.timesteps, 100, is allowed"),
        ({"points": 0}, "points is 0: 1 or more is allowed"),
    ],
)
def test_a_wrong_change_is_named(path, changes, message):
    with pytest.raises(ValueError, match=message):
        dualscale.sample(dualscale.load_model(path), **changes)


def test_the_package_loads_pytorch_only_for_what_needs_it():
    code = "import sys, dualscale; assert 'torch' not in sys.modules; dualscale.sample"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", check=True)
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        dualscale.smaple  # noqa: B018
