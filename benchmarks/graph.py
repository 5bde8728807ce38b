"""Measure the workflow's overhead for 20 variants x 20 datasets x 64 seeds: benchmarks/graph.csv.

Dry runs of the full graph and of an empty workflow of as many jobs, in turns, the medians. Then,
with links to one run's files in place of all 25,600 runs, the steps from there to the table and the
report, and what a job on another machine does before its work.
"""

import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import yaml

HOME = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HOME / "scripts"), str(HOME / "workflow")]

from dualscale.runtime.files import checksum_path
from dualscale.runtime.records import DIGEST, read_record, run_of, write_record
from planning import plan

VARIANTS, DATASETS, SEEDS = 20, 20, 64
ROUNDS = 3
DRY = ["--dry-run", "--quiet", "all"]
REMOTE = ["--mode", "remote", "--allowed-rules", "train", "--force", "--nolock", "--dry-run"]
REMOTE += ["--target-jobs", "train:variant=v0,dataset=d0,seed=0"]
PLANNED = f"""
import json
include: "{HOME}/Snakefile"
if workflow.is_main_process:
    digests = planned(COLLECTED, VARIANTS, DATASETS)
    Path("planned.json").write_text(json.dumps([os.environ["{plan.VARIABLE}"], digests]))
"""
FIRST = "results/divergences/v0/d0/0.json"
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


def grid(seeds_per_job=1, seeds=SEEDS):
    """Configuration of the grid, with short trainings in case any should run."""
    variants = {f"v{i}": {"label": f"Variant {i}", "like": "baseline"} for i in range(VARIANTS)}
    circle = {"distribution": "circle", "points": 1000}
    datasets = {f"d{i}": circle | {"seed": i} for i in range(DATASETS)}
    run = {"variants": list(variants), "datasets": list(datasets), "seeds": list(range(seeds))}
    run["seeds_per_job"] = seeds_per_job
    grid = {"variants": variants, "datasets": datasets, "run": run}
    return grid | {"training": {"steps": 10}, "device": "cpu"}


def snakemake(folder, *arguments, snakefile=HOME / "Snakefile", **given):
    """Run Snakemake to its end; return the seconds and its own peak memory in MiB."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(snakefile),
        "--cores",
        "2",
        *arguments,
    ]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=os.environ | given, **pipes)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(errors.decode()[-2000:])
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def planned(folder, config):
    """Plan that a run hands to its jobs, and digests of the settings of each kind of record."""
    (folder / "planned.smk").write_text(PLANNED)
    shutil.copy(HOME / "config.yaml", folder)
    dry = ["--dry-run", "--configfile", config, "--", FIRST]
    snakemake(folder, *dry, snakefile=folder / "planned.smk")
    return json.loads((folder / "planned.json").read_text())


def start_of_a_remote_job(folder, config):
    """Measure a training job on another machine, which reads the workflow, but for its work."""
    handed_on, _ = planned(folder, config)
    return snakemake(folder, *REMOTE, **{plan.VARIABLE: handed_on})


def link_runs(results, digests):
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
                digest = digests[str(file.parent.relative_to(results))]
                write_record(file, record | run_of(file) | {DIGEST: digest})
            else:
                os.link(first, file)
                os.link(checksum_path(first), checksum_path(file))


def measure(folder):
    """Yield name, jobs, seconds and MiB of each measurement in turn."""
    runs = VARIANTS * DATASETS * SEEDS
    (folder / "empty.smk").write_text(EMPTY)
    configurations = {"grid": grid(), "stacked": grid(seeds_per_job=8), "one": grid(seeds=1)}
    for name, config in configurations.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    stacked, every = ["--configfile", "stacked.yaml"], ["--configfile", "grid.yaml"]
    empty, full = [], []
    for _ in range(ROUNDS):
        empty.append(snakemake(folder, *DRY, snakefile=folder / "empty.smk"))
        full.append(snakemake(folder, *DRY, *every))
    yield (
        "dry run of an empty workflow",
        3 * runs,
        *map(statistics.median, zip(*empty, strict=True)),
    )
    yield "dry run", 3 * runs, *map(statistics.median, zip(*full, strict=True))
    yield "dry run, 8 seeds a job", runs + 2 * runs // 8, *snakemake(folder, *DRY, *stacked)
    shutil.rmtree(folder / ".snakemake")
    neighbours = [f"results/neighbours/d{i}/5.npz" for i in range(DATASETS)]
    snakemake(folder, *every, "--", *neighbours)
    snakemake(folder, *every, "--", FIRST)
    _, digests = planned(folder, "grid.yaml")
    link_runs(folder / "results", digests)
    every += ["--rerun-triggers", "mtime", "--"]
    yield "collect metrics", 1, *snakemake(folder, *every, "results/metrics.csv")
    yield "nothing to do", 0, *snakemake(folder, *every, "results/metrics.csv")
    tables = [f"results/paper/table1.{kind}" for kind in ("csv", "html")]
    yield "make Table 1", 1, *snakemake(folder, *every, *tables)
    yield "report", 0, *snakemake(folder, "--report", "report.html", *every, *tables)
    for what, config in (("", "grid.yaml"), (f", {SEEDS} times fewer runs", "one.yaml")):
        yield f"start of a remote job{what}", 1, *start_of_a_remote_job(folder, config)


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
