rule evaluate_kl:
    input:
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
        generated=f"results/samples/{RUN}.npy",
    output:
        record=f"results/divergences/{RUN}.json",
    log:
        f"results/logs/evaluate_kl/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_kl/{RUN}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        digest=own_digest("divergences"),
        code=code_digest("evaluate_kl"),
    message:
        "Estimate KL of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_kl")


# Independent of run.seeds, which may be few: the floor varies between draws and is cheap.
rule evaluate_floor:
    input:
        unpack(training_points),
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
    output:
        floors="results/floors/{dataset}.csv",
    log:
        "results/logs/evaluate_floor/{dataset}.log",
    benchmark:
        "results/benchmarks/evaluate_floor/{dataset}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: {
            **distribution_settings(wildcards),
            "floors": CONFIG["study"]["floors"],
            "points": CONFIG["sampling"]["points"],
        },
        code=code_digest("evaluate_floor"),
    message:
        "Estimate the floor of {wildcards.dataset}"
    script:
        script_path("evaluate_floor")


# In two rules, since Snakemake compares every input of a job with every job it depends on.
rule collect_runs:
    input:
        records=every(f"results/{{kind}}/{RUN}.json", kind=COLLECTED, dataset=DATASETS, seed=SEEDS),
    output:
        tables="results/runs/{variant}.csv",
    log:
        "results/logs/collect_runs/{variant}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        columns=[*RUN_COLUMNS, *(f"{kind}{SUFFIX}" for kind in COLLECTED)],
        planned=lambda wildcards: planned(COLLECTED, [wildcards.variant], DATASETS),
        code=code_digest("collect_records"),
    message:
        "Collect the runs of {wildcards.variant}"
    script:
        script_path("collect_records")


rule collect_metrics:
    input:
        records=expand("results/runs/{variant}.csv", variant=VARIANTS),
    output:
        tables=page("metrics"),
    log:
        "results/logs/collect_metrics.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        names=["variant"],
        code=code_digest("collect_records"),
    message:
        "Collect the metrics of all runs"
    script:
        script_path("collect_records")


rule collect_floors:
    input:
        records=expand("results/floors/{dataset}.csv", dataset=DATASETS),
    output:
        tables="results/floors.csv",
    log:
        "results/logs/collect_floors.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        names=["dataset"],
        code=code_digest("collect_records"),
    message:
        "Collect the floors"
    script:
        script_path("collect_records")
