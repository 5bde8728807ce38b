import numpy as np
import pandas as pd
import pytest

from dualscale.files import WRITERS, read_points
from import_dataset import main

POINTS = np.random.default_rng(0).normal([5, -3], [1, 20], (200, 2))


@pytest.mark.parametrize("ending", WRITERS)
def test_points_come_back_from_every_format(ending, tmp_path):
    file = tmp_path / f"points{ending}"
    WRITERS[ending](file, POINTS)
    np.testing.assert_allclose(read_points(file), POINTS)


def test_a_file_without_a_header_is_read_whole(tmp_path):
    file = tmp_path / "points.csv"
    np.savetxt(file, POINTS, delimiter=",")
    np.testing.assert_allclose(read_points(file), POINTS)


def test_columns_are_chosen_by_name_or_number(tmp_path):
    file = tmp_path / "points.csv"
    table = pd.DataFrame({"name": ["a"] * 200, "x": POINTS[:, 0], "y": POINTS[:, 1]})
    table.to_csv(file, index=False)
    np.testing.assert_allclose(read_points(file, ["y", "x"]), POINTS[:, ::-1])
    np.testing.assert_allclose(read_points(file, [2]), POINTS[:, 1:])


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("x,y\n1,2\n3,\n", None, "row 2 of column y is empty: only finite numbers"),
        ("x,y\n1,2\n3,inf\n", None, "row 2 of column y holds 'inf': only finite numbers"),
        ("x,y\n1,2\n3,high\n4,low\n", None, "row 2 of column y holds 'high': only .*; 2 such rows"),
        ("x,y\n1,2\n", ["z"], "has no column 'z': its columns are x, y"),
        ("x,y\n1,2\n", [5], "has no column 5: its columns are x, y"),
        ("x,y\n1,2\n3,4,5\n", None, "cannot be read: .*line 3"),
        ("", None, "cannot be read: No columns"),
        (",".join(f"c{i}" for i in range(65)) + "\n", None, "has 65 columns: at most 64 can be"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(text, columns, message, tmp_path):
    file = tmp_path / "points.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_points(file, columns)


def test_a_pickle_is_not_opened(tmp_path):
    file = tmp_path / "points.npy"
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read: Object arrays"):
        read_points(file)


def imported(points, tmp_path, **settings):
    file = tmp_path / "points.npy"
    np.save(file, points)
    outputs = {name: tmp_path / f"{name}.npy" for name in ("training", "held_out")}
    main(file, outputs, {"columns": None, "held_out": 0.1, "seed": 0} | settings)
    return {name: np.load(path) for name, path in outputs.items()}


def test_every_point_is_either_trained_on_or_held_out(tmp_path):
    parts = imported(POINTS, tmp_path)
    assert parts["held_out"].shape == (20, 2)
    together = np.concatenate(list(parts.values()))
    np.testing.assert_allclose(np.sort(together, axis=0), np.sort(POINTS, axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (POINTS[:99], "has 99 points: 100 or more are needed"),
        (POINTS * 0, "every column is constant"),
        (POINTS + np.array([0, 1e9]), "column 1 is nearly constant: values about 1e\\+09 with"),
        (POINTS * [1, 1e-40], "column 1 is nearly constant: values about .* deviation 2\\.0.*e-39"),
    ],
)
def test_points_that_say_nothing_are_refused(points, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        imported(points, tmp_path)
    assert not (tmp_path / "training.npy").exists()
