# One page that shows every network's reverse process; of many seeds, the first three.
EXPLORED = SEEDS[:3]
# First variant of the run with each process, whose trajectory tells the levels of the exact fields.
SHARED = {
    name: next(other for other in COMPARED if PROCESS[other] == PROCESS[name]) for name in COMPARED
}


rule draw_trajectory:
    input:
        model=f"results/models/{RUN}.safetensors",
        real="results/datasets/{dataset}.npy",
    output:
        states=f"results/trajectories/{RUN}.npz",
    log:
        f"results/logs/draw_trajectory/{RUN}.log",
    wildcard_constraints:
        variant="|".join(map(re.escape, NETWORKS)) or "$",
    conda:
        "../../envs/torch.yaml"
    params:
        settings=lambda wildcards: jobs.sampling_settings(CONFIG, wildcards.variant),
        planned=planned_model,
        stream=lambda wildcards: f"{wildcards.seed}/{wildcards.dataset}/animation",
        architecture=architecture,
        code=network_code("draw_trajectory"),
    message:
        "Draw the trajectory of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("draw_trajectory")


rule compute_fields:
    input:
        trajectory=f"results/trajectories/{{variant}}/{{dataset}}/{SEEDS[0]}.npz",
    output:
        fields="results/exact_fields/{variant}/{dataset}.npz",
    log:
        "results/logs/compute_fields/{variant}/{dataset}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        settings=lambda wildcards: {
            **distribution_settings(wildcards),
            "schedule": CONFIG["variants"][wildcards.variant]["schedule"],
        },
        code=code_digest("compute_fields"),
    message:
        "Compute the exact fields of {wildcards.variant} on {wildcards.dataset}"
    script:
        script_path("compute_fields")


rule build_explorer:
    input:
        page=ancient(shipped("explorer/page.html")),
        style=ancient(shipped("explorer/page.css")),
        script=ancient(shipped("explorer/page.js")),
        trajectories=every(
            f"results/trajectories/{RUN}.npz", variant=NETWORKS, dataset=DATASETS, seed=EXPLORED
        ),
        fields=every(
            "results/exact_fields/{variant}/{dataset}.npz",
            variant=dict.fromkeys(SHARED.values()),
            dataset=PLANAR,
        ),
        real=expand("results/datasets/{dataset}.npy", dataset=DATASETS),
        encodings=expand("results/encodings/{dataset}.json", dataset=READ),
        weights=every(
            f"results/weights/{RUN}.csv", variant=NETWORKS, dataset=DATASETS, seed=EXPLORED
        ),
        metrics="results/metrics.csv",
        decomposition="results/study/decomposition.csv" if STUDIED and COMPARED else [],
    output:
        explorer=page("explorer/explorer")[0],
    log:
        "results/logs/build_explorer.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={
            "labels": {name: LABELS[name] for name in NETWORKS},
            "processes": SHARED,
            "weighted": LEARNED,
        },
        code=code_digest(
            "build_explorer",
            *(shipped(f"explorer/page.{kind}") for kind in ("html", "css", "js")),
        ),
    message:
        "Build the explorer"
    script:
        script_path("build_explorer")


rule explorer:
    input:
        pages("explorer") if NETWORKS else [],
