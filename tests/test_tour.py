"""The notebook examples/tour.ipynb, executed."""

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from conftest import ROOT

NOTEBOOK = nbformat.read(ROOT / "examples/tour.ipynb", as_version=4)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Names that the notebook's cells leave when they run one after another."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("tour"))
        plt.switch_backend("agg")
        for cell in CODE:
            exec(compile(cell.source, f"{ROOT}/examples/tour.ipynb, {cell.id}", "exec"), names)
    yield names
    plt.close("all")


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
