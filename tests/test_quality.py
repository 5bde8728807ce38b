"""Metrics of generated tables: sdmetrics' scores, closed cases, and floors on real rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import import_dataset
import plot_columns
from dualscale.data.columns import Integer
from dualscale.data.encoding import Encoding
from dualscale.data.files import read_table
from dualscale.data.table import Table
from dualscale.metrics.metric import by_column, each_column_once
from dualscale.metrics.quality.efficiency import Efficiency, fitted, split
from dualscale.metrics.quality.fidelity import ColumnShapes, PairTrends
from dualscale.metrics.quality.kinds import every_table_metric
from dualscale.metrics.quality.metric import Tables
from dualscale.metrics.quality.privacy import ClosestTraining, Copies, Gower, NearerToTraining
from dualscale.runtime.files import save_points

ORACLE = Path(__file__).parent / "sdmetrics"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def people(rows, rng):
    """Rows in which work follows from pay, with dates and missing cells."""
    pay = rng.gamma(3.0, 10.0, rows).round(2)
    work = np.where(pay + rng.normal(0, 4, rows) > 30, "skilled", "unskilled")
    hired = (np.datetime64("2020-01-01") + rng.integers(0, 400, rows)).astype(str)
    town = pd.Series(rng.choice(["east", "west"], rows)).mask(rng.random(rows) < 0.2, None)
    bonus = pd.Series(pay / 10 + rng.normal(0, 1, rows)).mask(rng.random(rows) < 0.3)
    return pd.DataFrame({"pay": pay, "work": work, "hired": hired, "town": town, "bonus": bonus})


def tables_of(parts, target=None):
    """Tables of generated, training and held-out cells."""
    encoding = Encoding.fit(
        Table(pd.concat(parts, ignore_index=True), ["text"] * parts[0].shape[1])
    )
    rng = np.random.default_rng(1)
    points = [encoding.encode(part, rng).astype(np.float32) for part in parts]
    return Tables.of_points(encoding, points, target)


def value(metric, tables):
    """First value of a metric that is defined."""
    return next(each for each in metric.measure(tables) if each is not None)


@pytest.fixture
def fresh(rng):
    """Generated rows from the very distribution of the real ones."""
    return tables_of([people(rows, rng) for rows in (400, 1200, 400)], "work")


def oracle_tables():
    """The tables that sdmetrics has scored, and its scores of columns and pairs."""
    types = {"age": "integer", "income": "number", "work": "category", "city": "category"}
    types |= {"hired": "date", "owner": "category"}
    cells = [
        read_table(ORACLE / f"{name}.csv", types)[0].cells for name in ("generated", "real", "real")
    ]
    scores = pd.read_csv(ORACLE / "scores.csv").set_index(["first", "second"])["score"]
    return tables_of(cells), scores


@pytest.mark.parametrize("metric", [ColumnShapes(), PairTrends()])
def test_shapes_and_trends_are_those_of_sdmetrics(metric):
    tables, scores = oracle_tables()
    found = metric.scores(tables)
    single = len(next(iter(found))) == 1
    expected = scores[scores.index.get_level_values("second").isna() == single]
    assert len(found) == len(expected)
    for (first, second), score in expected.items():
        places = [[column.name for column in tables.columns].index(first)]
        if not single:
            places.append([column.name for column in tables.columns].index(second))
        assert found[tuple(places)] == pytest.approx(score, abs=1e-4)
    assert metric.measure(tables) == [pytest.approx(expected.mean(), abs=1e-4)]


def test_numbers_are_those_of_the_decoded_cells(rng):
    cells = people(300, rng)
    encoding = Encoding.fit(Table(cells, ["text"] * 5))
    points = encoding.encode(cells, rng).astype(np.float32)
    numbers, decoded = encoding.numbers(points), encoding.decode(points)
    assert np.array_equal(np.isnan(numbers), decoded.isna().to_numpy())
    assert np.array_equal(numbers[:, 0].astype(np.float32), decoded["pay"])
    assert [["skilled", "unskilled"][int(code)] for code in numbers[:, 1]] == list(decoded["work"])
    days = [(day - pd.Timestamp("1970-01-01").date()).days for day in decoded["hired"]]
    assert numbers[:, 2].tolist() == days


def test_independent_columns_have_the_shapes_and_not_the_trends(fresh, rng):
    shuffled = np.column_stack([rng.permutation(cells) for cells in fresh.generated.T])
    broken = replace(fresh, generated=shuffled)
    assert value(ColumnShapes(), broken) == pytest.approx(value(ColumnShapes(), fresh))
    assert value(PairTrends(), broken) < value(PairTrends(), fresh) - 0.03


@pytest.mark.parametrize(("target", "least"), [("work", 0.8), ("bonus", 0.3)])
def test_models_learn_from_rows_what_hangs_together_in_them(target, least, rng):
    parts = [people(rows, rng) for rows in (400, 400, 400)]
    good = value(Efficiency(), tables_of(parts, target))
    parts[0][target] = rng.permutation(parts[0][target])
    assert good > least > value(Efficiency(), tables_of(parts, target)) + 0.15


def test_a_model_of_one_class_or_without_a_target_breaks_nothing(fresh):
    one = replace(fresh, generated=fresh.generated[fresh.generated[:, 1] == 0])
    assert 0 < value(Efficiency(), one) < 0.5
    assert Efficiency().measure(replace(fresh, target=None)) == [None, None]


def test_a_missing_category_is_a_class_and_a_row_without_the_number_is_left_out(fresh):
    for target in (3, 4):
        known = replace(fresh, target=target)
        bare = replace(known, generated=np.full_like(fresh.generated, np.nan))
        assert np.isfinite(value(Efficiency(), known))
        assert (Efficiency().measure(bare) == [None, None]) == (target == 4)


def test_copies_of_training_rows_are_told_from_fresh_ones(fresh):
    copies = replace(fresh, generated=fresh.training)
    assert value(Copies(), fresh) < 0.01
    assert value(Copies(), copies) == 1
    assert value(ClosestTraining(), fresh) > 0.01
    assert value(ClosestTraining(), copies) == 0
    nearer = (value(NearerToTraining(), each) for each in (fresh, copies))
    assert next(nearer) == pytest.approx(0.5, abs=0.08)
    assert next(nearer) == pytest.approx(0.5 + 400 / 1200 / 2, abs=0.05)


def test_distances_are_gowers(fresh):
    rows, others = fresh.generated[:20], fresh.training[:30]
    low, median, high = np.nanquantile(fresh.training, [0, 0.5, 1], axis=0)
    expected = np.zeros((20, 30))
    for column, categorical in enumerate(fresh.categorical):
        x, y = rows[:, None, column], others[None, :, column]
        gaps = np.isnan(x) != np.isnan(y)
        if categorical:
            expected += gaps | (np.nan_to_num(x, nan=-1) != np.nan_to_num(y, nan=-1))
        else:
            filled = (np.nan_to_num(each, nan=median[column]) for each in (x, y))
            expected += gaps + abs(next(filled) - next(filled)) / (high - low)[column]
    found = Gower.of(fresh).nearest(rows, others)
    np.testing.assert_allclose(found, expected.min(axis=1) / 5, rtol=1e-12)


def test_the_floor_is_what_rows_of_the_same_distribution_reach(fresh, rng):
    metrics = every_table_metric()
    found = by_column(metrics, lambda metric: metric.measure(fresh))
    floors = [by_column(metrics, lambda metric: metric.floor(fresh, rng)) for _ in range(4)]
    for name in set(found) - {"efficiency_r2"}:
        mean = np.mean([floor[name] for floor in floors])
        assert found[name] == pytest.approx(mean, abs=0.06), name


def test_a_class_of_one_row_is_learnt_from_in_a_large_table(fresh, rng):
    target = fresh.training[:, fresh.target]
    rows = np.tile(fresh.training, (9, 1))[:10_002]
    rows[0, fresh.target] = target.max() + 1
    known, classes = split(rows, fresh)
    assert len(fitted(known, classes, fresh).classes_) == 3


def test_every_kind_of_metric_has_columns_of_its_own():
    assert each_column_once(every_table_metric())


def test_a_target_that_the_table_lacks_is_named_before_anything_is_written(tmp_path, rng):
    people(200, rng).to_csv(tmp_path / "people.csv", index=False)
    settings = {"columns": None, "header": None, "delimiter": None, "decimal": "."}
    with pytest.raises(
        ValueError, match=r"target is 'wrok': .* \(did you mean work\?\); it has pa"
    ):
        import_dataset.main(
            tmp_path / "people.csv",
            *(tmp_path / name for name in ("training", "held_out", "encoding")),
            settings=settings | {"held_out": 0.1, "seed": 0},
            k=5,
            target="wrok",
        )
    assert len(list(tmp_path.iterdir())) == 1


def test_every_column_has_a_panel_with_real_and_generated_rows(tmp_path, monkeypatch, rng):
    cells = people(200, rng)
    encoding = Encoding.fit(Table(cells, ["text"] * 5))
    points = encoding.encode(cells, rng)
    paths = [tmp_path / name for name in ("mine/people/0.npy", "training.npy", "encoding.json")]
    paths[0].parent.mkdir(parents=True)
    save_points(paths[0], points)
    save_points(paths[1], points)
    paths[2].write_text(encoding.model_dump_json())
    drawn = []
    monkeypatch.setattr(plot_columns, "write_figure", lambda figure, paths: drawn.append(figure))
    settings = {"labels": {"mine": "A $ variant"}}
    plot_columns.main(paths[:1], *paths[1:], [tmp_path / "figure.svg"], settings=settings)
    panels = drawn[0].axes[:5]
    assert [panel.get_title() for panel in panels] == list(cells)
    for panel in panels:
        assert set(panel.get_legend_handles_labels()[1]) == {"Real rows", "A $ variant"}


def test_missing_numbers_have_a_bin_of_their_own_in_the_figure():
    cells = np.array([1.0, 2.0, np.nan, np.nan])
    column = Integer(name="x", missing=True, low=1, high=2, median=1.5)
    edges = plot_columns.bins_of(column, cells)
    assert plot_columns.shares(cells, edges).tolist() == [0.25, 0.25, 0, 0.5]
