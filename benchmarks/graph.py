"""Measure the workflow's overhead for 20 variants x 20 datasets x 64 seeds: benchmarks/graph.csv.

Dry runs of the full graph, compared with an empty workflow of as many jobs. Then, with links to one
run's files in place of all 25,600 runs, the steps from there to the table and the report.
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import yaml

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME / "scripts"))

from dualscale.runtime.files import checksum_path
from dualscale.runtime.records import read_record, run_of, write_record

VARIANTS, DATASETS, SEEDS = 20, 20, 64
DRY = ["--dry-run", "--quiet", "all"]
OF_RUNS = ["models/{}.safetensors", "training/{}.json", "samples/{}.npy", "weights/{}.csv"]
OF_RUNS += ["sampling/{}.json", "divergences/{}.json"]
EMPTY = f"""
runs = expand("{{v}}/{{d}}/{{s}}", v=range({VARIANTS}), d=range({DATASETS}), s=range({SEEDS}))
rule all:
    input: expand("divergences/{{run}}", run=runs)
rule train:
    output: "models/{{v}}/{{d}}/{{s}}"
    shell: "touch {{output}}"
rule sample:
    input: "models/{{run}}"
    output: "samples/{{run}}"
    shell: "touch {{output}}"
rule evaluate:
    input: "samples/{{run}}"
    output: "divergences/{{run}}"
    shell: "touch {{output}}"
"""


def grid(seeds_per_job=1):
    """Configuration of the grid, with short trainings in case any should run."""
    variants = {f"v{i}": {"label": f"Variant {i}", "like": "baseline"} for i in range(VARIANTS)}
    circle = {"distribution": "circle", "points": 1000}
    datasets = {f"d{i}": circle | {"seed": i} for i in range(DATASETS)}
    run = {"variants": list(variants), "datasets": list(datasets), "seeds": list(range(SEEDS))}
    run["seeds_per_job"] = seeds_per_job
    grid = {"variants": variants, "datasets": datasets, "run": run}
    return grid | {"training": {"steps": 10}, "device": "cpu"}


def snakemake(folder, *arguments, snakefile=HOME / "Snakefile"):
    """Run Snakemake to its end; return the seconds and its own peak memory in MiB."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2"]
    process = subprocess.Popen(
        [*command, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    start = time.perf_counter()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(errors.decode()[-2000:])
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def link_runs(results):
    """Give every run the first run's files as hard links, and records of its own."""
    for pattern in OF_RUNS:
        first = results / pattern.format("v0/d0/0")
        record = read_record(first) if first.suffix == ".json" else None
        for v, d, seed in product(range(VARIANTS), range(DATASETS), range(SEEDS)):
            file = results / pattern.format(f"v{v}/d{d}/{seed}")
            file.parent.mkdir(parents=True, exist_ok=True)
            if file == first:
                continue
            if record is not None:
                write_record(file, record | run_of(file))
            else:
                os.link(first, file)
                os.link(checksum_path(first), checksum_path(file))


def measure(folder):
    """Yield name, jobs, seconds and MiB of each measurement in turn."""
    runs = VARIANTS * DATASETS * SEEDS
    (folder / "empty.smk").write_text(EMPTY)
    for name, config in (("grid", grid()), ("stacked", grid(seeds_per_job=8))):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    stacked, every = ["--configfile", "stacked.yaml"], ["--configfile", "grid.yaml"]
    empty = snakemake(folder, *DRY, snakefile=folder / "empty.smk")
    yield "dry run of an empty workflow", 3 * runs, *empty
    yield "dry run", 3 * runs, *snakemake(folder, *DRY, *every)
    yield "dry run, 8 seeds a job", runs + 2 * runs // 8, *snakemake(folder, *DRY, *stacked)
    shutil.rmtree(folder / ".snakemake")
    drawn = [f"results/datasets/d{i}.npy" for i in range(DATASETS)]
    snakemake(folder, *every, "--", *drawn)
    snakemake(folder, *every, "--", "results/divergences/v0/d0/0.json")
    link_runs(folder / "results")
    every += ["--rerun-triggers", "mtime", "--"]
    yield "collect metrics", 1, *snakemake(folder, *every, "results/metrics.csv")
    yield "nothing to do", 0, *snakemake(folder, *every, "results/metrics.csv")
    tables = [f"results/paper/table1.{kind}" for kind in ("csv", "html")]
    yield "make Table 1", 1, *snakemake(folder, *every, *tables)
    yield "report", 0, *snakemake(folder, "--report", "report.html", *every, *tables)


def main():
    output = Path(__file__).parent / "graph.csv"
    with tempfile.TemporaryDirectory() as folder, output.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "jobs", "seconds", "peak_mib"])
        for what, jobs, seconds, memory in measure(Path(folder)):
            writer.writerow([what, jobs, f"{seconds:.1f}", f"{memory:.0f}"])
            file.flush()


if __name__ == "__main__":
    main()
