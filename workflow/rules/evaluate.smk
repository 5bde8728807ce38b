rule evaluate_kl:
    input:
        real=real_points,
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
        settings=CONFIG["kl"],
        code=code_digest("evaluate_kl"),
    message:
        "Estimate KL of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_kl")


rule gather_metrics:
    input:
        training=runs(f"results/training/{RUN}.json"),
        sampling=runs(f"results/sampling/{RUN}.json"),
        divergences=runs(f"results/divergences/{RUN}.json"),
    output:
        report("results/metrics.csv", category="7 Runs", caption="../report/metrics.rst"),
    log:
        "results/logs/gather_metrics.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        runs=[run.split("/") for run in runs(RUN)],
        code=code_digest("gather_metrics"),
    message:
        "Gather the metrics of all runs"
    script:
        script_path("gather_metrics")
