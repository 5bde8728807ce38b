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
    short = {"run": {"variants": ["table", "smote"]}, "study": {"floors": 2}, **SHORT}
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


def test_the_guides_commands_draw_the_columns_that_are_not_given(example):
    guide = (ROOT / "docs/guides/own-data.md").read_text()
    section = guide.partition("## Given columns")[2].partition("\n## ")[0]
    training, *commands = section.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert training.endswith("--configfile examples/table.yaml examples/given.yaml")
    files = ["examples/table.yaml", "short.yaml", "examples/given.yaml"]
    example.run("--configfile", *files, "--", "results/models/given/fair/0.safetensors")
    for command in commands:
        line = command.replace("python ", f"{sys.executable} ", 1)
        subprocess.run(line, shell=True, cwd=example.path, check=True, capture_output=True)
    rows, clear, whole = (
        pd.read_csv(example.path / f"{name}.csv") for name in ("rows", "clear", "whole")
    )
    assert (rows["religious"] == "strongly").all()
    assert (rows["age"] == 32).all()
    assert (clear["religious"] == "strongly").all()
    assert whole.shape == (2, 9)
    assert whole["religious"][0] == "strongly"
    assert whole["age"].tolist() == [32, 27]
    assert whole["children"][1] == 1
    assert not whole.isna().any(axis=None)


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


def test_the_quality_page_has_every_variant_under_the_floor_of_every_measure(example):
    folder = example.path / "results/quality/fair"
    table = pd.read_csv(folder / "quality.csv").set_index("variant")
    assert list(table.index) == ["real", "table", "smote"]
    measures = ["efficiency_f1", "column_shapes", "pair_trends"]
    measures += ["closest_training", "nearer_to_training", "copies"]
    assert table[measures].notna().all(axis=None)
    assert table["seeds"].tolist() == [2, 1, 1]
    assert table.loc["real", "column_shapes"] > table.loc["table", "column_shapes"]
    assert table.loc["smote", "closest_training"] < table.loc["real", "closest_training"]
    page = (folder / "quality.md").read_text()
    assert "predict occupation" in page
    assert "| Real rows " in page
    assert "<table>" in (folder / "quality.html").read_text()
    assert (folder / "columns.png").stat().st_size > 10_000


def test_figure_1_of_a_table_shows_two_columns_and_says_which(example):
    figure = (example.path / "results/paper/figure1.svg").read_text(encoding="utf-8")
    assert "fair: age and" in figure
    assert "yrs_married" in figure


def test_another_target_retrains_no_network(example):
    target = ["--config", "datasets={'fair': {'target': 'religious'}}"]
    files = ["--configfile", "examples/table.yaml", "short.yaml"]
    waiting = example.waiting("all", *files, *target)
    again = {job for job in waiting if job.startswith(("Import", "Train", "Sample", "Plot Figure"))}
    assert again == {"Plot Figure 1"}  # which shows SMOTE's new rows
    assert "Fit smote to fair and sample it, seed 0" in waiting


def test_pictures_and_explorer_of_a_table_are_made_and_every_other_target_is_planned(example):
    files = ["--configfile", "examples/table.yaml", "short.yaml", "--"]
    example.run(*files, "pictures", "explorer")
    explorer = (example.path / "results/explorer/explorer.html").read_text(encoding="utf-8")
    assert "Diffusion, quantiles" in explorer
    assert (example.path / "results/animations/all.variants/fair/0.gif").stat().st_size > 5000
    targets = ["study", "few_steps", "recommended", "systems", "weights", "upscales"]
    waiting = example.waiting(*files, *targets)
    assert {"Compare the variants", "Plot Figure 5", "Plot Figure 6"} <= waiting
