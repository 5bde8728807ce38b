rule find_neighbours:
    input:
        unpack(training_points),
        real=real_points,
    output:
        neighbours("{k}"),
    log:
        "results/logs/find_neighbours/{dataset}/{k}.log",
    benchmark:
        "results/benchmarks/find_neighbours/{dataset}/{k}.tsv"
    wildcard_constraints:
        k=r"\d+",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    params:
        settings={"real_points": CONFIG["kl"]["real_points"]},
        code=code_digest("find_neighbours"),
    message:
        "Find the neighbours of the real points of {wildcards.dataset}, k = {wildcards.k}"
    script:
        script_path("find_neighbours")


rule evaluate_kl:
    input:
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
        generated=f"results/samples/{RUN}.npy",
    output:
        f"results/divergences/{RUN}.json",
    log:
        f"results/logs/evaluate_kl/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_kl/{RUN}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    params:
        digest=own_digest("divergences"),
        code=code_digest("evaluate_kl"),
    message:
        "Estimate KL of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_kl")


GATHERED = ["training", "sampling", "divergences"]


# Two rules, since Snakemake compares every input of a job with every job it depends on.
rule gather_runs:
    input:
        training=runs_of_variant(f"results/training/{RUN}.json"),
        sampling=runs_of_variant(f"results/sampling/{RUN}.json"),
        divergences=runs_of_variant(f"results/divergences/{RUN}.json"),
    output:
        "results/runs/{variant}.csv",
    log:
        "results/logs/gather_runs/{variant}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        runs=lambda wildcards: [
            (wildcards.variant, dataset, seed) for dataset in DATASETS for seed in SEEDS
        ],
        planned=lambda wildcards: planned(GATHERED, [wildcards.variant], DATASETS),
        code=code_digest("gather_runs"),
    message:
        "Gather the runs of {wildcards.variant}"
    script:
        script_path("gather_runs")


rule gather_metrics:
    input:
        expand("results/runs/{variant}.csv", variant=VARIANTS),
    output:
        report("results/metrics.csv", category="7 Runs", caption="../report/metrics.rst"),
    log:
        "results/logs/gather_metrics.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_digest("gather_metrics"),
    message:
        "Gather the metrics of all runs"
    script:
        script_path("gather_metrics")
