"""The workflow as a module of another, and run from another folder."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import yaml
from conftest import ROOT, TINY

SNAKEFILE = f"""
configfile: "{ROOT}/config.yaml"
configfile: "mine.yaml"


module dualscale:
    snakefile:
        "{ROOT}/Snakefile"
    config:
        config


use rule * from dualscale as dualscale_*


rule count:
    default_target: True
    input:
        "results/metrics.csv",
    output:
        "count.txt",
    shell:
        "wc -l < {{input}} > {{output}}"
"""


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


OWN = TINY | {
    "run": {"variants": ["baseline", "own"], "datasets": ["mine"], "seeds": [0]},
    "datasets": {"mine": {"file": "points.csv"}},
    "variants": {
        "own": {
            "architecture": {
                "file": "examples/fourier_network.py",
                "class": "FourierNetwork",
                "settings": {"width": 8},
            }
        }
    },
}
"""Points beside the configuration, and a network among the project's examples."""


def configure(folder, config):
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    points = np.random.default_rng(0).normal(size=(200, 2))
    pd.DataFrame(points, columns=["x", "y"]).to_csv(folder / "points.csv", index=False)


def test_another_workflow_can_build_on_it(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    configure(tmp_path, OWN)
    snakemake(tmp_path)
    assert (tmp_path / "count.txt").read_text().strip() == "3"


def test_rules_that_only_read_tables_stay_local_inside_another_workflow(tmp_path):
    said = "print('local:', *workflow._localrules, file=sys.stderr)\n"
    said += "print('threshold:', gc.get_threshold() == BEFORE, file=sys.stderr)"
    before = "import gc\nimport sys\nBEFORE = gc.get_threshold()\n"
    (tmp_path / "Snakefile").write_text(f"{before}{SNAKEFILE}\n\n{said}\n")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY))
    output = snakemake(tmp_path, "--list-rules")
    local = re.search("local:(.*)", output)[1].split()
    assert {
        "dualscale_collect_runs",
        "dualscale_collect_floors",
        "dualscale_plot_decomposition",
    } <= set(local)
    assert not {"dualscale_train", "dualscale_evaluate_kl"} & set(local)
    assert "threshold: True" in output, "the host's garbage collection is its own"


def test_it_runs_in_another_working_directory(tmp_path):
    configure(tmp_path, OWN)
    snakemake(
        tmp_path,
        *["--snakefile", str(ROOT / "Snakefile"), "--configfile", "mine.yaml"],
        *["--directory", "elsewhere", "--", "results/metrics.csv"],
    )
    assert len(pd.read_csv(tmp_path / "elsewhere/results/metrics.csv")) == 2
