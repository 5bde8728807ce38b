# Stacks of seeds that train together, the GPUs that jobs ask for, and the plan that jobs are handed.
from collections import defaultdict
from functools import cache, partial
from itertools import groupby, product

from snakemake.resources import Resources
from snakemake.settings.types import DeploymentMethod

from dualscale.runtime.lease import built_for_gpus, installed_gpus, visible_gpus
from execution import orphans


def trained_together(variant, dataset, seeds):
    """Function from a seed to the seeds trained with it.

    It returns None if the seed is untrained, or has left the configuration and has no model.
    """

    @cache
    def trained(seed):
        model = f"results/models/{variant}/{dataset}/{seed}.safetensors"
        found = EARLIER.trained_with(f"{variant}/{dataset}/{seed}")
        return found if seed in seeds or (found and EARLIER.has(model)) else None

    return trained


def stacks():
    """Stacks of several seeds, each with a pattern of the (variant, dataset) cells that have it.

    Seeds that earlier runs trained together in a cell stay together. Seeds of a sweep have stacks
    of their own.
    """
    cells = defaultdict(lambda: defaultdict(list))
    size = CONFIG["run"]["seeds_per_job"]
    swept = [variant for variants in CONFIG["candidates"].values() for variant in variants]
    for seeds, variants in [(SEEDS, ALL_NETWORKS), (CONFIG["sweep"]["seeds"], swept)]:
        for variant, dataset in product(variants, CONFIG["datasets"]):
            for batch in jobs.batches(seeds, size, trained_together(variant, dataset, seeds)):
                if len(batch) > 1:
                    cells[batch][variant].append(dataset)
    return [(batch, pattern_of_cells(datasets)) for batch, datasets in cells.items()]


def pattern_of_cells(datasets):
    """Regular expression for the variants of a mapping, each only before one of its datasets."""
    variants = defaultdict(list)
    for variant, names in datasets.items():
        variants["|".join(names)].append(variant)
    return "|".join(f"(?:{'|'.join(v)})(?=/(?:{d})/)" for d, v in variants.items())


def of_batch(pattern, batch):
    """Paths of a pattern for every seed of a batch; other wildcards are kept."""
    return [pattern.replace("{seed}", str(seed)) for seed in batch]


def teachers(batch, wildcards):
    """Input function: the models that those of a batch learn from; none unless they are distilled."""
    teacher = jobs.teacher_of(CONFIG, wildcards.variant)
    if teacher is None:
        return {}
    seeds = batch if batch != ANY_SEED else [wildcards.seed]
    return {
        "teachers": [
            f"results/models/{teacher}/{wildcards.dataset}/{seed}.safetensors" for seed in seeds
        ]
    }


def batch_rule(name, batch):
    """Name of a batch's rule, such as train_seeds_0_to_3_7, unique to the batch."""
    if batch == ANY_SEED:
        return name
    runs = [
        [seed for _, seed in run]
        for _, run in groupby(enumerate(batch), lambda numbered: numbered[1] - numbered[0])
    ]
    parts = (f"{run[0]}_to_{run[-1]}" if len(run) > 2 else "_".join(map(str, run)) for run in runs)
    return f"{name}_seeds_{'_'.join(parts)}"


def batch_label(batch):
    if batch == ANY_SEED:
        return "seed {wildcards.seed}"
    return f"seeds {', '.join(map(str, batch))}"


def gpus_a_job():
    """GPUs requested per training or sampling job, unless `--set-resources` overrides them.

    A resource and not a parameter, so that another machine does not retrain.
    """
    if CONFIG["device"] != "auto":
        return int(CONFIG["device"] == "cuda")
    if not installed_gpus() or not visible_gpus():
        return 0
    own_pytorch = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
    return int(own_pytorch or built_for_gpus())


def ask_as(name, rule):
    """Apply to a rule what `--set-resources` says of the rule that it is a copy of.

    With `device: cpu` in the configuration, GPU resources are dropped.
    """
    name, rule = map(workflow.modifier.modify_rulename, (name, rule))
    given = workflow.resource_settings._parsed_overwrite_resources
    asked = {**given.get(name, {}), **given.get(rule, {})}
    if CONFIG["device"] == "cpu":
        asked = {what: value for what, value in asked.items() if what not in GPU_RESOURCES}
    if asked or given.get(rule):
        given[rule] = Resources(asked)


GPU_RESOURCES = ("gpu", "gpu_model")
GPUS = PLANNED["gpus"] if PLANNED else gpus_a_job()
ANY_SEED = ("{seed}",)
if workflow.is_main_process:
    orphans.name_snakemake()
if PLANNED:
    STACKS = [(tuple(batch), pattern) for batch, pattern in PLANNED["stacks"]]
else:
    STACKS = stacks()
    try:
        plan.hand_on(module_name(), {"config": CONFIG, "stacks": STACKS, "gpus": GPUS})
    except plan.PlanError as error:
        sys.exit(f"Plan: {error}")
    if Path(workflow.main_snakefile) == HOME / "Snakefile":
        workflow.config_settings.configfiles = []  # jobs use the plan; the files may change


envvars:
    plan.VARIABLE,
