"""The workflow from end to end, on a tiny configuration."""

import csv
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from conftest import ROOT, TINY, copy_project
from safetensors.numpy import load_file

METRICS = (
    "variant,dataset,seed,kl_bits,train_seconds,sample_seconds,eval_loss,parameters,device,"
    "models_trained_together"
)
RUNS = [(v, d, "0") for v in TINY["run"]["variants"] for d in TINY["run"]["datasets"]]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_of_a_run_has_the_same_stem_at_every_stage(finished):
    results = finished.path / "results"
    for variant, dataset, seed in RUNS:
        stages = {
            str(path.relative_to(results)).split(f"/{variant}/")[0]
            for path in results.rglob(f"{variant}/{dataset}/{seed}.*")
        }
        assert {"models", "samples", "divergences", "logs/train", "benchmarks/train"} <= stages


def test_datasets_and_samples_are_float32_arrays(finished):
    results = finished.path / "results"
    data = np.load(results / "datasets/circle.npy", allow_pickle=False)
    assert (data.shape, data.dtype) == ((300, 2), np.float32)
    for variant, dataset, seed in RUNS:
        points = np.load(results / f"samples/{variant}/{dataset}/{seed}.npy", allow_pickle=False)
        assert (points.shape, points.dtype) == ((100, 2), np.float32)
        assert np.isfinite(points).all()


def test_models_are_safetensors(finished):
    model = load_file(finished.path / "results/models/adaptive/line/0.safetensors")
    assert model["upscale.local.weight"].shape == (2, 4)


def test_metrics_hold_a_row_for_every_run(finished):
    path = finished.path / "results/metrics.csv"
    assert path.read_text().splitlines()[0] == METRICS
    table = rows(path)
    assert [(row["variant"], row["dataset"], row["seed"]) for row in table] == RUNS
    for row in table:
        assert np.isfinite([float(row[key]) for key in METRICS.split(",")[3:7]]).all()
        assert float(row["train_seconds"]) > 0
        assert float(row["sample_seconds"]) > 0
        assert int(row["parameters"]) > 0
        assert "thread" in row["device"]
        assert row["models_trained_together"] == "1"


def test_table_puts_measured_beside_published(finished):
    paper = finished.path / "results/paper"
    metrics = {(r["variant"], r["dataset"]): r for r in rows(finished.path / "results/metrics.csv")}
    published = {
        (r["variant"], r["dataset"]): r for r in rows(ROOT / "workflow/published/table1.csv")
    }
    table = rows(paper / "table1.csv")
    assert [(row["variant"], row["dataset"]) for row in table] == [run[:2] for run in RUNS]
    for row in table:
        key = row["variant"], row["dataset"]
        for quantity in ("kl_bits", "train_seconds", "sample_seconds"):
            assert float(row[f"{quantity}_mean"]) == pytest.approx(float(metrics[key][quantity]))
            assert row[f"{quantity}_low"] == ""
            assert float(row[f"{quantity}_published"]) == float(published[key][quantity])
        assert row["seeds"] == "1"
    for name in ("md", "tex", "html"):
        text = (paper / f"table1.{name}").read_text(encoding="utf-8")
        assert "0.354" in text
        assert "1 seed per cell" in text
        assert metrics["baseline", "circle"]["device"] in text
    assert r"\toprule" in (paper / "table1.tex").read_text()


def test_figures_exist_in_every_format(finished):
    for name in ("figure1", "figure2"):
        stem = finished.path / "results/paper" / name
        assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert ET.parse(stem.with_suffix(".svg")).getroot().tag.endswith("svg")


def test_log_of_training_shows_progress(finished):
    log = (finished.path / "results/logs/train/adaptive/line/0.log").read_text()
    assert "step 20 of 20, loss " in log
    assert " steps/s, 0 s left" in log


def test_nothing_half_written_is_left(finished):
    assert not list((finished.path / "results").rglob(".part.*"))


def test_the_same_config_gives_the_same_bytes(finished, tmp_path):
    again = copy_project(finished.path, tmp_path / "again")
    again.run("results/samples/adaptive/line/0.npy", "results/paper/figure2.svg")
    for path in ("samples/adaptive/line/0.npy", "models/adaptive/line/0.safetensors"):
        first, second = (project.path / "results" / path for project in (finished, again))
        assert first.read_bytes() == second.read_bytes()
    assert (again.path / "results/paper/figure2.svg").read_bytes() == (
        finished.path / "results/paper/figure2.svg"
    ).read_bytes()


def test_several_seeds_give_an_interval(project):
    project.configure(run={"seeds": [0, 1]})
    project.run()
    row = rows(project.path / "results/paper/table1.csv")[0]
    low, mean, high = (float(row[f"kl_bits_{part}"]) for part in ("low", "mean", "high"))
    assert low < mean < high
    assert row["seeds"] == "2"
    assert "2 seeds per cell" in (project.path / "results/paper/table1.md").read_text()


def test_the_released_protocol_runs(project):
    path = project.path / "results/models/adaptive/line/0.safetensors"
    before = load_file(path)
    project.run("--configfile", "workflow/protocols/released.yaml")
    after = load_file(path)
    embedding = TINY["network"]["embedding"]
    assert len(before["input.local.weight"]) == 4 * embedding
    assert len(after["input.local.weight"]) == 2 * embedding


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"steps": "many"}}, "training.steps is 'many', a string: integer is allowed"),
        ({"run": {"seeds": [1, 1]}}, "run.seeds holds 1 twice"),
        ({"kl": {"k": 100, "kk": 1}}, "kl has the unknown key 'kk' (did you mean k?)"),
    ],
    ids=["string for a number", "duplicated seed", "unknown key"],
)
def test_a_mistake_in_the_config_stops_before_any_job(project, change, message):
    project.configure(**change)
    failed = project.snakemake()
    assert failed.returncode != 0
    output = failed.stdout + failed.stderr
    assert message in output
    assert "Traceback" not in output
    assert "Job " not in output


def test_a_model_that_diverges_stops_its_job_with_the_step_and_what_to_try(project):
    training = {"learning_rate": 10, "steps": 400}
    project.configure(variants={"baseline": {"prediction": "sample", "training": training}})
    target = "results/models/baseline/circle/0.safetensors"
    data = project.path / "results/datasets/circle.npy"
    points = np.load(data)
    points[0] = 1e30  # its square is beyond float32
    np.save(data, points)
    data.with_name(f".{data.name}.sha256").unlink()  # the edit is deliberate
    failed = project.snakemake(target)
    assert failed.returncode != 0
    log = (project.path / "results/logs/train/baseline/circle/0.log").read_text()
    assert "the loss is not finite at step" in log
    assert "try a learning_rate below 10" in failed.stdout + failed.stderr
    assert not (project.path / target).exists()


def test_works_from_another_folder(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train" in done.stdout + done.stderr


def test_what_needs_no_network_does_not_import_torch():
    without = (
        "generate_dataset, evaluate_kl, evaluate_floor, evaluate_distances, collect_records, "
        "tabulate_paper, plot_samples, plot_weights, plot_decomposition, plot_score_errors, "
        "compare_variants, judge_claims, decompose_kl, tabulate_excess, tabulate_fewest, "
        "tabulate_systems, plot_systems"
    )
    code = f"import sys, {without}; sys.exit('torch' in sys.modules)"
    scripts = str(ROOT / "scripts")
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": scripts})


def test_points_of_ones_own_go_from_a_file_to_samples_in_their_units(project):
    rng = np.random.default_rng(0)
    points = rng.normal([50, -3, 0.1], [10, 0.1, 0], (500, 3))
    lines = [f"{x},{y},{z},a" for x, y, z in points]
    (project.path / "mine.csv").write_text("\n".join(["x,y,z,label", *lines]) + "\n")
    project.configure(
        datasets={"mine": {"file": "mine.csv", "columns": ["x", "y", "z"]}},
        run={"datasets": ["mine"]},
        training={"steps": 200},
    )
    project.run()
    results = project.path / "results"
    assert np.load(results / "held_out/mine.npy").shape == (50, 3)
    drawn = np.load(results / "samples/baseline/mine/0.npy")
    assert (drawn.shape, drawn.dtype) == ((100, 3), np.float32)
    np.testing.assert_allclose(drawn.mean(axis=0), [50, -3, 0.1], atol=12)
    assert (drawn[:, 2] == np.float32(0.1)).all()  # constant columns stay constant
    assert drawn[:, 1].std() < 1 < drawn[:, 0].std()
    assert {row["dataset"] for row in rows(results / "metrics.csv")} == {"mine"}
    project.configure(kl={"k": 4})  # checked by the import, which does not rerun for it
    assert not {done for done in project.waiting() if done.startswith(("Import", "Train"))}
    (project.path / "mine.csv").write_text("x,y,z\n1,2,3\n4,5,oops\n")
    failed = project.snakemake()
    assert failed.returncode != 0
    assert "mine.csv holds 'oops' in row 2 of column z" in failed.stdout + failed.stderr


def test_a_configfile_can_give_a_part_another_kind(project):
    (project.path / "my.yaml").write_text(
        "variants: {adaptive: {like: fixed, weighting: {kind: fixed, hidden: null, "
        "weights: {global: 0.3, local: 0.7}}}}\nschedule: {kind: cosine}\n"
    )
    project.run("--dry-run", "--configfile", "my.yaml")
