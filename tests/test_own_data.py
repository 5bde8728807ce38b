"""Points from files, whose density nobody knows, through every target."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import copy_project, copy_run

from dualscale.metrics.kl import Reference
from evaluate_distances import main as evaluate_distances

SCALE = np.array([1000.0, 1.0, 0.1])


@pytest.fixture(scope="module")
def own(finished, tmp_path_factory):
    """Every target of the tiny run with a file of points in very different units as its only
    dataset; not to be changed."""
    project = copy_project(finished.path, tmp_path_factory.mktemp("own") / "project")
    points = np.random.default_rng(0).normal(size=(500, 3)) * SCALE
    np.savetxt(project.path / "mine.csv", points, delimiter=",", header="x,y,z", comments="")
    project.configure(
        datasets={"mine": {"file": "mine.csv"}},
        run={"variants": ["baseline"], "datasets": ["mine"]},
        steps={"variants": ["baseline"], "counts": [1, 5]},
        study={"points": 50},
    )
    project.run("all", "study", "few_steps", "recommended")
    return project


def read_measures(project, index):
    return pd.read_csv(project.path / "results/study/metrics.csv").set_index(index)


def test_every_target_works_where_all_datasets_are_files(own):
    results = own.path / "results"
    pages = [results / "paper/table1.md", results / "study/comparisons.md"]
    for page in (*pages, results / "recommended/excess.md"):
        assert "Points from files (mine): KLs are against the held-out" in page.read_text()
    assert "What needs an exact density is left out" in pages[1].read_text()
    assert not (results / "study/decomposition.csv").exists()
    assert (results / "steps/figure5.png").stat().st_size > 5000
    measures = read_measures(own, "variant")
    assert not {"off_support_share", "ode_kl_bits"} & set(measures)
    assert measures.loc["baseline"].notna().all()


def test_the_kl_of_a_files_points_stands_beside_its_floor_in_the_models_units(own):
    results, measures = own.path / "results", read_measures(own, "variant")
    floors = pd.read_csv(results / "floors.csv")["kl_bits"]
    assert -1 < floors.min() < floors.max() < 1 < measures.loc["baseline", "kl_bits"]
    assert abs(measures.loc["real", "kl_bits"] - floors.mean()) < 1
    assert measures.loc["real", ["energy_distance", "sliced_wasserstein"]].max() < 0.5
    table = pd.read_csv(results / "paper/table1.csv").iloc[0]
    assert table["kl_floor_bits"] == pytest.approx(floors.mean(), rel=1e-4)
    assert table["kl_real_points"] == 50
    excess = pd.read_csv(results / "recommended/excess.csv").iloc[0]
    assert excess["floor_bits"] == pytest.approx(floors.mean(), rel=1e-4)


def test_the_floor_of_a_files_points_is_of_as_many_training_points(own):
    drawn = np.load(own.path / "results/samples/real/mine/0.npy")
    training = np.load(own.path / "results/datasets/mine.npy")
    assert len(np.unique(drawn, axis=0)) == 100
    assert set(map(tuple, drawn)) < set(map(tuple, training))


@pytest.fixture
def changed(own, tmp_path):
    """A copy that a test may change."""
    project = copy_run(own, tmp_path / "project")
    shutil.copy2(own.path / "mine.csv", project.path)
    return project


def test_the_study_refuses_a_files_record_that_other_settings_made(changed):
    record = changed.path / "results/distances/baseline/mine/0.json"
    content = json.loads(record.read_text()) | {"settings_digest": "0" * 16}
    record.write_text(json.dumps(content))
    record.with_name(f".{record.name}.sha256").unlink()  # edited on purpose
    failed = changed.snakemake("results/study/metrics.csv")
    assert failed.returncode != 0
    assert "results/distances/baseline/mine/0.json" in failed.stdout + failed.stderr


def test_the_study_works_where_some_datasets_are_files(changed):
    changed.configure(run={"datasets": ["mine", "circle"]})
    changed.run("study")
    measures = read_measures(changed, ["variant", "dataset"])
    assert np.isfinite(measures.loc[("baseline", "circle"), "ode_kl_bits"])
    assert np.isnan(measures.loc[("baseline", "mine"), "ode_kl_bits"])
    parts = pd.read_csv(changed.path / "results/study/decomposition.csv")
    assert parts["dataset"].tolist() == ["circle"]


def test_a_kl_that_the_points_leave_undefined_is_left_out_of_the_distances(tmp_path):
    rng = np.random.default_rng(0)
    real, generated = np.repeat(rng.normal(size=(8, 2)), 2, axis=0), rng.normal(size=(50, 2))
    paths = {name: tmp_path / f"{name}.npy" for name in ("real", "generated")}
    np.save(paths["real"], real)
    np.save(paths["generated"], generated)
    neighbours = tmp_path / "1_5_20.npz"
    with neighbours.open("wb") as file:
        Reference.of(real, [1, 5, 20]).save(file)
    output = tmp_path / "0.json"
    settings = {"metrics": [{"kind": "kl"}]}
    given = {"dataset": "mine", "settings": settings, "digest": "digest", "threads": 1}
    evaluate_distances(paths["real"], neighbours, paths["generated"], output, **given)
    record = json.loads(output.read_text())
    assert record["kl_k1_bits"] is None  # every real point is there twice
    assert np.isfinite(record["kl_k5_bits"])
    assert record["kl_k20_bits"] is None  # there are 16 real points
