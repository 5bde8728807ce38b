"""Tables as points: types of columns, exact round trips, and what metrics compare."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from dualscale.data.columns import MOST_CATEGORIES, Integer, Number
from dualscale.data.encoding import Encoding
from dualscale.data.files import format_of, read_table
from dualscale.data.metric_units import loaded_units, metric_units, stored_units
from dualscale.data.normalisations import Quantile
from dualscale.data.table import Table, TableError
from dualscale.metrics.kl import Reference

RNG = np.random.default_rng(0)
N = 400


def mixed():
    """A table of every type, with and without missing cells."""
    table = pd.DataFrame(
        {
            "income": RNG.exponential(size=N).astype(np.float32),
            "age": RNG.integers(17, 91, N),
            "work": RNG.choice(["private", "state, local", "NA"], N),
            "hired": np.datetime64("1969-12-20") + RNG.integers(0, 30, N),
        }
    )
    table["hired"] = table["hired"].dt.date
    for name, cells in list(table.items()):
        cells = cells if cells.dtype.kind == "f" else cells.astype(object)
        table[f"{name} or none"] = cells.mask(RNG.random(N) < 0.1, None)
    return table


TABLE = mixed()


def write(table, path):
    format_of(path).write(path, table)
    return path


def refused(path, columns=None):
    """Error message for a rejected table, without the file's name."""
    with pytest.raises(ValueError) as found:
        read_table(path, columns)
    message = str(found.value)
    assert message.startswith(f"{path} ")
    assert "\n" not in message
    return message.removeprefix(f"{path} ")


def text_of(table):
    return table.to_csv(index=False)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_table_comes_back_from_points_as_it_was(ending, tmp_path):
    table, encoding = read_table(write(TABLE, tmp_path / f"table{ending}"))
    points = encoding.encode(table.cells, RNG).astype(np.float32)
    assert np.isfinite(points).all()
    assert text_of(encoding.decode(points)) == text_of(TABLE)
    kinds = [column.kind for column in encoding.columns]
    assert kinds == 2 * ["number", "integer", "category", "date"]
    assert [column.missing for column in encoding.columns] == 4 * [False] + 4 * [True]


def test_types_of_a_parquet_file_come_back(tmp_path):
    table, encoding = read_table(write(TABLE, tmp_path / "table.parquet"))
    decoded = encoding.decode(encoding.encode(table.cells, RNG).astype(np.float32))
    again = read_table(write(decoded, tmp_path / "again.parquet"))
    stored = [[name.removeprefix("large_") for name in each.stored] for each in (again[0], table)]
    assert stored[0] == stored[1]
    assert again[1] == encoding


@pytest.mark.parametrize(
    ("cells", "kind", "missing"),
    [
        ("1 2 3", "integer", False),
        ("0 1 0", "integer", False),
        ("1.0 2.0 3", "integer", False),
        ("1 2.5 3", "number", False),
        ("1 NaN 3", "integer", True),
        ("1.5 null N/A", "number", True),
        ("2024-02-29 2026-11-24 none", "date", True),
        ("a b NA", "category", False),
        ("10th 11th 12th", "category", False),
        ("<=50K >50K", "category", False),
        ("True False", "category", False),
    ],
)
def test_types_follow_from_the_cells(cells, kind, missing, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\n" + "".join(f"1,{cell}\n" for cell in cells.split()))
    column = read_table(path)[1].columns[1]
    assert (column.kind, column.missing) == (kind, missing)


def test_a_type_in_the_configuration_keeps_numbers_as_they_are_written(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("zip,x\n01234,1\n1234,2\n")
    table, encoding = read_table(path, {"zip": "category"})
    assert encoding.columns[0].categories == ["01234", "1234"]
    assert text_of(encoding.decode(encoding.encode(table.cells, RNG))) == path.read_text()


def test_numbers_that_a_parquet_file_holds_can_be_categories(tmp_path):
    path = write(pd.DataFrame({"x": [3, 1, 3], "y": [True, False, True]}), tmp_path / "t.parquet")
    table, encoding = read_table(path, {"x": "category"})
    assert encoding.columns[0].categories == [1, 3]
    decoded = encoding.decode(encoding.encode(table.cells, RNG))
    assert decoded.dtypes.tolist() == [np.int64, bool]
    assert decoded["x"].tolist() == [3, 1, 3]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("x,y\n1,2\n3,4.5\n", {"y": "integer"}, "holds 4.5 in row 2 of column y: whole numbers"),
        ("x,y\n1,a\n", {"y": "number"}, "holds 'a' in row 1 of column y: numbers up to"),
        ("x,y\n1,2020\n", {"y": "date"}, "holds '2020.0' in row 1 of column y: a date as"),
        ("x,y\n1,a\n", {"y": "date"}, "holds 'a' in row 1 of column y: a date as 2026-11-24"),
        ("x,y\n1,\n", {"y": "category"}, "has no value in column y: leave it out"),
        ("x,y\n1,a\n", {"z": "category"}, "has no column 'z': its columns are x, y"),
        ("x,y\n1,\n2,\n", None, "has no value in column y: leave it out"),
    ],
)
def test_a_cell_that_its_type_does_not_allow_is_named(text, columns, message, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert refused(path, columns).startswith(message)


def test_names_of_persons_are_no_categories(tmp_path):
    path = tmp_path / "table.csv"
    count = MOST_CATEGORIES + 1
    path.write_text("name,x\n" + "".join(f"name {number},1\n" for number in range(count)))
    assert refused(path).startswith("has 257 different values in column name, as 'name 0': a cat")
    assert read_table(path, {"name": "left_out"})[1].names == ["x"]


def test_more_coordinates_than_a_model_can_have_are_refused(tmp_path):
    cells = {f"c{j}": [f"v{i}" for i in range(200)] for j in range(3)}
    path = write(pd.DataFrame(cells), tmp_path / "table.csv")
    assert refused(path).startswith("takes 600 coordinates, one for each value of a category")


def test_a_file_of_numbers_alone_is_taken_as_it_is(tmp_path):
    table, encoding = read_table(write(TABLE[["income", "age"]], tmp_path / "table.csv"))
    points = encoding.encode(table.cells, RNG)
    assert encoding.plain
    np.testing.assert_array_equal(points.astype(np.float32), TABLE[["income", "age"]])
    assert not read_table(tmp_path / "table.csv", {"age": "integer"})[1].plain


def test_whole_numbers_are_spread_evenly_and_rounded_back():
    cells = pd.Series(np.repeat([3.0, 5.0], 2000))
    column = Integer.fit("x", cells)
    points = column.encode(cells, RNG)
    offset = points[:, 0] - cells
    assert abs(offset).max() <= 0.5
    assert offset.std() == pytest.approx(12**-0.5, rel=0.05)
    assert (column.decode(points) == cells).all()


@pytest.mark.parametrize("size", [2**20, 2**24])
def test_whole_numbers_that_float32_holds_come_back_exactly(size):
    cells = pd.Series(size - np.arange(5000.0))
    column = Integer.fit("x", cells)
    assert (column.decode(column.encode(cells, RNG).astype(np.float32)) == cells).all()


@pytest.mark.parametrize("kind", [Number, Integer])
def test_numbers_beyond_the_bounds_are_given_back_within_them_and_not_at_them(kind):
    column = kind.fit("x", pd.Series(np.arange(101.0)))
    drawn = RNG.normal(50, 60, size=(20_000, 1)).astype(np.float32)  # two fifths are beyond
    values = column.decode(drawn).to_numpy(np.float64)
    assert 0 <= values.min() <= values.max() <= 100
    for bound, inner in ((0, (10, 20)), (100, (80, 90))):
        share = (abs(values - bound) <= 0.5).mean()
        density = ((values > inner[0]) & (values <= inner[1])).mean() / 10
        assert share <= density + 3 * (density / len(values)) ** 0.5


def test_a_constant_column_stays_constant(tmp_path):
    constant = pd.DataFrame({"year": 2020, "kind": "a", "x": ["b", "c"] * 50})
    table, encoding = read_table(write(constant, tmp_path / "table.csv"))
    points = encoding.encode(table.cells, RNG)
    assert (np.ptp(points, axis=0) == 0).tolist() == [True, True, False, False]
    assert text_of(encoding.decode(points)) == text_of(constant)


def draws(n, shares, shift, rng):
    """A table whose category has these shares, and a number that depends on it."""
    code = rng.choice(len(shares), n, p=shares)
    number = rng.normal(code + shift, 1)
    return pd.DataFrame({"word": np.array(["a", "b", "c"])[code], "x": number})


def test_the_kl_of_two_tables_is_that_of_their_distributions(tmp_path):
    real, other, shift, n, rng = [0.6, 0.3, 0.1], [0.3, 0.3, 0.4], 0.8, 4000, RNG
    exact = (np.dot(real, np.log(np.divide(real, other))) + shift**2 / 2) / np.log(2)
    path = write(draws(n, real, 0, rng), tmp_path / "table.csv")
    table, encoding = read_table(path)
    points = encoding.encode(table.cells, rng)
    reference = Reference.of(points, [5], metric_units(points, encoding))
    same, shifted = (
        reference.kl(encoding.encode(draws(n, shares, by, rng), rng))
        for shares, by in ((real, 0), (other, shift))
    )
    assert same == pytest.approx(0, abs=0.05)
    assert shifted - same == pytest.approx(exact, abs=0.1)


def test_metrics_see_only_what_a_table_shows(tmp_path):
    table, encoding = read_table(write(TABLE, tmp_path / "table.csv"))
    points = encoding.encode(table.cells, RNG)
    units = metric_units(points, encoding)
    blurred = np.where(encoding.flags, points + RNG.uniform(-0.3, 0.3, points.shape), points)
    seen, also_seen = units.into_model(points), units.into_model(blurred)
    assert seen.shape == (N, 8)
    np.testing.assert_array_equal(seen, units.into_model(points.copy()))
    assert (seen != also_seen).any(axis=0)[1:].all(), "other points are spread by other noise"
    assert abs(seen - also_seen).max() < 2, "by less than from one category to the next"


def test_the_units_of_metrics_come_back_from_a_file(tmp_path):
    table, encoding = read_table(write(TABLE, tmp_path / "table.csv"))
    points = encoding.encode(table.cells, RNG)
    units = metric_units(points, encoding)
    with (tmp_path / "units.npz").open("wb") as file:
        np.savez(file, **stored_units(units))
    with np.load(tmp_path / "units.npz", allow_pickle=False) as file:
        loaded = loaded_units(file)
    np.testing.assert_array_equal(loaded.into_model(points), units.into_model(points))


def test_quantiles_leave_categories_and_missing_cells_to_the_largest(tmp_path):
    table, encoding = read_table(write(TABLE, tmp_path / "table.csv"))
    points = encoding.encode(table.cells, RNG).astype(np.float32)
    units = Quantile().units(points, encoding.flags)
    assert units.quantiles.shape[1] == (~encoding.flags).sum()
    inside = units.into_model(points)
    np.testing.assert_allclose(inside[:, encoding.flags].std(axis=0, ddof=1), 1, rtol=1e-4)
    decoded = encoding.decode(units.into_data(inside))
    same = decoded.drop(columns=["income", "income or none"]).columns
    assert text_of(decoded[same]) == text_of(TABLE[same])


def test_an_encoding_comes_back_from_json():
    cells = TABLE[["work"]]
    encoding = Encoding.fit(Table(cells, ["text"]))
    assert Encoding.model_validate_json(encoding.model_dump_json()) == encoding


def test_numbers_are_drawn_before_words_and_missing_cells():
    cells = pd.DataFrame({"work": ["a", "b"] * 5, "age": [1.5, None] * 5, "pay": range(10)})
    cells["pay"] = cells["pay"].astype(float)
    encoding = Encoding.fit(Table(cells, ["text"] * 3))
    points = encoding.encode(cells, RNG)
    assert np.array_equal(encoding.numbers_first(points), points[:, [2, 4, 0, 1, 3]])


def test_cells_from_elsewhere_are_recognised_whatever_holds_them():
    days = ["2020-01-01", "2020-03-01", None]
    table = pd.DataFrame({"day": days, "yes": [True, False, True], "n": [1.0, 9.0, 4.0]})
    encoding = Encoding.fit(Table(table, ["text", "bool", "text"]))
    other = pd.DataFrame({"n": ["4", "na"], "yes": ["True", None], "day": [date(2020, 2, 1), None]})
    cells = encoding.recognised(other)
    assert cells.notna().to_numpy().tolist() == [[True] * 3, [False] * 3]
    points, mask = encoding.encode_some(cells, cells.notna(), np.random.default_rng(0))
    assert mask.tolist() == [[True] * len(encoding.flags), [False] * len(encoding.flags)]
    assert encoding.decode(points[:1]).to_numpy().tolist() == [[date(2020, 2, 1), True, 4]]
    for column, cell in {"day": "2021-01-01", "yes": "maybe", "n": "1.5"}.items():
        with pytest.raises(TableError, match=f"holds '?{cell}'? in row 1 of column {column}"):
            encoding.recognised(pd.DataFrame({column: [cell]}))
