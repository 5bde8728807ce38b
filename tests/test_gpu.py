"""benchmarks/gpu.py without a GPU: every part on the CPU, in miniature."""

import csv
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import benchmark
import gpu

SCRIPT = ROOT / "benchmarks/gpu.py"
# Of what the project needs, that which a machine for a first look may lack.
MISSING = "yaml tabulate pandas pyarrow sklearn matplotlib statsmodels snakemake threadpoolctl"


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_ends_in_one_line():
    done = run()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gpu: PyTorch sees no GPU here")
    assert done.stderr.count("\n") == 1


def test_every_part_runs_where_only_pytorch_and_its_companions_are_installed(tmp_path):
    hidden = f"import sys\nsys.modules.update(dict.fromkeys({MISSING.split()}))\n"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    table = tmp_path / "rows.csv"
    small = ["--steps", 20, "--points", 100, "--seeds", 2, "--variants", "adaptive", "own"]
    done = run("--device", "cpu", *small, "--table", table, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = [row for row in rows if row["precision"] != "bfloat16"]
    one = ["training", "sampling"]
    assert [(row["what"], row["variant"], row["seeds"]) for row in first] == [
        ("tests", "", ""),
        *((what, "adaptive", "1") for what in (*one, "plain training", "plain sampling")),
        *((what, "own", "1") for what in one),
        ("workflow", "", ""),
        *(("training", variant, "2") for variant in ("adaptive", "own")),
    ]
    assert len(rows) == 2 + 2 * (len(first) - 2)  # not of tests and workflow
    for row in rows:
        assert row["device"] and row["date"]
        if "training" in row["what"] or "sampling" in row["what"]:
            assert float(row["seconds"]) > 0 and not row["note"]
        if "sampling" in row["what"]:
            assert float(row["kl_bits"]) > 0


def test_parts_that_the_time_does_not_suffice_for_are_reported(tmp_path):
    table = tmp_path / "rows.csv"
    done = run("--device", "cpu", "--minutes", 0, "--table", table, "--variants", "adaptive")
    assert done.returncode == 0
    lines = table.read_text().splitlines()
    assert len(lines) == 5
    assert all("skipped: no time left" in line for line in lines[1:])


def test_the_workflow_runs_in_miniature(capsys):
    gpu.run_workflow(SimpleNamespace(device="cpu", steps=20, points=100))
    assert '"kl_bits": ' in capsys.readouterr().out


def test_a_measurement_that_fails_is_reported_and_the_next_goes_on(capsys):
    bench = gpu.Bench(SimpleNamespace(device="cpu", end=0.0, steps=20, points=100))
    bench.measure("training", {}, bench.train, "adaptive", "float32", 1)
    bench.measure("sampling", {}, bench.sample, None)
    first, second = capsys.readouterr().out.splitlines()
    assert "skipped: no time left" in first
    assert "failed: AttributeError" in second


@pytest.mark.parametrize("name", [name for name in gpu.VARIANTS if name != "own"])
def test_variants_are_those_of_the_configuration(name):
    own, configured = gpu.settings_of(name, "float32"), benchmark.settings_of(name)
    about = {"label", "note", "stream"}
    assert own.model_dump(exclude=about) == configured.model_dump(exclude=about)
