import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_configuration import shipped

from dualscale.classical.generator import Examples
from dualscale.classical.generators import GaussianMixture, KernelDensity, TrainingPoints
from dualscale.classical.tables import SMOTE, GaussianCopula, IndependentColumns
from dualscale.config.check import check
from dualscale.data.encoding import Encoding
from dualscale.data.table import Table
from dualscale.data.units import standard_units
from dualscale.errors import ConfigurationError
from fit_classical import main as fit_classical


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def blobs(n, rng):
    """Three narrow Gaussians, far apart."""
    centres = np.array([[-3.0, 0], [0, 3], [3, 0]])
    return centres[rng.integers(3, size=n)] + 0.1 * rng.standard_normal((n, 2))


def test_bic_finds_the_number_of_components_of_a_mixture(rng):
    fitted = GaussianMixture(components=[1, 2, 3, 6]).fit(
        Examples.of_points(blobs(600, rng)), seed=0
    )
    assert fitted.parameters == 3 * (2 + 3) + 2
    drawn, real = fitted.draw(2000, rng), blobs(2000, rng)
    np.testing.assert_allclose(drawn.mean(axis=0), real.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(real.T), atol=0.3)
    distance = np.linalg.norm(drawn[:, None] - [[-3, 0], [0, 3], [3, 0]], axis=-1).min(axis=1)
    assert np.sqrt(np.mean(distance**2) / 2) == pytest.approx(0.1, rel=0.1)
    assert np.ptp(drawn[:30, 0]) > 5, "the components follow in random order"


def test_a_mixture_has_no_more_components_than_points(rng):
    assert (
        GaussianMixture(components=[300]).fit(Examples.of_points(blobs(40, rng)), seed=0).parameters
        == 40 * 6 - 1
    )


def test_held_out_points_find_the_width_of_a_kernel(rng):
    points = rng.standard_normal((2000, 1))
    fitted = KernelDensity(widths=[0.01, 0.2, 2.0]).fit(Examples.of_points(points), seed=0)
    assert fitted.parameters == 2001
    assert fitted.draw(20_000, rng).std() == pytest.approx(np.hypot(1, 0.2), rel=0.03)


def test_training_points_are_drawn_once_before_any_comes_again(rng):
    points = np.arange(10.0)[:, None]
    drawn = TrainingPoints().fit(Examples.of_points(points), seed=0).draw(25, rng)
    assert sorted(drawn[:10, 0]) == sorted(drawn[10:20, 0]) == list(range(10))
    assert len(set(drawn[20:, 0])) == 5
    assert drawn[:10, 0].tolist() != list(range(10))


@pytest.fixture
def table(rng):
    """Points of a table in which words follow from numbers, some missing, and its encoding."""
    height = rng.normal(170, 10, 900)
    size = np.where(height + rng.normal(0, 3, 900) > 175, "tall", "short")
    weight = pd.Series(height - 100 + rng.normal(0, 5, 900)).mask(rng.random(900) < 0.2)
    cells = pd.DataFrame({"height": height, "size": size, "weight": weight})
    cells["town"] = rng.choice(["east", "north", "south"], 900, p=[0.6, 0.3, 0.1])
    encoding = Encoding.fit(Table(cells, ["text"] * 4))
    return encoding.encode(cells, rng).astype(np.float32), encoding


def drawn_from(generator, points, encoding, rng, target=None):
    """Rows as numbers, training rows first, then those of a generator in standard units."""
    units = standard_units(points)
    fitted = generator.fit(Examples.of_table(points, units, encoding, target), seed=0)
    return encoding.numbers(points), encoding.numbers(units.into_data(fitted.draw(2000, rng)))


def together(rows):
    """Correlation of height and weight, and difference of height between the sizes."""
    height, size, weight = rows[~np.isnan(rows[:, 2]), :3].T
    tall = height[size == 1].mean() - height[size == 0].mean()
    return np.corrcoef(height, weight)[0, 1], tall


def test_independent_columns_keep_the_columns_alone(table, rng):
    real, drawn = drawn_from(IndependentColumns(), *table, rng)
    assert set(drawn[:, 1]) == {0, 1}
    np.testing.assert_allclose(np.nanmean(drawn, axis=0), np.nanmean(real, axis=0), rtol=0.12)
    assert np.isnan(drawn[:, 2]).mean() == pytest.approx(0.2, abs=0.04)
    correlation, tall = together(drawn)
    assert abs(correlation) < 0.1
    assert abs(tall) < 2


def test_a_copula_keeps_columns_and_what_hangs_together(table, rng):
    real, drawn = drawn_from(GaussianCopula(), *table, rng)
    np.testing.assert_allclose(np.nanmean(drawn, axis=0), np.nanmean(real, axis=0), rtol=0.12)
    assert np.isnan(drawn[:, 2]).mean() == pytest.approx(0.2, abs=0.04)
    correlation, tall = together(drawn)
    assert correlation == pytest.approx(together(real)[0], abs=0.15)
    assert tall > 0.5 * together(real)[1]


def test_smote_lies_between_neighbours_of_one_class_with_their_usual_words(table, rng):
    real, drawn = drawn_from(SMOTE(), *table, rng, target="size")
    assert len(np.unique(drawn[:, 0])) > 1900
    for size in (0, 1):
        cells, own = real[real[:, 1] == size], drawn[drawn[:, 1] == size]
        assert cells[:, 0].min() <= own[:, 0].min()
        assert own[:, 0].max() <= cells[:, 0].max()
    np.testing.assert_allclose(together(drawn), together(real), rtol=0.1)
    assert (drawn[:, 3] == 0).mean() == pytest.approx((real[:, 3] == 0).mean(), abs=0.1)
    assert 0.02 < np.isnan(drawn[:, 2]).mean() < 0.25


def test_smote_takes_the_classes_from_the_target_where_it_is_a_category(table, rng):
    points, encoding = table
    classes = Examples.of_table(points, standard_units(points), encoding, "size").classes
    assert np.array_equal(classes, encoding.numbers(points)[:, 1])
    for target in ("height", None):
        examples = Examples.of_table(points, standard_units(points), encoding, target)
        assert examples.classes is None


def test_smote_repeats_the_neighbours_of_a_small_class(rng):
    points = np.array([[0.0], [1.0], [50.0], [100.0], [101.0], [102.0]])
    examples = replace(Examples.of_points(points), classes=np.array([0, 0, 1, 2, 2, 2]))
    drawn = SMOTE().fit(examples, seed=0).draw(500, rng)[:, 0]
    assert set(drawn[(drawn > 1) & (drawn < 100)]) == {50.0}
    assert drawn.min() >= 0
    assert drawn.max() <= 102


def test_constant_columns_are_left_out_of_what_a_generator_sees(table):
    points, encoding = table
    points[:, 0] = 3
    examples = Examples.of_table(points, standard_units(points), encoding, None)
    assert [list(column) for column in examples.columns] == [[0, 1], [2, 3], [4, 5, 6]]
    assert examples.flags.tolist() == [True, True, False, True, True, True, True]


KINDS = ["gaussian_mixture", "kernel_density", "training_points"]
KINDS += ["gaussian_copula", "independent_columns", "smote"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_keeps_the_datas_units_and_repeats_its_points(kind, tmp_path, rng):
    points = rng.normal([500, -3, 7], [100, 0.01, 0], (200, 3)).astype(np.float32)
    np.save(tmp_path / "mine.npy", points)
    settings = {"classical": {"kind": kind}, "normalisation": {"kind": "standard"}}
    for folder in ("one", "two"):
        files = [
            tmp_path / folder / kind / "mixture/mine/0"
            for kind in ("samples", "training", "sampling")
        ]
        for file in files:
            file.parent.mkdir(parents=True)
        fit_classical(
            tmp_path / "mine.npy",
            files[0].with_suffix(".npy"),
            *(file.with_suffix(".json") for file in files[1:]),
            settings=settings | {"sampling": {"points": 300}},
            digests={"training": "a", "sampling": "b"},
            stream="0/mine",
            seed=0,
            threads=1,
        )
    drawn, again = (
        np.load(tmp_path / folder / "samples/mixture/mine/0.npy") for folder in ("one", "two")
    )
    assert np.array_equal(drawn, again)
    assert (drawn.shape, drawn.dtype) == ((300, 3), np.float32)
    np.testing.assert_allclose(drawn.mean(axis=0), [500, -3, 7], atol=40)
    assert (drawn[:, 2] == 7).all()
    assert drawn[:, 1].std() < 0.1 < 10 < drawn[:, 0].std()


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        (
            {"classical": "kernel_density", "training": {"steps": 5}},
            "variants.mine has training beside classical, which has no network",
        ),
        (
            {"like": "baseline", "classical": "kernel_density"},
            "variants.mine has branches beside classical, which has no network",
        ),
        (
            {"classical": "gaussian_mixtur"},
            "variants.mine.classical is 'gaussian_mixtur': one of independent_columns, ",
        ),
        (
            {"classical": {"kind": "gaussian_mixture", "components": []}},
            "variants.mine.classical.components is []: 1 or more items is allowed",
        ),
        (
            {"classical": "training_points"},
            "run.variants is ['mine']: one at least needs a network",
        ),
    ],
)
def test_a_mistake_in_a_classical_variant_is_named(mine, message):
    with pytest.raises(ConfigurationError) as caught:
        check(shipped(variants={"mine": mine}, run={"variants": ["mine"]}))
    assert str(caught.value).startswith(message)


MIXTURE = {"label": "Mixture", "classical": {"kind": "gaussian_mixture", "components": [2, 9]}}
FIT, KL = "Fit mixture to line and sample it, seed 0", "Estimate KL of mixture on line, seed 0"


def test_a_classical_variant_is_a_row_of_the_tables_and_left_out_where_a_network_is_needed(project):
    project.configure(
        run={"variants": ["baseline", "mixture"], "datasets": ["line"]},
        variants={"mixture": MIXTURE},
    )
    project.run("results/paper/table1.md")
    results = project.path / "results"
    row = pd.read_csv(results / "metrics.csv").set_index("variant").loc["mixture"]
    assert row["parameters"] in (2 * 6 - 1, 9 * 6 - 1)
    assert pd.isna(row["eval_loss"])
    assert np.isfinite(row["kl_bits"])
    assert "| Mixture " in (results / "paper/table1.md").read_text()
    record = json.loads((results / "training/mixture/line/0.json").read_text())
    assert record["eval_loss"] is None
    assert project.waiting("results/paper/table1.md") == set()
    others = project.waiting("all", "study", "few_steps", "recommended", "pictures")
    of_mixture = {job for job in others if "mixture" in job}
    assert of_mixture == {"Measure distances of mixture on line, seed 0"}
    refused = project.snakemake("--dry-run", "results/fields/mixture/line/0.png")
    assert "mixture" in refused.stdout + refused.stderr
    project.configure(variants={"mixture": {"classical": {"components": [3]}}})
    remade = project.waiting("results/metrics.csv")
    assert {job for job in remade if "Collect" not in job} == {FIT, KL}
