# What the branch weights do: error and KL with others in their place.
OF_TIME = [
    name
    for name in COMPARED
    if CONFIG["variants"][name].get("weighting", {}).get("kind") == "learned"
    and CONFIG["variants"][name]["weighting"]["inputs"] == "t"
]


rule evaluate_weights:
    input:
        model=f"results/models/{RUN}.safetensors",
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
        exact="results/exact/{variant}/{dataset}.npz",
    output:
        errors=f"results/weight_errors/{RUN}.csv",
        kls=f"results/weight_kls/{RUN}.csv",
    log:
        f"results/logs/evaluate_weights/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_weights/{RUN}.tsv"
    conda:
        "../../envs/torch.yaml"
    params:
        settings=lambda wildcards: jobs.sampling_settings(CONFIG, wildcards.variant),
        planned=planned_model,
        stream=run_stream,
        code=code_digest("evaluate_weights"),
    message:
        "Evaluate the weights of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_weights")


rule tabulate_hindsight:
    input:
        kls=every(f"results/weight_kls/{RUN}.csv", variant=OF_TIME, dataset=STUDIED, seed=SEEDS),
    output:
        tables=page("weights/hindsight"),
    log:
        "results/logs/tabulate_hindsight.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS},
        code=code_digest("tabulate_hindsight"),
    message:
        "Tabulate what the weights do"
    script:
        script_path("tabulate_hindsight")


rule plot_hindsight:
    input:
        errors=every(
            f"results/weight_errors/{RUN}.csv", variant=OF_TIME, dataset=STUDIED, seed=SEEDS
        ),
    output:
        figures=page("weights/figure7"),
    log:
        "results/logs/plot_hindsight.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": {name: LABELS[name] for name in OF_TIME}, "datasets": STUDIED},
        code=code_digest("plot_hindsight"),
    message:
        "Plot Figure 7"
    script:
        script_path("plot_hindsight")


rule weights:
    input:
        pages("weights") if OF_TIME else [],
