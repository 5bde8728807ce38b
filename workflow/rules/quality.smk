# Quality of generated tables: metrics of the decoded rows, beside their values for real rows.
OF_TABLES = "|".join(FILES) or "$"


rule evaluate_quality:
    input:
        training="results/datasets/{dataset}.npy",
        held_out="results/held_out/{dataset}.npy",
        encoding="results/encodings/{dataset}.json",
        generated=f"results/samples/{RUN}.npy",
    output:
        record=f"results/qualities/{RUN}.json",
    log:
        f"results/logs/evaluate_quality/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_quality/{RUN}.tsv"
    wildcard_constraints:
        dataset=OF_TABLES,
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=quality_settings,
        digest=own_digest("qualities"),
        code=code_digest("evaluate_quality"),
    message:
        "Evaluate the rows of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_quality")


rule evaluate_quality_floor:
    input:
        training="results/datasets/{dataset}.npy",
        held_out="results/held_out/{dataset}.npy",
        encoding="results/encodings/{dataset}.json",
    output:
        floors="results/quality_floors/{dataset}.csv",
    log:
        "results/logs/evaluate_quality_floor/{dataset}.log",
    benchmark:
        "results/benchmarks/evaluate_quality_floor/{dataset}.tsv"
    wildcard_constraints:
        dataset=OF_TABLES,
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: {
            **quality_settings(wildcards),
            "floors": CONFIG["study"]["floors"],
            "points": CONFIG["sampling"]["points"],
        },
        code=code_digest("evaluate_quality_floor"),
    message:
        "Estimate the floors of the quality of {wildcards.dataset}"
    script:
        script_path("evaluate_quality_floor")


rule tabulate_quality:
    input:
        records=every(f"results/qualities/{RUN}.json", variant=VARIANTS, seed=SEEDS),
        floors="results/quality_floors/{dataset}.csv",
        held_out="results/held_out/{dataset}.npy",
    output:
        tables=page("quality/{dataset}/quality"),
    log:
        "results/logs/tabulate_quality/{dataset}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: {**quality_settings(wildcards), "labels": LABELS},
        planned=lambda wildcards: planned(["qualities"], VARIANTS, [wildcards.dataset]),
        code=code_digest("tabulate_quality"),
    message:
        "Tabulate the quality of {wildcards.dataset}"
    script:
        script_path("tabulate_quality")


rule plot_columns:
    input:
        samples=every(f"results/samples/{RUN}.npy", variant=VARIANTS, seed=SEEDS[0]),
        training="results/datasets/{dataset}.npy",
        encoding="results/encodings/{dataset}.json",
    output:
        figures=page("quality/{dataset}/columns"),
    log:
        "results/logs/plot_columns/{dataset}.log",
    wildcard_constraints:
        dataset=OF_TABLES,
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS},
        code=code_digest("plot_columns"),
    message:
        "Plot the columns of {wildcards.dataset}"
    script:
        script_path("plot_columns")
