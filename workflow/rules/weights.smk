# What the branch weights do, and the up-projections: error and KL with other weights in their place.
OF_TIME = [
    name
    for name in COMPARED
    if name in LEARNED and CONFIG["variants"][name]["weighting"]["inputs"] == "t"
]


UPSCALED = [
    name
    for name in NETWORKS
    if any(
        branch["upscaled_dimensions"]
        for branch in CONFIG["variants"][name].get("branches", {}).values()
    )
]


rule evaluate_weights:
    input:
        model=f"results/models/{RUN}.safetensors",
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
        exact="results/exact/{variant}/{dataset}.npz",
    output:
        errors=f"results/weight_errors/{RUN}.csv",
        scales=f"results/weight_scales/{RUN}.csv",
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


rule plot_scales:
    input:
        scales=every(
            f"results/weight_scales/{RUN}.csv", variant=OF_TIME, dataset=STUDIED, seed=SEEDS
        ),
    output:
        figures=page("weights/figure9"),
    log:
        "results/logs/plot_scales.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": {name: LABELS[name] for name in OF_TIME}, "datasets": STUDIED},
        code=code_digest("plot_scales"),
    message:
        "Plot Figure 9"
    script:
        script_path("plot_scales")


rule tabulate_upscales:
    input:
        models=every(
            f"results/models/{RUN}.safetensors", variant=UPSCALED, dataset=DATASETS, seed=SEEDS
        ),
        metrics="results/metrics.csv",
    output:
        tables=page("weights/upscales"),
    log:
        "results/logs/tabulate_upscales.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS},
        code=code_digest("tabulate_upscales"),
    message:
        "Tabulate the up-projections"
    script:
        script_path("tabulate_upscales")


rule plot_upscales:
    input:
        upscales="results/weights/upscales.csv",
    output:
        figures=page("weights/figure8"),
    log:
        "results/logs/plot_upscales.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": {name: LABELS[name] for name in UPSCALED}, "datasets": DATASETS},
        code=code_digest("plot_upscales"),
    message:
        "Plot Figure 8"
    script:
        script_path("plot_upscales")


rule weights:
    input:
        pages("weights") if OF_TIME else [],


rule upscales:
    input:
        pages("upscales") if UPSCALED else [],
