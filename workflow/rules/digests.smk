# Digests of code and settings: when a job's outputs count as made from what is planned.
from functools import cache

from dualscale.runtime.digests import digest_code, digest_files, digest_settings


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


def candidate_measures_settings(wildcards):
    """Settings of the evaluation of a sweep's candidates beyond their KL."""
    return distribution_settings(wildcards) | {"metrics": ["off_support", "coverage"]}


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
            teacher = jobs.teacher_of(CONFIG, variant)
            taught = [settings_digest("models", teacher, dataset)] if teacher else []
            return digest_settings(dataset_settings(dataset), settings, suffix, *taught)
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
        case "candidate_measures":
            settings = candidate_measures_settings(cell)
            settings |= {"real_points": CONFIG["kl"]["real_points"]}
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


def planned_teachers(wildcards):
    teacher = jobs.teacher_of(CONFIG, wildcards.variant)
    return planned(["models"], [teacher] if teacher else [], [wildcards.dataset])
