# Beyond the paper: fewer sampling steps, KL above the floor, animations of the reverse process.
STEPPED = [name for name in CONFIG["steps"]["variants"] if name in VARIANTS] or VARIANTS
PLANAR = [name for name in STUDIED if CONFIG["datasets"][name].get("dimensions", 2) == 2]


# Independent of run.seeds, which may be few: the floor varies between draws and is cheap.
rule evaluate_floor:
    input:
        unpack(training_points),
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
    output:
        "results/floors/{dataset}.csv",
    log:
        "results/logs/evaluate_floor/{dataset}.log",
    benchmark:
        "results/benchmarks/evaluate_floor/{dataset}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
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


rule gather_floors:
    input:
        expand("results/floors/{dataset}.csv", dataset=DATASETS),
    output:
        "results/floors.csv",
    log:
        "results/logs/gather_floors.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_digest("gather_metrics"),
    message:
        "Gather the floors"
    script:
        script_path("gather_metrics")


ask_as("evaluate_steps", "evaluate_steps")


rule evaluate_steps:
    input:
        model=f"results/models/{RUN}.safetensors",
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
    output:
        f"results/steps/{RUN}.csv",
    log:
        f"results/logs/evaluate_steps/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_steps/{RUN}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
    params:
        settings=lambda wildcards: {
            "sampling": configuration.sampling_settings(CONFIG, wildcards.variant),
            "steps": CONFIG["steps"]["counts"],
        },
        planned=planned_model,
        stream=lambda wildcards: configuration.stream(CONFIG, wildcards.variant, wildcards.dataset),
        architecture=architecture,
        code=network_code("evaluate_steps"),
    message:
        "Sample {wildcards.variant} on {wildcards.dataset} in few steps, seed {wildcards.seed}"
    script:
        script_path("evaluate_steps")


rule gather_steps:
    input:
        steps=expand(f"results/steps/{RUN}.csv", variant=STEPPED, dataset=DATASETS, seed=SEEDS),
        runs=expand("results/runs/{variant}.csv", variant=STEPPED),
    output:
        all="results/steps/steps.csv",
        fewest=report(
            "results/steps/fewest.csv", category="5 Few steps", caption="../report/steps.rst"
        ),
    log:
        "results/logs/gather_steps.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "margin_bits": CONFIG["steps"]["margin_bits"],
            "runs": [[v, d, s] for v in STEPPED for d in DATASETS for s in SEEDS],
        },
        code=code_digest("gather_steps"),
    message:
        "Gather the KLs at few steps"
    script:
        script_path("gather_steps")


rule plot_figure5:
    input:
        steps="results/steps/steps.csv",
        floors="results/floors.csv",
    output:
        png="results/steps/figure5.png",
        svg=report(
            "results/steps/figure5.svg", category="5 Few steps", caption="../report/steps.rst"
        ),
        pdf="results/steps/figure5.pdf",
    log:
        "results/logs/plot_figure5.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        labels={name: LABELS[name] for name in STEPPED},
        code=code_digest("plot_figure5"),
    message:
        "Plot Figure 5"
    script:
        script_path("plot_figure5")


rule make_excess:
    input:
        metrics="results/metrics.csv",
        published=ancient(published("table1.csv")),
        floors="results/floors.csv",
    output:
        csv="results/recommended/excess.csv",
        md="results/recommended/excess.md",
        html=report(
            "results/recommended/excess.html",
            category="4 Recommended",
            caption="../report/recommended.rst",
        ),
    log:
        "results/logs/make_excess.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS, "best": "improved", "base": VARIANTS[0], "files": READ},
        published=digest_files(published("table1.csv")),
        code=code_digest("make_excess"),
    message:
        "Make the table of KL above the floor"
    script:
        script_path("make_excess")


# Uses the script of figure 1, with the real points in the first row.
rule plot_recommended:
    input:
        expand(
            f"results/samples/{RUN}.npy",
            variant=[configuration.REAL, *VARIANTS],
            dataset=DATASETS,
            seed=SEEDS[0],
        ),
    output:
        png="results/recommended/samples.png",
        svg=report(
            "results/recommended/samples.svg",
            category="4 Recommended",
            caption="../report/recommended.rst",
        ),
        pdf="results/recommended/samples.pdf",
    log:
        "results/logs/plot_recommended.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "labels": {configuration.REAL: "Real points", **LABELS},
            "datasets": DATASETS,
        },
        code=code_digest("plot_figure1"),
    message:
        "Plot the samples beside real points"
    script:
        script_path("plot_figure1")


rule animate:
    input:
        models=lambda wildcards: expand(
            "results/models/{variant}/{dataset}/{seed}.safetensors",
            variant=shown(wildcards),
            dataset=wildcards.dataset,
            seed=wildcards.seed,
        ),
        real="results/datasets/{dataset}.npy",
    output:
        report(
            f"results/animations/{RUN}.gif",
            category="6 Pictures",
            caption="../report/pictures.rst",
            labels={"picture": "animation", "variant": "{variant}", "dataset": "{dataset}"},
        ),
    log:
        f"results/logs/animate/{RUN}.log",
    wildcard_constraints:
        variant="|".join(map(re.escape, [*VARIANTS, SIDE_BY_SIDE])),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    params:
        settings=lambda wildcards: [
            {
                "label": CONFIG["variants"][name]["label"],
                "sampling": configuration.sampling_settings(CONFIG, name),
                "architecture": architecture_file(name),
            }
            for name in shown(wildcards)
        ],
        planned=lambda wildcards: planned(["models"], shown(wildcards), [wildcards.dataset]),
        stream=lambda wildcards: f"{wildcards.seed}/{wildcards.dataset}/animation",
        code=network_code("animate", shown),
    message:
        "Animate {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("animate")


rule plot_fields:
    input:
        f"results/models/{RUN}.safetensors",
    output:
        png=f"results/fields/{RUN}.png",
        svg=report(
            f"results/fields/{RUN}.svg",
            category="6 Pictures",
            caption="../report/pictures.rst",
            labels={"picture": "fields", "variant": "{variant}", "dataset": "{dataset}"},
        ),
        pdf=f"results/fields/{RUN}.pdf",
    log:
        f"results/logs/plot_fields/{RUN}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    params:
        settings=distribution_settings,
        label=lambda wildcards: CONFIG["variants"][wildcards.variant]["label"],
        planned=planned_model,
        architecture=architecture,
        code=network_code("plot_fields"),
    message:
        "Plot the fields of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("plot_fields")


rule few_steps:
    input:
        "results/steps/fewest.csv",
        expand("results/steps/figure5.{format}", format=FIGURE_FORMATS),


rule recommended:
    input:
        expand("results/recommended/excess.{format}", format=["csv", "md", "html"]),
        expand("results/recommended/samples.{format}", format=FIGURE_FORMATS),


rule pictures:
    input:
        expand(
            f"results/animations/{SIDE_BY_SIDE}/{{dataset}}/{{seed}}.gif",
            dataset=DATASETS,
            seed=SEEDS[0],
        ),
        expand(f"results/fields/{RUN}.png", variant=VARIANTS, dataset=PLANAR, seed=SEEDS[0]),
