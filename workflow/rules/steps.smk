# KL against the number of sampling steps.
OF_METRICS = [
    k for m in METRICS.validate_python(CONFIG["steps"]["metrics"]) for k in m.neighbours()
]
STEPS_NEIGHBOURS = list(dict.fromkeys([CONFIG["kl"]["k"], *OF_METRICS]))
STEPPED = [name for name in CONFIG["steps"]["variants"] if name in NETWORKS] or NETWORKS
ask_as("evaluate_steps", "evaluate_steps")


rule evaluate_steps:
    input:
        unpack(training_points),
        model=f"results/models/{RUN}.safetensors",
        real=real_points,
        neighbours=neighbours(*STEPS_NEIGHBOURS),
    output:
        steps=f"results/steps/{RUN}.csv",
    log:
        f"results/logs/evaluate_steps/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_steps/{RUN}.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=GPUS,
    params:
        settings=lambda wildcards: distribution_settings(wildcards)
        | {
            "metrics": CONFIG["steps"]["metrics"],
            "samplings": jobs.tried_samplings(CONFIG, wildcards.variant),
        },
        planned=planned_model,
        stream=run_stream,
        architecture=architecture,
        code=network_code("evaluate_steps"),
    message:
        "Sample {wildcards.variant} on {wildcards.dataset} in few steps, seed {wildcards.seed}"
    script:
        script_path("evaluate_steps")


rule collect_steps:
    input:
        records=every(f"results/steps/{RUN}.csv", variant=STEPPED, dataset=DATASETS, seed=SEEDS),
    output:
        tables=page("steps/steps"),
    log:
        "results/logs/collect_steps.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_digest("collect_records"),
    message:
        "Collect the KLs at few steps"
    script:
        script_path("collect_records")


rule tabulate_fewest:
    input:
        steps="results/steps/steps.csv",
        metrics="results/metrics.csv",
    output:
        tables=page("steps/fewest"),
    log:
        "results/logs/tabulate_fewest.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        margin_bits=CONFIG["steps"]["margin_bits"],
        code=code_digest("tabulate_fewest"),
    message:
        "Tabulate the fewest evaluations"
    script:
        script_path("tabulate_fewest")


rule plot_steps:
    input:
        steps="results/steps/steps.csv",
        floors="results/floors.csv",
    output:
        figures=page("steps/figure5"),
    log:
        "results/logs/plot_steps.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        labels={name: LABELS[name] for name in STEPPED},
        code=code_digest("plot_steps"),
    message:
        "Plot Figure 5"
    script:
        script_path("plot_steps")


rule few_steps:
    input:
        pages("few_steps"),
