import logging

import numpy as np
import pandas as pd
import pytest

from dualscale.data.files import extensions, format_of, read_table
from import_dataset import main

POINTS = np.random.default_rng(0).normal([5, -3], [1, 20], (200, 2))


def written(tmp_path, content, name="points.csv"):
    """Write text, bytes, an array or a table to a file."""
    file = tmp_path / name
    if isinstance(content, str):
        file.write_text(content, newline="")
    elif isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, pd.DataFrame):
        content.to_parquet(file)
    else:
        np.save(file, content)
    return file


def values_of(file, *columns, **settings):
    """Cells of a table of numbers."""
    return read_table(file, *columns, **settings)[0].cells.to_numpy(np.float64)


def refusal(file, **settings):
    """Error message for a rejected file, without the file's name."""
    with pytest.raises(ValueError) as refused:
        read_table(file, **settings)
    message = str(refused.value)
    assert message.startswith(f"{file} ")
    assert "\n" not in message
    return message.removeprefix(f"{file} ")


@pytest.mark.parametrize("ending", extensions())
def test_points_come_back_from_every_format(ending, tmp_path):
    file = tmp_path / f"points{ending}"
    format_of(file).write(file, POINTS)
    np.testing.assert_allclose(values_of(file), POINTS, rtol=1e-15)


def test_columns_are_chosen_by_name_or_number(tmp_path):
    file = tmp_path / "points.csv"
    table = pd.DataFrame({"name": ["a"] * 200, "x": POINTS[:, 0], "y": POINTS[:, 1]})
    table.to_csv(file, index=False)
    np.testing.assert_allclose(values_of(file, ["y", "x"]), POINTS[:, ::-1])
    assert read_table(file, ["y", "x"])[1].names == ["y", "x"]
    np.testing.assert_allclose(values_of(file, [2]), POINTS[:, 1:])


@pytest.mark.parametrize(
    ("text", "settings", "values"),
    [
        ("1,2\n3,4\n", {"header": False}, [[1, 2], [3, 4]]),
        ("2019,2020\n1,2\n3,4\n", {"header": True}, [[1, 2], [3, 4]]),
        ("x;y\n1,5;-2\n3;4,25\n", {"delimiter": ";", "decimal": ","}, [[1.5, -2], [3, 4.25]]),
        ("x y\n1 2\n", {"delimiter": " "}, [[1, 2]]),
        ('"x", y\r\n"1.5", +2e3 \r\n', {}, [[1.5, 2000]]),
        ("\ufeffx,y\n1,2", {}, [[1, 2]]),
        ("x,y\n1,2\n\n\r\n", {}, [[1, 2]]),
        ("x\r1\r2\r", {}, [[1], [2]]),
        ('note,x\n"two\nlines",1\nword,2\n', {"columns": ["x"]}, [[1], [2]]),
    ],
)
def test_a_text_is_read_as_it_was_meant(text, settings, values, tmp_path):
    assert values_of(written(tmp_path, text), **settings).tolist() == values


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("x,y\n1,\n3,nan\n", {}, "has no value in column y: leave it out"),
        ("x,y\n1,2\n3,inf\n", {}, "holds 'inf' in row 2 of column y: numbers up to 1e+38"),
        ("x,y\n1,2\n1e39,3\n", {}, "holds '1e+39' in row 2 of column x: numbers up to 1e+38"),
        ("x,y\n1,2\n3,high\n4,low\n", {}, "holds 'high' in row 2 of column y"),
        ("x,y\n1,2\n3,high\n", {}, "if its values are words, say `columns: {y: category}`"),
        ("x,d\n1,24.11.2026\n", {}, "holds '24.11.2026' in row 1 of column d"),
        ("x,d\n1,2026-11-24\n2,never\n", {}, "holds 'never' in row 2 of column d: a date as"),
        ("x,d\n1,2026-02-30\n", {}, "holds '2026-02-30' in row 1 of column d: a date as"),
        ("x\ty\n1,5\t2\n", {"delimiter": "\t"}, "holds '1,5' in row 1 of column x: "),
        ("x\ty\n1,5\t2\n", {"delimiter": "\t"}, "with `decimal` for decimal commas"),
        ("x,y\n1,2\n", {"columns": ["z"]}, "has no column 'z': its columns are x, y"),
        ("x,y\n1,2\n", {"columns": [5]}, "has no column 5: its columns are x, y"),
        ("x,x\n1,2\n", {"columns": ["x"]}, "has 2 columns 'x'"),
        ("x,y\n1,2\n", {"columns": ["y", 1]}, "has one column y, which `columns` chooses twice"),
        ("1,0\n1,2\n", {"columns": [0], "header": True}, "has a column called 0, which is not"),
        (",x\n0,2\n", {"header": True}, "has no name for column 0, perhaps an index"),
        ("x,y\n1,2\n3,4,5\n", {}, "has 3 cells in row 2 and 2 in its first line: '3,4,5'"),
        ("x,y\n1,2,3\n4,5,6\n", {}, "has 3 cells in row 1 and 2 in its first line"),
        ("x,y\n1,2\n3\n", {}, "has 1 cell in row 2 and 2 in its first line: '3'"),
        ("", {}, "is empty"),
        ("\n1,2\n", {}, "has an empty first line"),
        ("x;y\n1,5;2,5\n", {}, "has ';' in its first line: say with `delimiter`"),
        ("1,5;2,5\n1,5;2,5\n", {}, "has ';' in its first line: say with `delimiter`"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(text, settings, message, tmp_path):
    assert message in refusal(written(tmp_path, text), **settings)


@pytest.mark.parametrize("first", ["1,2", "NA,2", "1,", "x,", "1,l.5", "x,2", "nan,inf", "0,1"])
def test_a_first_line_that_may_be_a_header_or_a_row_is_asked_about(first, tmp_path):
    message = refusal(written(tmp_path, f"{first}\n3,4\n5,6\n"))
    assert "of its first line: say with `header: true`" in message


def test_the_row_is_named_far_down_a_long_file(tmp_path):
    text = "x,y\n" + "1.5,2.5\n" * 3_000_000 + "3,oops\n"
    assert "holds 'oops' in row 3000001 of column y" in refusal(written(tmp_path, text))


def test_too_many_columns_are_refused_by_the_first_line_alone(tmp_path):
    names = ",".join(f"c{number}" for number in range(100_000))
    message = refusal(written(tmp_path, f"{names}\n1,2\nno table\n"))
    assert message.startswith("has 100000 columns: at most 64 can be used")


def test_a_line_without_an_end_is_not_read_whole(tmp_path):
    file = written(tmp_path, b"x" * 2**24 + b"x")
    assert "has a first line of more than" in refusal(file)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), "has shape (5,): a table of points by columns is needed"),
        (np.zeros((5, 0)), "has shape (5, 0): a table"),
        (np.zeros((5, 2), complex), "holds complex128: integers or floating-point numbers"),
        (np.zeros((5, 2), bool), "holds bool: "),
        (np.zeros((5, 2), "M8[s]"), "holds datetime64[s]: "),
        (np.zeros((5, 2), "m8[s]"), "holds timedelta64[s]: "),
        (np.array([["1", "2"]]), "holds <U1: "),
        (np.array([[1, np.nan]]), "has no value in column 1: leave it out"),
        (np.array([[1, 2], [1e39, 2]]), "holds '1e+39' in row 2 of column 0"),
        (np.zeros((5, 65)), "has 65 columns: at most 64"),
    ],
)
def test_an_array_that_is_no_table_of_numbers_is_refused(array, message, tmp_path):
    assert refusal(written(tmp_path, array, "points.npy")).startswith(message)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.to_datetime(["2026-11-24 10:00", None]), "holds timestamp[us] with a time of day in c"),
        (pd.to_timedelta(["1s", None]), "holds duration[us] in column y"),
        ([[1], [2]], "holds list<element: int64> in column y"),
        ([None, None], "holds null in column y"),
    ],
)
def test_a_parquet_column_of_another_kind_is_refused(column, message, tmp_path):
    table = pd.DataFrame({"x": [1, 2], "y": column})
    assert refusal(written(tmp_path, table, "points.parquet")).startswith(message)


def test_a_pandas_index_is_a_column_that_can_be_chosen_and_is_not_lost(tmp_path):
    table = pd.DataFrame({"x": [1, 2], "y": [3, 4]}, index=pd.Index([7.5, 8.5], name="t"))
    file = written(tmp_path, table, "points.parquet")
    assert "has the pandas index t beside its columns x, y" in refusal(file)
    assert values_of(file, ["t", "x"]).tolist() == [[7.5, 1], [8.5, 2]]
    assert read_table(file, {"t": "left_out"})[1].names == ["x", "y"]
    filtered = written(tmp_path, table.set_axis([4, 9]), "points.parquet")
    assert "has the pandas index __index_level_0__ beside" in refusal(filtered)


def test_a_pickle_is_not_opened(tmp_path):
    file = tmp_path / "points.npy"
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "cannot be read" in refusal(file)


def imported(points, tmp_path, k=5, **settings):
    file = tmp_path / "points.npy"
    np.save(file, points)
    outputs = {name: tmp_path / f"{name}.npy" for name in ("training", "held_out")}
    encoding = tmp_path / "encoding.json"
    text = {"header": None, "delimiter": None, "decimal": "."}
    settings = {"columns": None, "held_out": 0.1, "seed": 0} | text | settings
    main(file, **outputs, encoding=encoding, settings=settings, k=k)
    return {name: np.load(path) for name, path in outputs.items()}


def test_every_point_is_either_trained_on_or_held_out(tmp_path):
    parts = imported(POINTS, tmp_path)
    assert parts["held_out"].shape == (20, 2)
    together = np.concatenate(list(parts.values()))
    np.testing.assert_allclose(np.sort(together, axis=0), np.sort(POINTS, axis=0), rtol=1e-6)


def test_the_log_shows_what_was_understood(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    imported(np.column_stack([POINTS, np.full(200, 0.25)]), tmp_path, columns=[1, 2])
    assert "200 points of 2 columns in 2 coordinates" in caplog.text
    assert f"{POINTS[0, 1]:.3f}" in caplog.text
    low, high = f"{POINTS[:, 1].min():.7g}", f"{POINTS[:, 1].max():.7g}"
    shown = [line.split() for line in caplog.text.splitlines() if "float64" in line]
    assert shown == [
        ["1", "float64", "number,", low, "to", high, "0.0%"],
        ["2", "float64", "number,", "0.25", "to", "0.25", "0.0%"],
    ]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (POINTS[:99], "has 99 points: 100 or more are needed"),
        (POINTS * 0, "has only constant columns"),
        (POINTS + np.array([0, 1e9]), "column 1 is nearly constant: values about 1e\\+09 with"),
        (POINTS * [1, 1e-40], "column 1 is nearly constant: values about .* deviation 2\\.0.*e-39"),
        (
            POINTS[np.arange(200) % 40],
            "has 5 equal points, in rows .*, …: the KL needs fewer than kl.k, 5",
        ),
        (1 + POINTS[:, :1] * 1e-6, "nearly constant"),
    ],
)
def test_points_that_say_nothing_are_refused(points, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        imported(points, tmp_path)
    assert not (tmp_path / "training.npy").exists()


def test_fewer_equal_points_than_the_neighbour_of_the_kl_are_taken(tmp_path):
    assert len(imported(POINTS[np.arange(200) % 50], tmp_path)["training"]) == 180  # 4 each


def test_points_that_only_float32_makes_equal_are_found(tmp_path):
    points = np.concatenate([POINTS, 1 + 1e-9 * np.arange(10).reshape(5, 2)])
    with pytest.raises(ValueError, match="has 5 equal points, in rows 201, 202, 203, …"):
        imported(points, tmp_path)
