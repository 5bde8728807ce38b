# Statistics and decomposition of the error. References are evaluated like variants: fresh real
# points; and samples of the optimal denoiser, from perturbed real points and from the model's
# prior, one pair for all variants with the same schedule, sampler and prior.
EXACT = [
    f"{variant}.{kind}"
    for variant in dict.fromkeys(PROCESS.values())
    for kind in ("exact_start", "exact")
]
REFERENCES = [REAL, *EXACT]
NEIGHBOURS = sorted({k for metric in MEASURES for k in metric.neighbours()}) or [CONFIG["kl"]["k"]]
COMPARISONS = [pair for pair in CONFIG["study"]["comparisons"] if set(pair) <= set(VARIANTS)]


rule draw_reference:
    input:
        unpack(training_points),
    output:
        samples=f"results/samples/{RUN}.npy",
    log:
        f"results/logs/draw_reference/{RUN}.log",
    benchmark:
        f"results/benchmarks/draw_reference/{RUN}.tsv"
    wildcard_constraints:
        variant="|".join(map(re.escape, REFERENCES)),
    conda:
        "../../envs/torch.yaml"
    params:
        settings=reference_settings,
        code=code_digest("draw_reference"),
    message:
        "Draw reference {wildcards.variant} of {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("draw_reference")


rule compute_exact:
    output:
        exact="results/exact/{variant}/{dataset}.npz",
    log:
        "results/logs/compute_exact/{variant}/{dataset}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        settings=lambda wildcards: {
            **distribution_settings(wildcards),
            "points": CONFIG["study"]["points"],
            "schedule": CONFIG["variants"][wildcards.variant]["schedule"],
        },
        code=code_digest("compute_exact"),
    message:
        "Compute the exact noise of {wildcards.variant} on {wildcards.dataset}"
    script:
        script_path("compute_exact")


rule evaluate_distances:
    input:
        unpack(training_points),
        real=real_points,
        neighbours=neighbours(*NEIGHBOURS),
        generated=f"results/samples/{RUN}.npy",
    output:
        record=f"results/distances/{RUN}.json",
    log:
        f"results/logs/evaluate_distances/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_distances/{RUN}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=distances_settings,
        digest=own_digest("distances"),
        code=code_digest("evaluate_distances"),
    message:
        "Measure distances of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_distances")


rule evaluate_model:
    input:
        model=f"results/models/{RUN}.safetensors",
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
        exact=lambda wildcards: f"results/exact/{PROCESS[wildcards.variant]}/{wildcards.dataset}.npz",
    output:
        record=f"results/likelihoods/{RUN}.json",
        scores=f"results/score_errors/{RUN}.csv",
    log:
        f"results/logs/evaluate_model/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_model/{RUN}.tsv"
    wildcard_constraints:
        variant=pattern_of_cells({name: KNOWN for name in COMPARED}) or "$",
    conda:
        "../../envs/torch.yaml"
    params:
        settings=likelihood_settings,
        digest=own_digest("likelihoods"),
        planned=planned_model,
        stream=run_stream,
        architecture=architecture,
        code=network_code("evaluate_model"),
    message:
        "Evaluate model {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_model")


# Without the exact scores, for a file's points and for variants whose optimal denoiser is not known.
use rule evaluate_model as evaluate_model_alone with:
    input:
        model=f"results/models/{RUN}.safetensors",
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
    output:
        record=f"results/likelihoods/{RUN}.json",
    wildcard_constraints:
        variant=pattern_of_cells(
            {name: FILES if name in COMPARED else [*FILES, *KNOWN] for name in NETWORKS}
        ),


rule collect_study:
    input:
        records=measured_records(EXACT),
    output:
        tables=page("study/metrics"),
    log:
        "results/logs/collect_study.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        columns=study_columns(MEASURES, CONFIG["study"]["draws"], known=bool(STUDIED)),
        float_format="%.6g",
        planned=planned_records(EXACT),
        code=code_digest("collect_records"),
    message:
        "Collect the metrics of the study"
    script:
        script_path("collect_records")


rule tabulate_measures:
    input:
        measures="results/study/metrics.csv",
    output:
        tables=page("study/measures"),
    log:
        "results/logs/tabulate_measures.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS, "metrics": CONFIG["study"]["metrics"]},
        code=code_digest("tabulate_measures"),
    message:
        "Tabulate the metrics of the study"
    script:
        script_path("tabulate_measures")


rule compare_variants:
    input:
        metrics="results/metrics.csv",
        measures="results/study/metrics.csv",
    output:
        tables=page("study/comparisons"),
    log:
        "results/logs/compare_variants.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "pairs": COMPARISONS,
            "datasets": DATASETS,
            "files": READ,
            "labels": LABELS,
            "margin_bits": CONFIG["study"]["margin_bits"],
        },
        code=code_digest("compare_variants"),
    message:
        "Compare the variants"
    script:
        script_path("compare_variants")


rule judge_claims:
    input:
        claims=ancient(published("claims.yaml")),
        metrics="results/metrics.csv",
        weights=every(f"results/weights/{RUN}.csv", variant=NETWORKS, dataset=DATASETS, seed=SEEDS),
    output:
        tables=page("study/claims"),
    log:
        "results/logs/judge_claims.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_digest("judge_claims", published("claims.yaml")),
    message:
        "Judge the claims"
    script:
        script_path("judge_claims")


use rule judge_claims as judge_siblings with:
    input:
        claims=ancient(published("sibling_claims.yaml")),
        metrics="results/metrics.csv",
        weights=every(f"results/weights/{RUN}.csv", variant=NETWORKS, dataset=DATASETS, seed=SEEDS),
    output:
        tables=page("systems/claims"),
    log:
        "results/logs/judge_siblings.log",
    params:
        code=code_digest("judge_claims", published("sibling_claims.yaml")),
    message:
        "Judge the sibling experiments"


rule decompose_kl:
    input:
        metrics="results/metrics.csv",
        references=every(
            f"results/divergences/{RUN}.json", variant=REFERENCES, dataset=STUDIED, seed=SEEDS
        ),
    output:
        tables=page("study/decomposition"),
    log:
        "results/logs/decompose_kl.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        process=PROCESS,
        planned=planned(["divergences"], REFERENCES, STUDIED),
        code=code_digest("decompose_kl"),
    message:
        "Decompose the KL"
    script:
        script_path("decompose_kl")


rule plot_decomposition:
    input:
        decomposition="results/study/decomposition.csv",
    output:
        figures=page("study/figure3"),
    log:
        "results/logs/plot_decomposition.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        labels=LABELS,
        code=code_digest("plot_decomposition"),
    message:
        "Plot Figure 3"
    script:
        script_path("plot_decomposition")


rule plot_score_errors:
    input:
        scores=every(
            f"results/score_errors/{RUN}.csv", variant=COMPARED, dataset=STUDIED, seed=MEASURED
        ),
    output:
        figures=page("study/figure4"),
    log:
        "results/logs/plot_score_errors.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": {name: LABELS[name] for name in COMPARED}, "datasets": STUDIED},
        code=code_digest("plot_score_errors"),
    message:
        "Plot Figure 4"
    script:
        script_path("plot_score_errors")


rule study:
    input:
        pages("study"),
