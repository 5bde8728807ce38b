"""The example of a table, from its file to generated rows, with a short training."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, TINY, copy_project

SHORT = {key: TINY[key] for key in ("network", "training", "sampling", "device")}
MODEL = "results/models/table/fair/0.safetensors"


def python(folder, script, *arguments):
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A finished run of the example on its first rows; not to be changed."""
    project = copy_project(ROOT, tmp_path_factory.mktemp("example") / "project")
    folder = project.path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("*.csv"))
    python(project.path, "examples/fair.py")
    lines = (folder / "fair.csv").read_text().splitlines(keepends=True)
    (folder / "fair.csv").write_text("".join(lines[:400]))
    short = {"run": {"variants": ["table"]}, "study": {"floors": 2}, **SHORT}
    (project.path / "short.yaml").write_text(yaml.safe_dump(short))
    project.run("--configfile", "examples/table.yaml", "short.yaml")
    return project


def test_generated_rows_have_the_files_columns_and_values(example):
    file = pd.read_csv(example.path / "examples/fair.csv")
    rows = pd.read_csv(example.path / "results/synthetic/table/fair/0.csv")
    assert list(rows) == list(file)
    assert rows["educ"].dtype == np.int64
    assert len(rows) == SHORT["sampling"]["points"]
    for name in file.select_dtypes("str"):
        assert set(rows[name]) <= set(file[name])
    numbers = file.select_dtypes("number")
    assert (rows[list(numbers)] >= numbers.min() - 1e-6).all(axis=None)
    assert (rows[list(numbers)] <= numbers.max() + 1e-6).all(axis=None)


def test_draw_gives_as_many_rows_as_are_wanted_without_the_file(example, tmp_path):
    shutil.copy2(example.path / MODEL, tmp_path / "model.safetensors")
    for ending in ("csv", "parquet"):
        draw = str(ROOT / "scripts/draw.py")
        python(tmp_path, draw, "model.safetensors", f"rows.{ending}", "--points", "7")
    rows, stored = pd.read_csv(tmp_path / "rows.csv"), pd.read_parquet(tmp_path / "rows.parquet")
    assert rows.shape == stored.shape == (7, 9)
    assert rows["educ"].tolist() == stored["educ"].tolist()
    assert rows["occupation"].tolist() == stored["occupation"].tolist()


def test_the_kl_stands_beside_its_floor_and_says_how_it_is_taken(example):
    page = (example.path / "results/paper/table1.md").read_text()
    assert "equal cells spread by uniform noise" in page
    table = pd.read_csv(example.path / "results/paper/table1.csv").iloc[0]
    assert table["kl_floor_bits"] < table["kl_bits_mean"]


def test_types_are_shown_before_a_run_and_in_the_log_of_the_import(example):
    described = python(
        example.path, "scripts/describe.py", "table", "--configfile", "examples/table.yaml"
    )
    found = next(yaml.safe_load_all(described))["columns"]
    assert found["educ"] == "integer, 9 to 20"
    assert found["religious"] == "category, 4: fairly, mildly, not, strongly"
    log = (example.path / "results/logs/import_dataset/fair.log").read_text()
    assert all(column in log for column in found.values())
    assert "in 26 dimensions" in described
