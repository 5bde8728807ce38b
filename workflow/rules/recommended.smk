rule tabulate_excess:
    input:
        metrics="results/metrics.csv",
        published=ancient(published("table1.csv")),
        floors="results/floors.csv",
    output:
        tables=page("recommended/excess"),
    log:
        "results/logs/tabulate_excess.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS, "best": "improved", "base": VARIANTS[0], "files": READ},
        code=code_digest("tabulate_excess", published("table1.csv")),
    message:
        "Tabulate the KL above the floor"
    script:
        script_path("tabulate_excess")


# As Figure 1, with the real points in the first row.
rule plot_recommended:
    input:
        samples=expand(
            f"results/samples/{RUN}.npy",
            variant=[REAL, *VARIANTS],
            dataset=DATASETS,
            seed=SEEDS[0],
        ),
        real=[],
        encodings=expand("results/encodings/{dataset}.json", dataset=READ),
    output:
        figures=page("recommended/samples"),
    log:
        "results/logs/plot_recommended.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": {REAL: "Real points", **LABELS}, "datasets": DATASETS},
        code=code_digest("plot_samples"),
    message:
        "Plot the samples beside real points"
    script:
        script_path("plot_samples")


rule recommended:
    input:
        pages("recommended"),
