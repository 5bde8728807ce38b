# Statistics and decomposition of the error. References are evaluated like variants: fresh real
# points; and samples of the optimal denoiser, from perturbed real points and from the model's
# prior, one pair for all variants with the same schedule, sampler and prior.
PROCESS = {variant: configuration.same_process(CONFIG, variant) for variant in VARIANTS}
EXACT = [
    f"{variant}.{kind}"
    for variant in dict.fromkeys(PROCESS.values())
    for kind in ("exact_start", "exact")
]
REFERENCES = [configuration.REAL, *EXACT]
# Only where the density is known are there exact references, and what is measured against them.
STUDIED = [name for name in DATASETS if name in KNOWN]
MEASURED = SEEDS[: CONFIG["study"]["seeds"]]
NEIGHBOURS = [1, 5, 20]  # the KLs beside the paper's
EVERY = [
    f"{variant}/{dataset}/{seed}"
    for variant in [*REFERENCES, *VARIANTS]
    for dataset in (STUDIED if variant in EXACT else DATASETS)
    for seed in MEASURED
]
REFERENCE_RUNS = expand(RUN, variant=REFERENCES, dataset=STUDIED, seed=SEEDS)
COMPARISONS = [pair for pair in CONFIG["study"]["comparisons"] if set(pair) <= set(VARIANTS)]


rule draw_reference:
    input:
        unpack(training_points),
    output:
        f"results/samples/{RUN}.npy",
    log:
        f"results/logs/draw_reference/{RUN}.log",
    benchmark:
        f"results/benchmarks/draw_reference/{RUN}.tsv"
    wildcard_constraints:
        variant="|".join(map(re.escape, REFERENCES)),
    conda:
        "../../envs/torch.yaml"
    threads: 1
    params:
        settings=reference_settings,
        code=code_digest("draw_reference"),
    message:
        "Draw reference {wildcards.variant} of {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("draw_reference")


rule compute_exact:
    output:
        "results/exact/{variant}/{dataset}.npz",
    log:
        "results/logs/compute_exact/{variant}/{dataset}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
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
        real=real_points,
        neighbours=[neighbours(k) for k in NEIGHBOURS],
        generated=f"results/samples/{RUN}.npy",
    output:
        f"results/distances/{RUN}.json",
    log:
        f"results/logs/evaluate_distances/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_distances/{RUN}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    params:
        settings=distribution_settings,
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
        dataset="|".join(KNOWN) or "$",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    params:
        settings=likelihood_settings,
        digest=own_digest("likelihoods"),
        planned=planned_model,
        stream=lambda wildcards: configuration.stream(CONFIG, wildcards.variant, wildcards.dataset),
        architecture=architecture,
        code=network_code("evaluate_model"),
    message:
        "Evaluate model {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_model")


# Without the exact scores, which a file's points do not have.
use rule evaluate_model as evaluate_model_of_file with:
    input:
        model=f"results/models/{RUN}.safetensors",
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
    output:
        record=f"results/likelihoods/{RUN}.json",
    wildcard_constraints:
        dataset="|".join(FILES) or "$",


rule gather_study:
    input:
        divergences=expand("results/divergences/{run}.json", run=EVERY),
        distances=expand("results/distances/{run}.json", run=EVERY),
        models=expand(
            f"results/likelihoods/{RUN}.json", variant=VARIANTS, dataset=DATASETS, seed=MEASURED
        ),
    output:
        report("results/study/metrics.csv", category="3 Study", caption="../report/study.rst"),
    log:
        "results/logs/gather_study.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        runs=[run.split("/") for run in EVERY],
        planned={
            **planned(["divergences", "distances"], EXACT, STUDIED),
            **planned(["divergences", "distances"], [configuration.REAL, *VARIANTS], DATASETS),
            **planned(["likelihoods"], VARIANTS, DATASETS),
        },
        code=code_digest("gather_study"),
    message:
        "Gather the measures of the study"
    script:
        script_path("gather_study")


rule compare_variants:
    input:
        metrics="results/metrics.csv",
        measures="results/study/metrics.csv",
    output:
        csv="results/study/comparisons.csv",
        md="results/study/comparisons.md",
        html=report(
            "results/study/comparisons.html", category="3 Study", caption="../report/study.rst"
        ),
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
        weights=expand(f"results/weights/{RUN}.csv", variant=VARIANTS, dataset=DATASETS, seed=SEEDS),
    output:
        csv="results/study/claims.csv",
        md="results/study/claims.md",
        html=report("results/study/claims.html", category="3 Study", caption="../report/study.rst"),
    log:
        "results/logs/judge_claims.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        cells=[[variant, dataset] for variant in VARIANTS for dataset in DATASETS],
        seeds=len(SEEDS),
        claims=digest_files(published("claims.yaml")),
        code=code_digest("judge_claims"),
    message:
        "Judge the claims"
    script:
        script_path("judge_claims")


rule decompose_kl:
    input:
        metrics="results/metrics.csv",
        references=expand("results/divergences/{run}.json", run=REFERENCE_RUNS),
    output:
        report("results/study/decomposition.csv", category="3 Study", caption="../report/study.rst"),
    log:
        "results/logs/decompose_kl.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        process=PROCESS,
        runs=[run.split("/") for run in REFERENCE_RUNS],
        planned=planned(["divergences"], REFERENCES, STUDIED),
        code=code_digest("decompose_kl"),
    message:
        "Decompose the KL"
    script:
        script_path("decompose_kl")


rule plot_figure3:
    input:
        "results/study/decomposition.csv",
    output:
        png="results/study/figure3.png",
        svg=report("results/study/figure3.svg", category="3 Study", caption="../report/study.rst"),
        pdf="results/study/figure3.pdf",
    log:
        "results/logs/plot_figure3.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        labels=LABELS,
        code=code_digest("plot_figure3"),
    message:
        "Plot Figure 3"
    script:
        script_path("plot_figure3")


rule plot_figure4:
    input:
        expand(f"results/score_errors/{RUN}.csv", variant=VARIANTS, dataset=STUDIED, seed=MEASURED),
    output:
        png="results/study/figure4.png",
        svg=report("results/study/figure4.svg", category="3 Study", caption="../report/study.rst"),
        pdf="results/study/figure4.pdf",
    log:
        "results/logs/plot_figure4.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS, "datasets": STUDIED, "seeds": MEASURED},
        code=code_digest("plot_figure4"),
    message:
        "Plot Figure 4"
    script:
        script_path("plot_figure4")


rule study:
    input:
        expand("results/study/comparisons.{format}", format=["csv", "md", "html"]),
        expand("results/study/claims.{format}", format=["csv", "md", "html"]),
        ["results/study/decomposition.csv"] if STUDIED else [],
        expand("results/study/figure3.{format}", format=FIGURE_FORMATS if STUDIED else []),
        expand("results/study/figure4.{format}", format=FIGURE_FORMATS if STUDIED else []),
