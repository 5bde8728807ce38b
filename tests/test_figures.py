import matplotlib.pyplot as plt
import numpy as np
import pytest

from dualscale.reporting.figures import frame_cloud
from dualscale.runtime.files import save_points
from dualscale.runtime.records import write_rows
from plot_samples import main as plot_samples
from plot_score_errors import main as plot_score_errors
from plot_weights import main as plot_weights


@pytest.mark.parametrize(
    ("spread", "shown"),
    [((4, 8), (8, 8)), ((700, 7), (700, 7)), ((3, 0), (3, 3))],
    ids=["of one unit", "of two units", "on a line"],
)
def test_points_of_one_unit_have_one_scale_and_points_of_two_fill_the_panel(spread, shown):
    corners = np.array([[0, 0], spread])
    figure, axis = plt.subplots()
    frame_cloud([axis], corners, margin=0.0)
    assert [np.ptp(axis.get_xlim()), np.ptp(axis.get_ylim())] == pytest.approx(shown)
    assert np.mean([axis.get_xlim(), axis.get_ylim()], axis=1) == pytest.approx(
        corners.mean(axis=0)
    )
    plt.close(figure)


RUNS = [(v, d, s) for v in ("mine", "other") for d in ("dino", "line") for s in (0, 1)]
SETTINGS = {"labels": {"mine": "Mine", "other": "Other"}, "datasets": ["dino", "line"]}


def write_points(path, number):
    save_points(path, np.random.default_rng(number).normal(size=(5, 2)))


def write_weights(path, number):
    write_rows(path, ["timestep", "global"], [[0, 0.1 * number], [1, 0.5]])


def write_scores(path, number):
    write_rows(path, ["timestep", "sigma", "squared_error"], [[0, 0.1, 1 + number], [1, 2, 1]])


@pytest.mark.parametrize(
    ("plot", "write", "ending", "seeds"),
    [
        (plot_samples, write_points, "npy", [0]),
        (plot_weights, write_weights, "csv", [0, 1]),
        (plot_score_errors, write_scores, "csv", [0, 1]),
    ],
)
def test_figures_know_runs_by_their_names_and_not_by_their_order(
    plot, write, ending, seeds, tmp_path
):
    files = []
    for number, (variant, dataset, seed) in enumerate(RUNS):
        path = tmp_path / f"{variant}/{dataset}/{seed}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, number)
        files += [path] * (seed in seeds)
    drawn = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for figure, order in zip(drawn, (files, files[::-1]), strict=True):
        plot(order, [figure], settings=SETTINGS)
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
