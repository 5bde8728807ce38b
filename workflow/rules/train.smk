rule train:
    input:
        dataset="results/datasets/{dataset}.npy",
    output:
        model=f"results/models/{RUN}.safetensors",
        record=f"results/training/{RUN}.json",
    log:
        f"results/logs/train/{RUN}.log",
    benchmark:
        f"results/benchmarks/train/{RUN}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
    params:
        settings=lambda wildcards: configuration.model_settings(CONFIG, wildcards.variant),
        stream=lambda wildcards: configuration.stream(CONFIG, *wildcards),
        code=code_digest("train"),
    message:
        "Train {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("train")


rule sample:
    input:
        model=f"results/models/{RUN}.safetensors",
    output:
        samples=f"results/samples/{RUN}.npy",
        weights=f"results/weights/{RUN}.csv",
        record=f"results/sampling/{RUN}.json",
    log:
        f"results/logs/sample/{RUN}.log",
    benchmark:
        f"results/benchmarks/sample/{RUN}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPUS,
    params:
        settings=CONFIG["sampling"],
        stream=lambda wildcards: configuration.stream(CONFIG, *wildcards),
        code=code_digest("sample"),
    message:
        "Sample {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("sample")
