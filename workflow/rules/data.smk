rule generate_dataset:
    output:
        "results/datasets/{dataset}.npy",
    log:
        "results/logs/generate_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/generate_dataset/{dataset}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: configuration.in_order(CONFIG["datasets"][wildcards.dataset]),
        code=code_digest("generate_dataset"),
    message:
        "Draw dataset {wildcards.dataset}"
    script:
        script_path("generate_dataset")
