from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import animate
import plot_samples
from dualscale.reporting.figures import frame_cloud
from dualscale.reporting.space import frame_space, in_space, scatter_in_space
from dualscale.runtime.files import save_points
from dualscale.runtime.records import write_rows
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
        (partial(plot_samples.main, real=[], encodings=[]), write_points, "npy", [0]),
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
        plot(order, figures=[figure], settings=SETTINGS)
    assert drawn[0].read_bytes() == drawn[1].read_bytes()


def points_in_space():
    return np.random.default_rng(0).normal(size=(50, 3)) * [1, 2, 3]


def test_points_in_space_are_drawn_within_a_box_of_their_proportions():
    points = points_in_space()
    figure, panel = plt.subplots()
    axis = in_space(panel)
    assert figure.axes == [axis]
    frame_space([axis], points, margin=0.01)
    sides = [np.ptp(get()) for get in (axis.get_xlim, axis.get_ylim, axis.get_zlim)]
    assert sides == pytest.approx(1.02 * np.ptp(points, axis=0))
    beyond = np.concatenate([points, 10 * points[:1] + 100])
    assert len(scatter_in_space(axis, beyond, 1.0).get_offsets()) == len(points)
    plt.close(figure)


def test_figure_1_shows_points_of_three_coordinates_in_space_beside_the_plane(
    tmp_path, monkeypatch
):
    clouds = {"dino": np.random.default_rng(0).normal(size=(5, 2)), "knot": points_in_space()}
    files = []
    for name, cloud in clouds.items():
        files.append(tmp_path / f"mine/{name}/0.npy")
        files[-1].parent.mkdir(parents=True)
        save_points(files[-1], cloud)
    drawn = []
    monkeypatch.setattr(plot_samples, "write_figure", lambda figure, paths: drawn.append(figure))
    settings = {"labels": {"mine": "Mine"}, "datasets": [*clouds]}
    plot_samples.main(files, [], [], [], settings=settings)
    panels = {axis.get_title(): axis for axis in drawn[0].axes}
    assert [panels[name].name for name in clouds] == ["rectilinear", "3d"]
    assert panels["dino"].get_ylabel() == "Mine"
    plt.close(drawn[0])


def test_an_animation_into_space_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(animate, "FRAMES", 2)
    monkeypatch.setattr(animate, "HELD", 0)
    points = points_in_space()
    animate.write_gif(tmp_path / "a.gif", [[points]], ["Mine"], points)
    with Image.open(tmp_path / "a.gif") as animation:
        first = np.asarray(animation.convert("L"), dtype=float)
        animation.seek(animation.n_frames - 1)
        assert np.abs(np.asarray(animation.convert("L"), dtype=float) - first).mean() > 1


def test_maps_are_positive_where_generated_points_are_too_many():
    rng = np.random.default_rng(0)
    real, right = rng.uniform(-1, 1, (2000, 2)), rng.uniform(0, 1, (2000, 2))
    figure, (beside, column) = plt.subplots(2, 3)
    beside[0].set(xlim=(-1, 1), ylim=(-1, 1))
    plot_samples.draw_differences(column, beside[0], [real, right], real)
    equal, other = (axis.collections[0].get_array().reshape(80, 80) for axis in column[:2])
    assert not equal.any()
    quarters = [
        [other[y, x].mean() for x in (slice(40), slice(40, 80))] for y in (slice(40), slice(40, 80))
    ]
    assert np.sign(quarters).tolist() == [[-1, -1], [-1, 1]]
    assert other.min() >= -1
    plt.close(figure)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_figure_1_sets_differences_beside_the_samples(dimensions, tmp_path):
    paths = [tmp_path / "mine/dino/0.npy", tmp_path / "dino.npy"]
    paths[0].parent.mkdir(parents=True)
    for seed, path in enumerate(paths):
        save_points(path, np.random.default_rng(seed).normal(size=(50, dimensions)))
    settings = {"labels": {"mine": "Mine"}, "datasets": ["dino"]}
    figures = [tmp_path / "alone.svg", tmp_path / "beside.svg"]
    for figure, real in zip(figures, ([], paths[1:]), strict=True):
        plot_samples.main(paths[:1], real, [], [figure], settings=settings)
    said = ["generated − real" in figure.read_text(encoding="utf-8") for figure in figures]
    assert said == [False, True]
