"""Draws conditional on columns of a table whose conditionals are known, after a short training."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

import draw
import dualscale
from dualscale.data.encoding import Encoding
from dualscale.data.moments import moments_of
from dualscale.data.table import Table
from dualscale.data.units import standard_units
from dualscale.model import SETTINGS, Model, load_model
from dualscale.training.settings import Training
from dualscale.training.trainer import Trainer

SHARES, MEANS, WIDTH = np.array([0.5, 0.3, 0.2]), np.array([-1.5, 0.0, 2.0]), 0.5
WORDS, DRAWN = ["low", "middle", "top"], 1500
CHOSEN = {
    "branches": {"global": {}},
    "weighting": {"kind": "none"},
    "network": {"width": 64, "hidden_layers": 2, "embedding": 16, "damped": True},
    "schedule": {"kind": "geometric", "sigma_min": 0.02, "sigma_max": 10.0, "timesteps": 40},
    "prediction": {"kind": "edm"},
    "sampling": {"prior": {"kind": "moment_matched"}},
}


def make_table(rows=4000):
    """Word and number of a mixture, whole numbers that copy the word, and gaps at random."""
    rng = np.random.default_rng(0)
    which = rng.choice(3, rows, p=SHARES)
    x = MEANS[which] + WIDTH * rng.standard_normal(rows)
    table = pd.DataFrame({"word": np.array(WORDS)[which], "x": x, "rank": which * 10.0})
    table["gap"] = pd.Series(2 * x).where(rng.random(rows) < 0.7)
    return table


def train(path, steps=900, **conditioning):
    torch.set_num_threads(1)
    table = make_table()
    encoding = Encoding.fit(Table(table, ["text"] * table.shape[1]))
    points = encoding.encode(table, np.random.default_rng(0)).astype(np.float32)
    units = standard_units(points)
    data = torch.from_numpy(units.into_model(points))
    settings = SETTINGS.validate_python({**CHOSEN, **conditioning})
    model = Model(settings, moments_of(data), units=units, encoding=encoding)
    model.backbone.initialise(["0"])
    training = Training(steps=steps, batch_size=256, learning_rate=3e-3)
    for _ in Trainer(model, data, training, ["0"]).run():
        pass
    model.save(path, model.backbone.flat, 0)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A model's file, trained with every column given at times."""
    folder = tmp_path_factory.mktemp("given")
    return train(folder / "0.safetensors", conditioning={"columns": "all"})


@pytest.fixture(scope="module")
def model(path):
    return load_model(path)


def drawn(model, where=None, guidance=1.0, seed=0):
    points = dualscale.sample(model, DRAWN, seed, where=where, guidance=guidance)
    return model.encoding.decode(points)


def shares(table):
    return np.array([(table["word"] == word).mean() for word in WORDS])


def test_a_given_word_draws_its_own_numbers(model):
    for word, mean in zip(WORDS, MEANS, strict=True):
        table = drawn(model, {"word": word})
        assert (table["word"] == word).all()
        assert table["x"].mean() == pytest.approx(mean, abs=0.1)
        assert table["x"].std() == pytest.approx(WIDTH, abs=0.25)
    assert drawn(model)["x"].std() > 1


def test_a_given_number_draws_words_by_their_exact_chances(model):
    for x in (-0.8, 0.9, 1.1):
        likelihood = SHARES * norm.pdf(x, MEANS, WIDTH)
        table = drawn(model, {"x": x})
        assert (table["x"] == np.float32(x)).all()
        assert shares(table) == pytest.approx(likelihood / likelihood.sum(), abs=0.12)
    assert shares(drawn(model)) == pytest.approx(SHARES, abs=0.06)


def test_several_columns_are_given_at_once(model):
    table = drawn(model, {"rank": 20, "x": 1.1})
    assert (table["rank"] == 20).all()
    assert (table["word"] == "top").mean() > 0.9


def test_guidance_0_ignores_what_is_given_and_more_than_1_exaggerates_it(model):
    low, top = (drawn(model, {"word": word}, guidance=0) for word in ("low", "top"))
    assert np.array_equal(low["x"], top["x"])
    assert low["x"].mean() == pytest.approx(SHARES @ MEANS, abs=0.15)
    assert drawn(model, {"word": "top"}, guidance=1).equals(drawn(model, {"word": "top"}))
    guided = drawn(model, {"x": 0.9}, guidance=3)
    likelihood = norm.pdf(0.9, MEANS, WIDTH)
    most = likelihood.argmax()
    assert shares(guided)[most] > shares(drawn(model, {"x": 0.9}))[most]


def test_filled_rows_keep_their_cells_and_get_the_missing_ones(model):
    rows = make_table(500)[["x", "word"]]
    rows.insert(0, "id", [f"{number:05}" for number in range(500)])
    whole = rows.copy()
    rows.loc[::2, "word"] = None
    rows.loc[1::2, "x"] = np.nan
    filled = dualscale.fill(model, rows)
    assert list(filled) == ["id", "x", "word", "rank", "gap"]
    assert filled["id"].equals(rows["id"])
    for name in ("x", "word"):
        known = rows[name].notna()
        assert filled.loc[known, name].equals(rows.loc[known, name])
    assert not filled.isna().any(axis=None)
    assert (filled["word"] == whole["word"]).mean() > 0.85
    assert abs(filled["x"] - whole["x"]).mean() < 0.6
    ranks = filled["word"].map(dict(zip(WORDS, (0, 10, 20), strict=True)))
    assert (abs(filled["rank"] - ranks) < 5).mean() > 0.9
    assert not filled.equals(dualscale.fill(model, rows, seed=1))


def test_a_cell_that_cannot_be_given_is_named_by_its_row(model):
    rows = pd.DataFrame({"word": ["top", "tip"], "x": [None, 0.5]})
    with pytest.raises(ValueError, match="fill in holds 'tip' in row 2 of column word"):
        dualscale.fill(model, rows)


def test_rows_without_gaps_come_back(model):
    rows = make_table(3).dropna()
    assert dualscale.fill(model, rows).equals(rows)


def draw_py(*arguments):
    draw.main(draw.parse([*map(str, arguments)]))


def test_draw_takes_where_guidance_and_rows_to_fill(path, tmp_path):
    given = ["--where", "word=top", "x=1.75", "--guidance", "2", "--points", "30"]
    draw_py(path, tmp_path / "rows.csv", *given)
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert (rows["word"] == "top").all()
    assert (rows["x"] == 1.75).all()
    (tmp_path / "gaps.csv").write_text("word,note,x\ntop,é,\n,-,-1.50\nlow,007,-1e0\n")
    draw_py(path, tmp_path / "whole.csv", "--fill", tmp_path / "gaps.csv")
    lines = (tmp_path / "whole.csv").read_text().splitlines()
    assert lines[0] == "word,note,x,rank,gap"
    assert lines[1].startswith("top,é,")
    assert lines[2].split(",")[1:3] == ["-", "-1.50"]
    assert lines[3].startswith("low,007,-1e0,")


@pytest.mark.parametrize(
    ("where", "guidance", "message"),
    [
        ({"wrd": "top"}, 1, "where names 'wrd', which is not defined: word, x, rank, gap "),
        ({"word": "tap"}, 1, "where holds 'tap' as word: one of low, middle, top is allowed "),
        ({"x": "much"}, 1, "where holds 'much' as x: numbers up to "),
        ({"x": 1000}, 1, "where holds 1000 as x: .* to .*, the data's range, is allowed"),
        ({"rank": 1.5}, 1, "holds 1.5 as rank: whole numbers are needed"),
        ({"x": None}, 1, "where has no value for x, of which no cell is missing"),
        ({"x": 0}, -1, "guidance is -1: 0 or more is allowed"),
        (None, 3, "guidance is 3: without `where`, 1 is allowed"),
    ],
)
def test_a_condition_that_cannot_be_met_is_named(model, where, guidance, message):
    with pytest.raises(ValueError, match=message) as error:
        dualscale.sample(model, 10, where=where, guidance=guidance)
    assert "\n" not in str(error.value)


def test_whole_points_have_a_density_that_conditions_do_not_change(tmp_path):
    model = load_model(train(tmp_path / "0.safetensors", steps=1, conditioning={"columns": "all"}))
    rows = model.encoding.encode(make_table(2), np.random.default_rng(0))
    assert np.isfinite(dualscale.log_density(model, rows)).all()


def test_a_missing_cell_can_be_given(model):
    assert drawn(model, {"gap": None})["gap"].isna().all()


def test_a_model_that_was_not_trained_for_it_says_how_to_train_it(tmp_path):
    plain = load_model(train(tmp_path / "plain.safetensors", steps=1))
    for attempt in (
        lambda: dualscale.sample(plain, 10, where={"word": "top"}),
        lambda: dualscale.fill(plain, pd.DataFrame({"word": ["top"]})),
    ):
        with pytest.raises(ValueError, match=r"`conditioning: \{columns: \[word\]\}`"):
            attempt()
    conditioning = {"columns": ["word"], "hidden": 0.0}
    only = load_model(train(tmp_path / "only.safetensors", steps=1, conditioning=conditioning))
    with pytest.raises(ValueError, match="x cannot be given to the model, but word can"):
        dualscale.sample(only, 10, where={"x": 0.5})
    with pytest.raises(ValueError, match="guidance is 2: 1 is allowed"):
        dualscale.sample(only, 10, where={"word": "top"}, guidance=2)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--where", "word"], "where is 'word': column=value is needed"),
        (["--where", "word=top", "word=low"], "where names word twice"),
        (["--guidance", "2"], "--guidance is 2 without --where"),
        (["--fill", "rows.csv", "--where", "word=top"], "--fill and --where are both given"),
        (["--fill", "rows.parquet"], "must end as rows.parquet, whose cells it keeps"),
        (["--fill", "none.csv"], "none.csv cannot be read"),
    ],
)
def test_flags_that_contradict_are_refused_in_one_line(flags, message, path, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        draw_py(path, tmp_path / "out.csv", *flags)
    assert "\n" not in str(error.value)
