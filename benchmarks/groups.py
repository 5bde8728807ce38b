"""Measure 64 short jobs on a Slurm of one node, submitted in several ways: benchmarks/groups.csv.

    python benchmarks/groups.py          # every way; needs root and what tests/cluster/slurm names
    python benchmarks/groups.py local    # some ways; the other rows of the CSV stay

The jobs estimate the KL of tiny samples, so that nearly all time is the start of processes. Slurm
gives two processors to jobs; `snakemake` itself, which on a cluster runs elsewhere, shares them.
"""

import argparse
import csv
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import yaml

from benchmark import ROOT, in_own_process
from workflow import copy_project

CLUSTER = ROOT / "tests/cluster/slurm"
CORES = 2
VARIANTS = ["baseline", "fixed", "adaptive", "weight_analysis"]
DATASETS = ["circle", "line"]
SEEDS = list(range(8))
TINY = {
    "run": {"variants": VARIANTS, "datasets": DATASETS, "seeds": SEEDS, "seeds_per_job": 8},
    "datasets": {name: {"distribution": name, "points": 300} for name in DATASETS},
    "network": {"width": 8, "hidden_layers": 1, "embedding": 8},
    "training": {"steps": 20, "batch_size": 8},
    "sampling": {"points": 100},
    "device": "cpu",
}
CELLS = [
    f"results/divergences/{'/'.join(map(str, c))}.json" for c in product(VARIANTS, DATASETS, SEEDS)
]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml"]
LOCAL = [*SNAKEMAKE, "--cores", str(CORES)]
PROFILE = [*SNAKEMAKE, "--workflow-profile", "workflow/profiles/slurm"]
UNGROUPED = [*PROFILE, "--groups", "draw_reference=references"]
ALLOCATION = ["sbatch", "--wait", "--cpus-per-task", str(CORES), "--mem", "4G", "--wrap"]
WAYS = {
    "local": [*LOCAL, "--", *CELLS],
    "one allocation": [*ALLOCATION, " ".join([*LOCAL, "--", *CELLS])],
    "groups of 16": [*PROFILE, "--group-components", "kl=16", "--", *CELLS],
    "groups of 4": [*PROFILE, "--group-components", "kl=4", "--", *CELLS],
    "a job per cell": [*UNGROUPED, "--", *CELLS],
    "a Slurm array": [*UNGROUPED, "--slurm-array-jobs", "evaluate_kl", "--", *CELLS],
}
COLUMNS = ["way", "cells", "seconds", "last_result_seconds", "slurm_jobs", "cores", "others_cores"]
COLUMNS += ["when", "machine"]


def slurm_jobs():
    """Return the identifiers of all Slurm jobs so far, each task of an array by itself."""
    command = ["squeue", "--noheader", "--array", "--states", "all", "--format", "%i"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def busy_cores(seconds=5):
    """Return how many cores of the machine other work keeps busy."""

    def used():
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
        ticks = list(map(int, fields))
        return sum(ticks) - sum(ticks[3:5])  # without idle and waiting for disks

    before = used()
    time.sleep(seconds)
    return (used() - before) / os.sysconf("SC_CLK_TCK") / seconds


def measure(way, folder):
    """Return a row of the CSV: all cells made anew in one way."""
    shutil.rmtree(folder / "results/divergences", ignore_errors=True)
    others, before = busy_cores(), slurm_jobs()
    when, start = datetime.datetime.now(datetime.UTC), time.time()
    done = subprocess.run(WAYS[way], cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.time() - start
    made = [(folder / cell).stat().st_mtime for cell in CELLS if (folder / cell).exists()]
    if done.returncode or len(made) < len(CELLS):
        raise RuntimeError(f"{way}: {len(made)} results\n{(done.stdout + done.stderr)[-4000:]}")
    return {
        "way": way,
        "cells": len(CELLS),
        "seconds": f"{seconds:.1f}",
        "last_result_seconds": f"{max(made) - start:.1f}",
        "slurm_jobs": len(slurm_jobs() - before),
        "cores": CORES,
        "others_cores": f"{others:.1f}",
        "when": f"{when:%Y-%m-%d %H:%M}",
        "machine": in_own_process("ceiling")["device"].partition(",")[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ways", nargs="*", metavar="way", help=f"any of {', '.join(WAYS)}")
    ways = parser.parse_args().ways or list(WAYS)
    output = Path(__file__).with_suffix(".csv")
    rows = {}
    if output.exists():
        with output.open() as file:
            rows = {row["way"]: row for row in csv.DictReader(file)}
    subprocess.run([CLUSTER, "start"], check=True)
    try:
        limit = ["partitionname=all", f"MaxCPUsPerNode={CORES}"]
        subprocess.run(["scontrol", "update", *limit], check=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            copy_project(folder)
            (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
            subprocess.run(WAYS["local"], cwd=folder, check=True, capture_output=True)
            for way in ways:
                rows[way] = measure(way, folder)
                print(rows[way], flush=True)
                with output.open("w", newline="") as file:
                    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows[name] for name in WAYS if name in rows)
    finally:
        subprocess.run([CLUSTER, "stop"], check=True)


if __name__ == "__main__":
    main()
