# Messages to the user: time left; after a run, the results and where they are, or the errors.
import csv
import time

from snakemake.logging import logger
from snakemake.settings.enums import Quietness

from dualscale.runtime import slurm
from dualscale.training.settings import EMA
from execution.at_work import worker_on
from execution.provenance import kept_digest, made_otherwise
from planning.at_start import AtStart
from planning.failures import Interruption, Retries, failures
from planning.time_left import TimeLeft

START = time.time()


def require_known_settings():
    """Refuse results that were made with other settings than planned and will not be made again.

    Snakemake only compares what it recorded of its own jobs in this folder. Results that were
    copied here, or whose run was killed, have no such record.
    """
    expected = {}
    for variant in VARIANTS:
        table = Path(workflow.modifier.modify_path(f"results/runs/{variant}.csv"))
        if table.is_file():
            found = made_otherwise(table, planned(COLLECTED, [variant], DATASETS))
            expected |= {f"{table.parents[1]}/{record}": digest for record, digest in found}
    if not expected:
        return
    kept = set(workflow.dag.jobs).difference(workflow.dag.needrun_jobs())
    rules = {
        str(file): job.rule.name
        for job in kept
        for file in job.output
        if file in expected and kept_digest(Path(file)) != expected[file]
    }
    if rules:
        first, *others = sorted(rules)
        remade = [first, *others] if len(others) < 3 else sorted(set(rules.values()))
        sys.exit(
            f"{first}{f' and {len(others)} others' if others else ''}: made with other settings "
            "than are planned, and Snakemake has no note of it; to make them again, add "
            f"--forcerun {' '.join(remade)}"
        )


def require_no_live_jobs():
    """Refuse to start while jobs of an earlier run, whose Snakemake was killed, work on the same.

    Snakemake has marked what they make as incomplete, also where they still wait in Slurm's queue.
    """
    if workflow.dryrun or workflow.touch:
        return
    notes = workflow.persistence
    jobs = {notes._get_key(job.output[0]): job for job in workflow.dag.needrun_jobs() if job.output}
    found = {}
    for key in notes._filter_incomplete_keys(jobs):
        output = str(jobs[key].output[0])
        for number in filter(slurm.has_job, notes.external_jobids(jobs[key])):
            found[slurm.label(number)] = output, slurm.cancel_command(number)
        worker = worker_on(Path(output))
        if worker and worker.alive():
            found[str(worker)] = output, worker.cancel
    if found:
        slurm.keep_log_folders(getattr(workflow.executor_settings, "logdir", None))
        listed = ", ".join(f"{job} on {output}" for job, (output, _) in found.items())
        cancel = "; ".join(command for _, command in found.values())
        sys.exit(
            f"Jobs of an earlier run are still at work: {listed}. Wait until they have ended, or "
            f"end them ({cancel}), and run again: what they have finished is kept"
        )


def look():
    require_no_live_jobs()
    require_known_settings()


logger.addHandler(AtStart(look))
logger.addHandler(Retries(lambda: workflow.scheduler.running))
INTERRUPTION = Interruption()
logger.addHandler(INTERRUPTION)
if {Quietness.PROGRESS, Quietness.ALL}.isdisjoint(workflow.output_settings.quiet or ()):
    logger.addHandler(TimeLeft())


def made(path):
    """Whether this run wrote the file."""
    return Path(path).exists() and Path(path).stat().st_mtime >= START


def headline():
    """One line per dataset: the first variant's KL and the lowest."""
    with open("results/paper/table1.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for dataset in DATASETS:
        cells = {row["variant"]: row for row in rows if row["dataset"] == dataset}
        first, best = cells[VARIANTS[0]], min(
            cells.values(), key=lambda row: float(row["kl_bits_mean"])
        )
        seeds, floor = int(first["seeds"]), first["kl_floor_bits"]
        yield (
            f"  {dataset}: KL {float(first['kl_bits_mean']):.3f} bits, {LABELS[first['variant']]}; "
            f"lowest {float(best['kl_bits_mean']):.3f}, {LABELS[best['variant']]}"
            f"{f'; floor {float(floor):.3f}' if floor else ''}"
            f" ({seeds} seed{'s' if seeds > 1 else ''})"
        )


def from_here(path):
    """Return a path from the folder in which Snakemake was started, which --directory left."""
    return os.path.relpath(path, workflow.rundir)


def say(lines):
    print(*lines, sep="\n", file=sys.stderr)


def where_it_computes():
    """Line on the devices of the planned training and sampling jobs; empty without such jobs."""
    jobs = [job for job in workflow.dag.needrun_jobs() if "gpu" in job.rule.resources]
    on_gpus = sum(job.resources.gpu > 0 for job in jobs)
    if not jobs:
        return ""
    if on_gpus == len(jobs):
        return "Training and sampling: on GPUs, one per job"
    if on_gpus:
        return f"Training and sampling: {on_gpus} jobs on GPUs, {len(jobs) - on_gpus} on CPUs"
    if CONFIG["device"] == "cpu":
        reason = "as `device: cpu` says"
    elif workflow.local_exec:
        reason = "since there is no GPU that PyTorch can use"
    else:
        reason = "since no GPU is requested under `set-resources`"
    return f"Training and sampling: on CPUs, {reason}"


def where_images_are():
    """Line on datasets of images; empty without any."""
    found = ", ".join(IMAGES)
    return found and f"{found}: images, judged in results/images/, not by the KL"


def initial_weights():
    """Lines on planned trainings that end before their average has left the initial weights."""
    short = {}
    for job in workflow.dag.needrun_jobs():
        if hasattr(job.output, "models"):
            training = CONFIG["variants"][job.wildcards.variant]["training"]
            steps, ema = training["steps"], EMA.model_validate(training["ema"])
            if ema.initial_share(steps) > 0.05:
                short.setdefault((steps, ema), set()).add(job.wildcards.variant)
    for (steps, ema), variants in short.items():
        yield (
            f"{', '.join(sorted(variants))}: after {steps} steps the EMA, which is sampled, still "
            f"holds {ema.initial_share(steps):.0%} of the initial weights; with training: "
            f"{{ema: {{decay: {ema.decay_for(steps)}}}}} it is 1%"
        )


onstart:
    say(filter(None, [where_it_computes(), where_images_are(), *initial_weights()]))


onsuccess:
    found = {
        path: page.title
        for page in PAGES.values()
        for path in expand(page.shown("md", "png"), dataset=READ if page.of_a_table else "")
    }
    found = {path: title for path, title in found.items() if made(path)}
    if "results/paper/table1.md" in found:
        say(["", *headline()])
    if found:
        say(["", *(f"  {from_here(path):<34} {title}" for path, title in found.items()), ""])


onerror:
    for log, message in failures(sorted(Path("results/logs").rglob("*.log")), START):
        if not (INTERRUPTION.seen and "SIGINT" in message):
            say(["", f"  {from_here(log)}: {message}"])
    if INTERRUPTION.seen:
        say(
            [
                "",
                "Interrupted. The same command goes on, trainings from their last checkpoints.",
            ]
        )
