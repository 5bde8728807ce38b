"""Compare the default run's wall time with its jobs' own work and with a plain PyTorch loop.

    python benchmarks/workflow.py     # on all cores; writes benchmarks/workflow.csv

The plain loop trains one model after another, with PyTorch on all cores. Its time is extrapolated
from a few hundred steps per variant; every other figure is measured in full.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from benchmark import ROOT, flops, in_own_process, settings_of

PARTS = ["Snakefile", "config.yaml", "profiles", "workflow", "scripts", "envs"]
# weight_analysis repeats the adaptive model.
VARIANTS = {name: name for name in ("baseline", "fixed", "adaptive", "improved")}
VARIANTS["weight_analysis"] = "adaptive"
DATASETS = 4


def copy_project(folder):
    """Copy what a run needs, without results."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, symlinks=True)
        else:
            shutil.copy2(source, folder / part)


def run_workflow(cores, folder):
    """Wall time in seconds of the default run in a fresh copy of the project, on the CPU."""
    copy_project(folder)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--config", "device=cpu"], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - start


def seconds_of_jobs(folder):
    """Wall time of all jobs by rule, start-up included, from Snakemake's benchmark files."""
    totals = {}
    for file in (folder / "results/benchmarks").rglob("*.tsv"):
        with file.open() as text:
            row = next(csv.DictReader(text, delimiter="\t"))
        rule = file.relative_to(folder / "results/benchmarks").parts[0]
        totals[rule] = totals.get(rule, 0.0) + float(row["s"])
    return totals


def seconds_recorded(folder):
    """Seconds of the optimiser steps and of sampling alone, summed over metrics.csv."""
    with (folder / "results/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        key: sum(float(row[key]) for row in rows) for key in ("train_seconds", "sample_seconds")
    }


def plain_seconds(cores, rounds):
    """Extrapolated seconds of training and sampling all models by the plain loop, on all cores."""
    total = 0.0
    for variant in VARIANTS.values():
        seen = [in_own_process("plain", variant, str(cores)) for _ in range(rounds)]
        step = statistics.median(record["ms"] for record in seen) / 1000
        sampling = statistics.median(record["sampling"] for record in seen)
        total += DATASETS * (settings_of(variant).training.steps * step + sampling)
    return total


def ceiling_seconds(cores):
    """Seconds of all matrix products of training and sampling at this machine's product rate."""
    rate = in_own_process("ceiling")["rate"] * 1e9 * cores
    steps = {v: settings_of(v).training.steps for v in VARIANTS.values()}
    work = {v: steps[v] * flops(v)[0] + flops(v)[1] for v in VARIANTS.values()}
    return DATASETS * sum(work[v] for v in VARIANTS.values()) / rate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of the plain loop")
    cores = len(os.sched_getaffinity(0))
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wall = run_workflow(cores, folder)
        jobs, recorded = seconds_of_jobs(folder), seconds_recorded(folder)
    plain = plain_seconds(cores, rounds)
    work = sum(recorded.values()) + jobs["evaluate_kl"]
    rows = [
        ("cores", cores),
        ("workflow_wall_seconds", wall),
        ("jobs_work_over_cores_seconds", work / cores),
        *((f"sum_of_{key}", value) for key, value in recorded.items()),
        *((f"sum_of_{rule}_jobs_seconds", seconds) for rule, seconds in sorted(jobs.items())),
        ("outside_the_jobs_seconds", wall - sum(jobs.values()) / cores),
        ("plain_loop_seconds_projected", plain),
        ("ratio", plain / wall),
        ("ceiling_seconds", ceiling_seconds(cores)),
        ("device", in_own_process("ceiling")["device"].partition(",")[0]),
    ]
    rows = [(key, round(v, 2) if isinstance(v, float) else v) for key, v in rows]
    with (ROOT / "benchmarks/workflow.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("quantity", "value"))
        writer.writerows(rows)
    print(tabulate(rows, ("quantity", "value"), "pipe"))


if __name__ == "__main__":
    main()
