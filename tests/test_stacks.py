"""Seeds trained as one stack stay together, whatever joins or leaves the configuration."""

import json

import pytest
from conftest import ROOT, TINY, copy_project, copy_run

SEEDS = [0, 1, 2]
CELLS = [("baseline", "circle"), ("adaptive", "line")]


@pytest.fixture(scope="module")
def stacked(tmp_path_factory):
    """Two tiny cells of three seeds each, trained as stacks; read-only."""
    project = copy_project(ROOT, tmp_path_factory.mktemp("stacked") / "project")
    project.configure(**TINY)
    project.configure(run={"seeds": SEEDS, "seeds_per_job": 3})
    project.run("--", *samples())
    return project


@pytest.fixture
def project(stacked, tmp_path):
    """A private copy of the stacked runs, which a test may change."""
    return copy_run(stacked, tmp_path / "project")


def samples(cells=CELLS, seeds=SEEDS):
    return [f"results/samples/{v}/{d}/{seed}.npy" for v, d in cells for seed in seeds]


def delete(project, seed):
    for file in (project.path / "results").rglob(f"*/*/*{seed}.*"):
        file.unlink()


def test_another_number_of_seeds_a_job_runs_nothing(project):
    project.configure(run={"seeds_per_job": 2})
    assert project.waiting("--", *samples()) == set()


def test_a_seed_that_leaves_makes_no_other_run_again(project):
    for seeds in ([0, 2], [2, 1]):
        project.configure(run={"seeds": seeds})
        assert project.waiting("--", *samples(seeds=seeds)) == set()


def test_a_seed_that_left_with_its_files_is_not_made_anew(project):
    delete(project, 1)
    project.configure(run={"seeds": [0, 2]})
    waiting = project.waiting("--", *samples(seeds=[0, 2]))
    assert waiting <= {f"Sample {v} on {d}, seeds 0, 2" for v, d in CELLS}


def test_each_variant_and_dataset_keeps_a_grouping_of_its_own(project):
    delete(project, 1)
    delete(project, 2)
    record = project.path / "results/training/adaptive/line/0.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"seeds": [0]}))
    record.with_name(f".{record.name}.sha256").unlink()
    project.configure(run={"seeds_per_job": 2})
    waiting = project.waiting("--", *samples([*CELLS, ("baseline", "line")]))
    assert {job for job in waiting if job.startswith("Train")} == {
        "Train baseline on circle, seeds 0, 1, 2",
        "Train adaptive on line, seeds 1, 2",
        "Train baseline on line, seeds 0, 1",
        "Train baseline on line, seed 2",
    }
