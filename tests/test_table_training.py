"""Tables from a short training: nothing broken, and nothing piled up at the extremes."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

from dualscale.data.encoding import Encoding
from dualscale.data.moments import moments_of
from dualscale.data.normalisations import NORMALISATION
from dualscale.data.table import Table
from dualscale.model import SETTINGS, Model
from dualscale.training.settings import Training
from dualscale.training.trainer import Trainer

ROWS, DRAWN, WORDS = 2000, 4000, 30
SETTINGS_OF_MODEL = {
    "branches": {"global": {}},
    "weighting": {"kind": "none"},
    "network": {"width": 64, "hidden_layers": 2, "embedding": 16},
    "schedule": {"kind": "geometric", "sigma_min": 0.02, "sigma_max": 10.0, "timesteps": 40},
    "prediction": {"kind": "edm"},
    "sampling": {"prior": {"kind": "moment_matched"}},
}


def make_table(rng):
    """Thirty columns of words, and numbers whose densities end at hard edges."""
    cells = {f"word {j}": rng.choice(list("abcde")[: 2 + j % 4], ROWS) for j in range(WORDS)}
    age = rng.integers(17, 91, ROWS).astype(float)
    hired = (np.datetime64("2020-01-01") + rng.integers(0, 100, ROWS)).astype(str)
    cells |= {"age": age, "income": rng.exponential(size=ROWS), "hired": hired}
    table = pd.DataFrame(cells)
    table["pay"] = (rng.normal(size=ROWS) + (table["word 0"] == "a")).mask(rng.random(ROWS) < 0.2)
    return table


@pytest.fixture(
    scope="module",
    params=[
        ("standard", "gaussian"),
        ("quantile", "gaussian"),
        ("quantile", "multinomial"),
        ("quantile", "absorbing"),
    ],
    ids="-".join,
)
def tables(request):
    """The table, and one drawn from a model of it after a short training."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    table = make_table(rng)
    encoding = Encoding.fit(Table(table, ["text"] * table.shape[1]))
    points = encoding.encode(table, rng).astype(np.float32)
    normalisation, categories = request.param
    units = NORMALISATION.validate_python(normalisation).units(points, encoding.flags)
    data = torch.from_numpy(units.into_model(points))
    settings = SETTINGS.validate_python(SETTINGS_OF_MODEL | {"categories": {"kind": categories}})
    model = Model(settings, moments_of(data), units=units, encoding=encoding)
    model.backbone.initialise(["0"])
    training = Training(steps=300, batch_size=128, learning_rate=3e-3)
    for _ in Trainer(model, data, training, ["0"]).run():
        pass
    drawn = model.sampler(settings.sampling, DRAWN, ["0/draw"]).draw()[0]
    return table, encoding.decode(drawn)


def test_thirty_columns_of_words_come_back_without_nan(tables):
    table, drawn = tables
    words = [name for name in table if name.startswith("word")]
    assert not drawn.drop(columns="pay").isna().any(axis=None)
    for name in words:
        assert set(drawn[name]) <= set(table[name])
    shares = (each[words].apply(lambda cells: (cells == "a").mean()) for each in (table, drawn))
    assert abs(next(shares) - next(shares)).max() < 0.05


@pytest.mark.parametrize("name", ["age", "hired", "income"])
def test_no_values_pile_up_at_the_extremes(tables, name):
    real, drawn = (each[name].astype(str if name == "hired" else float) for each in tables)
    assert real.min() <= drawn.min()
    assert drawn.max() <= real.max()
    for bound in (real.min(), real.max()):
        expected, found = (real == bound).mean(), (drawn == bound).mean()
        error = np.sqrt(expected * (1 - expected) * (1 / ROWS + 1 / DRAWN))
        assert found <= expected + norm.ppf(0.999) * error


def test_missing_cells_come_at_their_rate(tables):
    table, drawn = tables
    assert drawn["pay"].isna().mean() == pytest.approx(table["pay"].isna().mean(), abs=0.05)


def test_types_are_those_of_the_table(tables):
    table, drawn = tables
    assert list(drawn) == list(table)
    assert drawn["age"].dtype == np.int64
    assert drawn["hired"].map(lambda day: day.isoformat()).between("2020-01-01", "2020-04-09").all()
