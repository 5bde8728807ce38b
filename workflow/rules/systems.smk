# Systems side by side: KL above the floor against cost, ranked. Beside the variants stand fresh real points and the
# optimal denoiser, sampled by the process of every variant that has one.
SAMPLED_EXACTLY = [f"{name}.exact" for name in dict.fromkeys(PROCESS.values())]


rule collect_systems:
    input:
        records=measured_records(SAMPLED_EXACTLY),
    output:
        tables=page("systems/measures"),
    log:
        "results/logs/collect_systems.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        columns=study_columns(MEASURES, CONFIG["study"]["draws"], known=bool(STUDIED)),
        float_format="%.6g",
        planned=planned_records(SAMPLED_EXACTLY),
        code=code_digest("collect_records"),
    message:
        "Collect the metrics of the systems"
    script:
        script_path("collect_records")


rule tabulate_systems:
    input:
        metrics="results/metrics.csv",
        measures="results/systems/measures.csv",
        floors="results/floors.csv",
        published=ancient(published("sibling_experiments.csv")),
    output:
        tables=page("systems/systems"),
    log:
        "results/logs/tabulate_systems.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "classical": [name for name in VARIANTS if name not in NETWORKS],
            "files": READ,
            "labels": LABELS,
            "margin_bits": CONFIG["study"]["margin_bits"],
        },
        code=code_digest("tabulate_systems", published("sibling_experiments.csv")),
    message:
        "Tabulate the systems"
    script:
        script_path("tabulate_systems")


rule plot_systems:
    input:
        systems="results/systems/systems.csv",
    output:
        figures=page("systems/figure6"),
    log:
        "results/logs/plot_systems.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        labels=LABELS,
        code=code_digest("plot_systems"),
    message:
        "Plot Figure 6"
    script:
        script_path("plot_systems")


rule systems:
    input:
        pages("systems"),
