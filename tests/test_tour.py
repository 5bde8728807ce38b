"""The notebook examples/tour.ipynb, executed."""

import os
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from conftest import ROOT

NOTEBOOK = nbformat.read(ROOT / "examples/tour.ipynb", as_version=4)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
LEFT = ["losses", "kl_bits", "score_error", "points", "fewer", "mine", "real"]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Arrays that the notebook's cells leave when they run one after another.

    In a process of their own: the sampler that they define would be a choice for other tests.
    """
    folder = tmp_path_factory.mktemp("tour")
    save = f"np.savez('left.npz', **{{name: globals()[name] for name in {LEFT}}})"
    script = folder / "tour.py"
    script.write_text("\n\n".join([*(cell.source for cell in CODE), "import numpy as np", save]))
    done = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "left.npz")


def test_the_notebook_is_valid_and_stores_no_output():
    nbformat.validate(NOTEBOOK)
    assert not any(cell.outputs or cell.execution_count for cell in CODE)


def test_its_model_has_learned_the_moons(left):
    assert left["losses"][-1] < 0.9 * left["losses"][0]
    assert left["kl_bits"] < 1.0
    assert left["score_error"] < 0.1


@pytest.mark.parametrize("name", ["points", "fewer", "mine"])
def test_its_points_lie_near_the_moons(left, name):
    points, real = left[name], left["real"]
    assert points.shape == (5000, 2)
    np.testing.assert_allclose(points.mean(axis=0), real.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(points.std(axis=0), real.std(axis=0), rtol=0.2)
