# Figure 2 shows the variants with learned weights, or all networks if there are none.
WEIGHTED = LEARNED or NETWORKS


rule tabulate_paper:
    input:
        metrics="results/metrics.csv",
        published=ancient(published("table1.csv")),
        neighbours=expand(neighbours(CONFIG["kl"]["k"]), dataset=DATASETS),
        floors=expand("results/floors/{dataset}.csv", dataset=READ),
    output:
        tables=page("paper/table1"),
    log:
        "results/logs/tabulate_paper.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "labels": LABELS,
            "notes": {name: CONFIG["variants"][name]["note"] for name in VARIANTS},
            "points": CONFIG["sampling"]["points"],
            "steps": {name: CONFIG["variants"][name]["training"]["steps"] for name in NETWORKS},
        },
        code=code_digest("tabulate_paper", published("table1.csv")),
    message:
        "Make Table 1"
    script:
        script_path("tabulate_paper")


rule plot_samples:
    input:
        samples=expand(
            f"results/samples/{RUN}.npy", variant=VARIANTS, dataset=DATASETS, seed=SEEDS[0]
        ),
        real=[
            path
            for name in DATASETS
            for path in expand(real_points(SimpleNamespace(dataset=name)), dataset=name)
        ],
        encodings=expand("results/encodings/{dataset}.json", dataset=READ),
    output:
        figures=page("paper/figure1"),
    log:
        "results/logs/plot_samples.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS, "datasets": DATASETS},
        code=code_digest("plot_samples"),
    message:
        "Plot Figure 1"
    script:
        script_path("plot_samples")


rule plot_weights:
    input:
        weights=every(f"results/weights/{RUN}.csv", variant=WEIGHTED, dataset=DATASETS, seed=SEEDS),
    output:
        figures=page("paper/figure2"),
    log:
        "results/logs/plot_weights.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": {name: LABELS[name] for name in WEIGHTED}, "datasets": DATASETS},
        code=code_digest("plot_weights"),
    message:
        "Plot Figure 2"
    script:
        script_path("plot_weights")
