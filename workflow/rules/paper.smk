LABELS = {name: CONFIG["variants"][name]["label"] for name in VARIANTS}
NOTES = {name: CONFIG["variants"][name]["note"] for name in VARIANTS}
# Figure 2 shows the variants with learned weights, or all if there are none.
WEIGHTED = [
    name
    for name in VARIANTS
    if configuration.model_settings(CONFIG, name).get("weighting", {}).get("kind") == "learned"
] or VARIANTS


rule make_table1:
    input:
        metrics="results/metrics.csv",
        published=ancient(published("table1.csv")),
        neighbours=expand(neighbours(CONFIG["kl"]["k"]), dataset=DATASETS),
        floors=expand("results/floors/{dataset}.csv", dataset=READ),
    output:
        csv="results/paper/table1.csv",
        md="results/paper/table1.md",
        tex="results/paper/table1.tex",
        html=report(
            "results/paper/table1.html",
            category="1 Table",
            caption="../report/table1.rst",
        ),
    log:
        "results/logs/make_table1.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "labels": LABELS,
            "notes": NOTES,
            "points": CONFIG["sampling"]["points"],
            "steps": {
                name: configuration.model_settings(CONFIG, name)["training"]["steps"]
                for name in VARIANTS
            },
        },
        datasets=DATASETS,
        published=digest_files(published("table1.csv")),
        code=code_digest("make_table1"),
    message:
        "Make Table 1"
    script:
        script_path("make_table1")


rule plot_figure1:
    input:
        expand(f"results/samples/{RUN}.npy", variant=VARIANTS, dataset=DATASETS, seed=SEEDS[0]),
    output:
        png="results/paper/figure1.png",
        svg=report(
            "results/paper/figure1.svg",
            category="2 Figures",
            caption="../report/figure1.rst",
        ),
        pdf="results/paper/figure1.pdf",
    log:
        "results/logs/plot_figure1.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS, "datasets": DATASETS},
        code=code_digest("plot_figure1"),
    message:
        "Plot Figure 1"
    script:
        script_path("plot_figure1")


rule plot_figure2:
    input:
        expand(f"results/weights/{RUN}.csv", variant=WEIGHTED, dataset=DATASETS, seed=SEEDS),
    output:
        png="results/paper/figure2.png",
        svg=report(
            "results/paper/figure2.svg",
            category="2 Figures",
            caption="../report/figure2.rst",
        ),
        pdf="results/paper/figure2.pdf",
    log:
        "results/logs/plot_figure2.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "labels": {name: LABELS[name] for name in WEIGHTED},
            "datasets": DATASETS,
            "seeds": SEEDS,
        },
        code=code_digest("plot_figure2"),
    message:
        "Plot Figure 2"
    script:
        script_path("plot_figure2")
