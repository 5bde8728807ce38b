"""A change reruns exactly what depends on it, as the README promises; shown by dry runs."""

import os
import shutil
import subprocess
import time

import numpy as np
import pandas as pd
import yaml
from conftest import PARTS, ROOT, TINY, Project, copy_project

import draw
from dualscale.runtime.files import checksum_path

VARIANTS, DATASETS = TINY["run"]["variants"], TINY["run"]["datasets"]
TABLE, FIGURE1, FIGURE2 = "Make Table 1", "Plot Figure 1", "Plot Figure 2"


def jobs(*verbs, variants=VARIANTS, datasets=DATASETS, seeds=(0,)):
    return {
        f"{verb} {variant} on {dataset}, seed {seed}"
        for verb in verbs
        for variant in variants
        for dataset in datasets
        for seed in seeds
    }


def collecting(variants=VARIANTS):
    tables = {f"Collect the runs of {variant}" for variant in variants}
    return tables | {"Collect the metrics of all runs"}


def neighbours(k=5, datasets=DATASETS):
    return {f"Find the neighbours of the real points of {name}, k = {k}" for name in datasets}


ALL_OF_A_RUN = ("Train", "Sample", "Estimate KL of")
PAGES = {TABLE, FIGURE1, FIGURE2}
PAPER = collecting() | PAGES


def test_nothing_changed_runs_nothing(project):
    assert project.waiting() == set()


def test_new_dates_on_every_file_run_nothing(project):
    now = time.time()
    for number, file in enumerate(sorted(project.path.rglob("*"))):
        if file.is_file() and ".snakemake" not in file.parts:
            os.utime(file, (now + number, now + number))
    assert project.waiting() == set()


def test_one_date_on_every_file_runs_nothing(project):
    for file in project.path.rglob("*"):
        if file.is_file() and ".snakemake" not in file.parts:
            os.utime(file, (2e9, 2e9))
    assert project.waiting() == set()


def test_learning_rate_of_a_variant_trains_that_variant(project):
    project.configure(variants={"adaptive": {"training": {"learning_rate": 1.0e-3}}})
    runs = jobs(*ALL_OF_A_RUN, variants=["adaptive"])
    assert project.waiting() == runs | collecting(["adaptive"]) | PAGES


def test_swapping_two_settings_is_noticed(project):
    steps, batch_size = TINY["training"]["steps"], TINY["training"]["batch_size"]
    project.configure(training={"steps": batch_size, "batch_size": steps})
    assert project.waiting() == jobs(*ALL_OF_A_RUN) | PAPER


def test_a_seed_more_runs_that_seed(project):
    project.configure(run={"seeds": [0, 7]})
    assert project.waiting() == jobs(*ALL_OF_A_RUN, seeds=[7]) | collecting() | {TABLE, FIGURE2}


def test_seeds_that_train_together_leave_those_that_have_trained_alone(project):
    project.configure(run={"seeds": [0, 7, 8, 9], "seeds_per_job": 2})
    together = {
        f"{verb} {variant} on {dataset}, seeds 7, 8"
        for verb in ("Train", "Sample")
        for variant in VARIANTS
        for dataset in DATASETS
    }
    rest = jobs("Estimate KL of", seeds=[7, 8]) | jobs(*ALL_OF_A_RUN, seeds=[9])
    assert project.waiting() == together | rest | collecting() | {TABLE, FIGURE2}
    project.run()
    assert project.waiting() == set()
    metrics = pd.read_csv(project.path / "results/metrics.csv")
    assert metrics["models_trained_together"].tolist() == [1, 2, 2, 1] * 4
    project.configure(run={"seeds": [0, 7, 8, 9, 10], "seeds_per_job": 2})
    waiting = project.waiting() - collecting() - {TABLE, FIGURE2}
    assert waiting == jobs(*ALL_OF_A_RUN, seeds=[10]) and waiting
    project.configure(run={"seeds": [0, 7, 8, 9], "seeds_per_job": 1})
    assert project.waiting() == set()


def test_a_dataset_more_runs_that_dataset(project):
    project.configure(run={"datasets": [*DATASETS, "moons"]})
    data = {"Draw dataset moons"} | neighbours(datasets=["moons"])
    assert project.waiting() == data | jobs(*ALL_OF_A_RUN, datasets=["moons"]) | PAPER


def test_a_variant_more_runs_that_variant(project):
    project.configure(
        run={"variants": [*VARIANTS, "mine"]},
        variants={"mine": {"like": "adaptive", "training": {"batch_size": 16}}},
    )
    runs = jobs(*ALL_OF_A_RUN, variants=["mine"])
    assert project.waiting() == runs | collecting(["mine"]) | PAGES


def test_another_k_neither_trains_nor_samples(project):
    project.configure(kl={"k": 3})
    assert project.waiting() == neighbours(3) | jobs("Estimate KL of") | collecting() | {TABLE}


def test_fewer_real_points_for_the_kl_neither_train_nor_sample(project):
    project.configure(kl={"real_points": 200})
    assert project.waiting() == neighbours() | jobs("Estimate KL of") | collecting() | {TABLE}


def test_more_points_to_sample_do_not_train(project):
    project.configure(sampling={"points": 150})
    assert project.waiting() == jobs("Sample", "Estimate KL of") | PAPER


def test_another_sampler_does_not_train_and_its_points_can_be_drawn(project):
    """The latest sampling record, if of this very model, overrides the settings in its file."""
    project.configure(variants={"adaptive": {"sampling": {"sampler": {"kind": "ddim"}}}})
    runs = jobs("Sample", "Estimate KL of", variants=["adaptive"])
    assert project.waiting() == runs | collecting(["adaptive"]) | PAGES
    run = "adaptive/line/0"
    project.run(f"results/sampling/{run}.json")
    model = project.path / f"results/models/{run}.safetensors"
    lone, other = project.path / "lone.safetensors", project.path / "other.npy"
    shutil.copy(model, lone)

    def drawn(path, *flags):
        draw.main(draw.parse([str(path), str(other), "--points", "20", *flags]))
        return np.load(other)

    assert np.array_equal(drawn(model), drawn(lone, "--sampler", "ddim"))
    assert not np.array_equal(drawn(model), drawn(lone))
    assert np.array_equal(drawn(lone), drawn(lone, "--sampler", "ancestral"))
    shutil.copy(project.path / "results/models/baseline/line/0.safetensors", model)
    checksum_path(model).unlink()
    assert np.array_equal(drawn(model), drawn(model, "--sampler", "ancestral"))


def test_another_label_redraws_only_what_shows_it(project):
    project.configure(variants={"baseline": {"label": "One scale"}})
    assert project.waiting() == {TABLE, FIGURE1}


def edit(project, name):
    with (project.path / "scripts" / name).open("a") as file:
        file.write("\nEDITED = True\n")


def test_remarks_in_the_code_run_nothing(project):
    for file in (project.path / "scripts").rglob("*.py"):
        file.write_text(f"# A remark.\n\n{file.read_text()}")
    assert project.waiting() == set()


def test_a_figures_script_redraws_that_figure(project):
    edit(project, "plot_samples.py")
    assert project.waiting() == {FIGURE1}


def test_the_figures_module_redraws_the_figures(project):
    edit(project, "dualscale/reporting/figures.py")
    assert project.waiting() == {FIGURE1, FIGURE2}


def test_the_training_module_trains_again(project):
    edit(project, "dualscale/training/trainer.py")
    assert project.waiting() == jobs(*ALL_OF_A_RUN) | PAPER


def test_the_module_of_the_kl_neither_trains_nor_samples(project):
    edit(project, "dualscale/metrics/kl.py")
    assert project.waiting() == neighbours() | jobs("Estimate KL of") | collecting() | {TABLE}


def test_other_published_figures_make_the_table_again(project):
    with (project.path / "workflow/published/table1.csv").open("a") as file:
        file.write("mine,dino,1.0,2.0,3.0\n")
    assert project.waiting() == {TABLE}


def test_the_order_of_the_configs_keys_runs_nothing(project):
    def reverse(value):
        if not isinstance(value, dict):
            return value
        return {key: reverse(value[key]) for key in reversed(value)}

    file = project.path / "config.yaml"
    reordered = reverse(yaml.safe_load(file.read_text()))
    file.write_text(yaml.safe_dump(reordered, sort_keys=False))
    assert project.waiting() == set()


def test_another_device_or_number_of_cores_runs_nothing(project):
    project.configure(device="cuda")
    assert project.waiting("--cores", "1") == set()


def test_a_setting_for_all_variants_trains_all_again(project):
    project.configure(network={"width": 9})
    assert project.waiting() == jobs(*ALL_OF_A_RUN) | PAPER


def test_a_clone_elsewhere_with_the_results_copied_runs_nothing(project, tmp_path):
    def git(*arguments, cwd):
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)

    git("init", cwd=project.path)
    git("add", "--", *PARTS, cwd=project.path)
    git("commit", "-m", "all", cwd=project.path)
    time.sleep(1.1)
    clone = tmp_path / "elsewhere" / "clone"
    git("clone", str(project.path), str(clone), cwd=tmp_path)
    shutil.copytree(project.path / "results", clone / "results")
    assert Project(clone).waiting() == set(), "without Snakemake's own records"
    shutil.copytree(
        project.path / ".snakemake", clone / ".snakemake", symlinks=True, dirs_exist_ok=True
    )
    assert Project(clone).waiting() == set(), "with Snakemake's own records"


LARGE = """
rule count:
    input: "large.npy"
    output: "count.txt"
    message: "Count"
    shell: "wc -c < {input} > {output}"
"""


def test_a_large_file_runs_again_what_reads_it_if_edited_and_nothing_if_touched(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    (project.path / "Snakefile").write_text(LARGE)
    with (project.path / "large.npy").open("wb") as file:
        file.truncate(1_100_000_000)  # takes no room
    project.run()
    later = time.time() + 10
    os.utime(project.path / "large.npy", (later, later))
    assert project.waiting() == set()
    with (project.path / "large.npy").open("rb+") as file:
        file.write(b"1")
    os.utime(project.path / "large.npy", (later, later))
    assert project.waiting() == {"Count"}


def test_profiles_agree_on_what_makes_a_job_run_again():
    files = sorted((ROOT / "workflow/profiles").glob("*/config.yaml"))
    default, *others = (yaml.safe_load(file.read_text()) for file in files)
    assert len(others) >= 1
    for key in ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete"):
        assert all(profile[key] == default[key] for profile in others)
