import atexit
import gc
import os
import re
import sys
from collections import defaultdict
from functools import cache
from itertools import groupby, product
from pathlib import Path
from types import SimpleNamespace

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.resources import Resources
from snakemake.settings.types import DeploymentMethod

HOME = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[
    1
]  # also as a module
SCRIPTS = HOME / "scripts"
sys.path[:0] = [str(SCRIPTS), str(HOME / "workflow")]

from dualscale.config import jobs
from dualscale.config.check import check
from dualscale.config.overrides import merge
from dualscale.data.images import DIGITS
from dualscale.data.sources import distribution_of
from dualscale.errors import ConfigurationError
from dualscale.metrics.distances import METRICS
from dualscale.metrics.table import RUN_COLUMNS, study_columns
from dualscale.parts import REAL
from dualscale.runtime.digests import digest_code, digest_files, digest_settings
from dualscale.runtime.lease import built_for_gpus, installed_gpus, visible_gpus
from execution import orphans
from execution.provenance import SUFFIX
from planning import plan
from planning.earlier_runs import EarlierRuns
from planning.quick_planning import cache_pure_functions
from planning.tables_and_figures import PAGES
from planning.shared_folder import obstacle

if Path(workflow.main_snakefile) == HOME / "Snakefile":
    # The job graph lives until exit: collect garbage rarely, and do not free it at exit.
    gc.set_threshold(100_000, 50, 1000)
    atexit.register(gc.freeze)
    cache_pure_functions()


def module_name():
    """Dotted name of the workflow module and its hosts' modules; empty for the main workflow."""
    modifier, names = workflow.modifier, []
    while modifier is not None:
        names.append(modifier.namespace)
        modifier = modifier.parent_modifier
    return ".".join(filter(None, reversed(names)))


def layers():
    """Configuration and overrides, in order; a host workflow passes its merged configuration."""
    if workflow.modifier.skip_configfile:
        return [config]
    given = workflow.config_settings
    defaults = [] if given.replace_workflow_config else [HOME / "config.yaml"]
    return [*map(read_configuration, [*defaults, *given.configfiles]), given.config]


def read_configuration(path):
    try:
        return load_configfile(path)
    except UnicodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error}")
    except WorkflowError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}")


def checked_configuration():
    # User files are searched in the working directory, beside the configurations, and here.
    beside = (Path(file).absolute().parent for file in workflow.configfiles)
    folders = [Path.cwd(), *beside, HOME]
    in_store = workflow.storage_settings.default_storage_provider is not None
    return check(merge(layers()), folders, EARLIER.has if in_store else None)


in_the_way = obstacle(Path.cwd()) if workflow.is_main_process else None
if in_the_way:
    sys.exit(in_the_way)

# A remote job reads the workflow when it starts; it uses the planned configuration, since the
# files may have changed since.
try:
    PLANNED = None if workflow.is_main_process else plan.received(module_name())
    EARLIER = None if PLANNED else EarlierRuns(workflow.modifier.path_modifier.modify)
    CONFIG = PLANNED["config"] if PLANNED else checked_configuration()
except ConfigurationError as error:
    sys.exit(f"Configuration: {error}")
except plan.PlanError as error:
    sys.exit(f"Plan: {error}")

VARIANTS, SEEDS = CONFIG["run"]["variants"], CONFIG["run"]["seeds"]
KNOWN = [name for name, dataset in CONFIG["datasets"].items() if "distribution" in dataset]
OF_IMAGES = [name for name, dataset in CONFIG["datasets"].items() if "images" in dataset]
FILES = [name for name in CONFIG["datasets"] if name not in [*KNOWN, *OF_IMAGES]]
IMAGES = [name for name in CONFIG["run"]["datasets"] if name in OF_IMAGES]
DATASETS = [name for name in CONFIG["run"]["datasets"] if name not in OF_IMAGES]  # of points
READ = [name for name in DATASETS if name in FILES]
STUDIED = [name for name in DATASETS if name in KNOWN]
PLANAR = [name for name in STUDIED if distribution_of(CONFIG["datasets"][name]).coordinates() == 2]
ALL_NETWORKS = [name for name in CONFIG["variants"] if jobs.has_network(CONFIG, name)]
NETWORKS = [name for name in VARIANTS if name in ALL_NETWORKS]  # the others are classical
LEARNED = [  # with weights that are learned
    name
    for name in NETWORKS
    if CONFIG["variants"][name].get("weighting", {}).get("kind") == "learned"
]
COMPARED = [name for name in VARIANTS if jobs.has_optimum(CONFIG, name)]  # with it
PROCESS = {name: jobs.same_process(CONFIG, name) for name in COMPARED}
MEASURED = SEEDS[: CONFIG["study"]["seeds"]]  # with metrics other than the KL
MEASURES = METRICS.validate_python(CONFIG["study"]["metrics"])
RUN = "{variant}/{dataset}/{seed}"
LABELS = {name: CONFIG["variants"][name]["label"] for name in VARIANTS}
COLLECTED = ["training", "sampling", "divergences"]  # kinds of records in the tables of runs
SIDE_BY_SIDE = "all.variants"


wildcard_constraints:
    variant=r"[\w.-]+",
    dataset="|".join(CONFIG["datasets"]),
    seed=r"\d+",


def script_path(name):
    return str(SCRIPTS / f"{name}.py")


def shipped(path):
    """Path of a file in workflow/: relative, so equal in every clone, and always local."""
    return local(os.path.relpath(HOME / "workflow" / path))


def published(name):
    """Path of a file of published figures."""
    return shipped(f"published/{name}")


def page(stem):
    """Files of a page of results; one of them is in the report."""
    found = PAGES[stem]
    shown = found.shown("html", "svg")
    about = {"category": found.category, "caption": f"../report/{found.caption}.rst"}
    return [report(file, **about) if file == shown else file for file in found.files]


def pages(target):
    """Files of all pages of a target; none where the run has no dataset that it shows."""
    return [
        file
        for found in PAGES.values()
        if found.target == target
        and (IMAGES if target == "images" else DATASETS)
        and ((STUDIED and COMPARED) or not found.needs_density)
        for pattern in found.files
        for file in (expand(pattern, dataset=READ) if found.of_a_table else [pattern])
    ]


def real_points(wildcards):
    """Path of the real points for evaluation: the dataset, or the held-out points of a file."""
    folder = "held_out" if wildcards.dataset in FILES else "datasets"
    return f"results/{folder}/{wildcards.dataset}.npy"


def training_points(wildcards):
    """Training points of a file, which give its units and floor; none for a distribution."""
    files = wildcards.dataset in FILES
    return {"training": f"results/datasets/{wildcards.dataset}.npy"} if files else {}


def synthetic_tables():
    """Tables of generated rows, as in Figure 1, one per variant and dataset from a file."""
    for dataset in READ:
        extension = Path(CONFIG["datasets"][dataset]["file"]).suffix.lower()
        extension = ".csv" if extension == ".npy" else extension
        for variant in VARIANTS:
            yield f"results/synthetic/{variant}/{dataset}/{SEEDS[0]}{extension}"


def encoding(wildcards):
    """Encoding of a file's columns or of images; none for a distribution."""
    known = wildcards.dataset in KNOWN
    return {} if known else {"encoding": f"results/encodings/{wildcards.dataset}.json"}


def image_file(wildcards):
    """File of the images; none for those that a package ships."""
    source = CONFIG["datasets"][wildcards.dataset]["images"]
    return {} if source == DIGITS else {"source": source}


def neighbours(*ks):
    """Path of the real points' distances to their k-th neighbours, for every KL with these k."""
    return f"results/neighbours/{{dataset}}/{'_'.join(map(str, ks))}.npz"


def trained_together(variant, dataset):
    """Function from a seed to the seeds trained with it.

    It returns None if the seed is untrained, or has left the configuration and has no model.
    """

    @cache
    def trained(seed):
        model = f"results/models/{variant}/{dataset}/{seed}.safetensors"
        found = EARLIER.trained_with(f"{variant}/{dataset}/{seed}")
        return found if seed in SEEDS or (found and EARLIER.has(model)) else None

    return trained


def stacks():
    """Stacks of several seeds, each with a pattern of the (variant, dataset) cells that have it.

    Seeds that earlier runs trained together in a cell stay together.
    """
    cells = defaultdict(lambda: defaultdict(list))
    size = CONFIG["run"]["seeds_per_job"]
    for variant, dataset in product(ALL_NETWORKS, CONFIG["datasets"]):
        for batch in jobs.batches(SEEDS, size, trained_together(variant, dataset)):
            if len(batch) > 1:
                cells[batch][variant].append(dataset)
    return [(batch, pattern_of_cells(datasets)) for batch, datasets in cells.items()]


def pattern_of_cells(datasets):
    """Regular expression for the variants of a mapping, each only before one of its datasets."""
    variants = defaultdict(list)
    for variant, names in datasets.items():
        variants["|".join(names)].append(variant)
    return "|".join(f"(?:{'|'.join(v)})(?=/(?:{d})/)" for d, v in variants.items())


def every(pattern, **values):
    """Input function: paths of a pattern for every combination of values and the job's wildcards.

    Listed when a job needs them, since remote jobs parse all rules and need none of these lists.
    """
    return lambda wildcards: expand(pattern, **values, **wildcards)


def of_batch(pattern, batch):
    """Paths of a pattern for every seed of a batch; other wildcards are kept."""
    return [pattern.replace("{seed}", str(seed)) for seed in batch]


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


def code_digest(name, *files):
    """Digest of a script, of all project modules that it imports, and of files that it reads."""
    code = digest_code(SCRIPTS / f"{name}.py", SCRIPTS)
    return code + (digest_files(*files) if files else "")


def run_stream(wildcards):
    """Name of a run's random stream."""
    suffix = jobs.stream_suffix(CONFIG, wildcards.variant, wildcards.dataset)
    return f"{wildcards.seed}/{suffix}"


def architecture(wildcards):
    """Python file of a variant's user-defined class, or None."""
    return CONFIG["variants"][wildcards.variant].get("architecture", {}).get("file")


def network_code(name):
    """Params: digest of a script that runs networks, and of the variants' user-defined classes."""

    def of_variants(wildcards):
        cells = (SimpleNamespace(variant=variant) for variant in shown(wildcards))
        files = filter(None, map(architecture, cells))
        own = (digest_code(Path(file), SCRIPTS) for file in files)
        return "".join([code_digest(name), *own])

    return of_variants


def distribution_settings(wildcards):
    """Settings of the distribution that a dataset is drawn from."""
    dataset = CONFIG["datasets"][wildcards.dataset]
    return {"distribution": dataset["distribution"]} if "distribution" in dataset else {}


def reference_settings(wildcards):
    """Settings of a reference: distribution, number of points, and process if it has one."""
    variant = wildcards.variant.partition(".")[0]
    process = {"sampling": {"points": CONFIG["sampling"]["points"]}}
    if variant != REAL:
        process = jobs.process_settings(CONFIG, variant)
    return distribution_settings(wildcards) | process


def dataset_settings(dataset):
    """All settings that determine the points of a dataset."""
    if dataset in KNOWN:
        return CONFIG["datasets"][dataset]
    return jobs.import_settings(CONFIG, dataset)


def quality_settings(wildcards):
    """Settings of the evaluation of a table's generated rows."""
    target = CONFIG["datasets"][wildcards.dataset]["target"]
    return {"metrics": CONFIG["quality"]["metrics"], "target": target}


def distances_settings(wildcards):
    """Settings of a sample's evaluation beyond its KL."""
    return distribution_settings(wildcards) | {"metrics": CONFIG["study"]["metrics"]}


def likelihood_settings(wildcards):
    """Settings of a model's evaluation beyond the KL of its sample."""
    return {
        "draws": CONFIG["study"]["draws"],
        "kl": CONFIG["kl"],
        "sampling": jobs.sampling_settings(CONFIG, wildcards.variant),
    }


@cache
def settings_digest(folder, variant, dataset):
    """Digest of all settings that determine the files of a results folder, from the data on."""
    cell = SimpleNamespace(variant=variant, dataset=dataset)
    match folder:
        case "models" | "training":
            settings = jobs.training_settings(CONFIG, variant, dataset)
            if "architecture" in settings:  # where the file lies differs between copies
                settings["architecture"] = settings["architecture"] | {"file": None}
            suffix = jobs.stream_suffix(CONFIG, variant, dataset)
            return digest_settings(dataset_settings(dataset), settings, suffix)
        case "sampling" if variant not in CONFIG["variants"]:  # a reference
            return digest_settings(dataset_settings(dataset), reference_settings(cell))
        case "sampling":
            settings = jobs.sampling_settings(CONFIG, variant)
            made_from = "models"
        case "divergences":
            settings, made_from = CONFIG["kl"], "sampling"
        case "distances":
            settings = distances_settings(cell) | {"real_points": CONFIG["kl"]["real_points"]}
            made_from = "sampling"
        case "image_measures":
            settings, made_from = {}, "sampling"
        case "likelihoods":
            settings, made_from = likelihood_settings(cell), "models"
        case "qualities":
            settings, made_from = quality_settings(cell), "sampling"
    return digest_settings(settings_digest(made_from, variant, dataset), settings)


def own_digest(folder):
    """Params: the digest that a job stores in its files in a results folder."""
    return lambda wildcards: settings_digest(folder, wildcards.variant, wildcards.dataset)


def planned(folders, variants, datasets):
    """Params: the digest that a job's inputs must have, for every folder that they lie in."""
    return {
        f"{folder}/{variant}/{dataset}": settings_digest(folder, variant, dataset)
        for folder in folders
        for variant in variants
        for dataset in datasets
    }


def measured_records(exact):
    """Input function: records of every metric of fresh real points, references and variants.

    Args:
        exact: references sampled by the optimal denoiser.
    """
    kinds = ["divergences", "distances"]
    return lambda wildcards: [
        f"results/{kind}/{variant}/{dataset}/{seed}.json"
        for variant in [REAL, *exact, *VARIANTS]
        for kind in ([*kinds, "likelihoods"] if variant in NETWORKS else kinds)
        for dataset in (STUDIED if variant in exact else DATASETS)
        for seed in MEASURED
    ]


def planned_records(exact):
    """Params: the digests that the records of `measured_records` must have."""
    return {
        **planned(["divergences", "distances"], exact, STUDIED),
        **planned(["divergences", "distances"], [REAL, *VARIANTS], DATASETS),
        **planned(["likelihoods"], NETWORKS, DATASETS),
    }


def planned_model(wildcards):
    return planned(["models"], [wildcards.variant], [wildcards.dataset])


def shown(wildcards):
    """Variants in an animation."""
    return NETWORKS if wildcards.variant == SIDE_BY_SIDE else [wildcards.variant]


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
