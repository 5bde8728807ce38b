import atexit
import gc
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError

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


def every(pattern, **values):
    """Input function: paths of a pattern for every combination of values and the job's wildcards.

    Listed when a job needs them, since remote jobs parse all rules and need none of these lists.
    """
    return lambda wildcards: expand(pattern, **values, **wildcards)


def shown(wildcards):
    """Variants in an animation."""
    return NETWORKS if wildcards.variant == SIDE_BY_SIDE else [wildcards.variant]
