# A job handles one seed, or a stack of several, in which case its rule is named after them.
for batch, variants in [(ANY_SEED, "|".join(ALL_NETWORKS)), *STACKS]:
    for name in ("train", "sample"):
        ask_as(name, batch_rule(name, batch))

    rule:
        name:
            batch_rule("train", batch)
        input:
            unpack(encoding),
            unpack(partial(teachers, batch)),
            points="results/datasets/{dataset}.npy",
        output:
            models=of_batch(f"results/models/{RUN}.safetensors", batch),
            records=of_batch(f"results/training/{RUN}.json", batch),
        log:
            of_batch(f"results/logs/train/{RUN}.log", batch),
        benchmark:
            of_batch(f"results/benchmarks/train/{RUN}.tsv", batch)[0]
        wildcard_constraints:
            variant=variants,
        priority: 1  # long jobs first; short ones then fill the gaps
        conda:
            "../../envs/torch.yaml"
        resources:
            gpu=GPUS,
        params:
            settings=lambda wildcards: jobs.training_settings(
                CONFIG, wildcards.variant, wildcards.dataset
            ),
            # Stored in the model's file only. Functions of `input` are not tracked, so changed
            # sampling settings do not retrain.
            sampling=lambda wildcards, input: jobs.drawing_settings(CONFIG, wildcards.variant),
            digest=own_digest("training"),
            planned=planned_teachers,
            stream_suffix=lambda wildcards: jobs.stream_suffix(
                CONFIG, wildcards.variant, wildcards.dataset
            ),
            code=network_code("train"),
        message:
            f"Train {{wildcards.variant}} on {{wildcards.dataset}}, {batch_label(batch)}"
        script:
            script_path("train")

    rule:
        name:
            batch_rule("sample", batch)
        input:
            models=of_batch(f"results/models/{RUN}.safetensors", batch),
        output:
            samples=of_batch(f"results/samples/{RUN}.npy", batch),
            weights=of_batch(f"results/weights/{RUN}.csv", batch),
            records=of_batch(f"results/sampling/{RUN}.json", batch),
        log:
            of_batch(f"results/logs/sample/{RUN}.log", batch),
        benchmark:
            of_batch(f"results/benchmarks/sample/{RUN}.tsv", batch)[0]
        wildcard_constraints:
            variant=variants,
        conda:
            "../../envs/torch.yaml"
        resources:
            gpu=GPUS,
        params:
            settings=lambda wildcards: jobs.sampling_settings(CONFIG, wildcards.variant),
            digest=own_digest("sampling"),
            planned=planned_model,
            stream_suffix=lambda wildcards: jobs.stream_suffix(
                CONFIG, wildcards.variant, wildcards.dataset
            ),
            architecture=architecture,
            code=network_code("sample"),
        message:
            f"Sample {{wildcards.variant}} on {{wildcards.dataset}}, {batch_label(batch)}"
        script:
            script_path("sample")

    if batch != ANY_SEED:
        for name in ("train", "sample"):
            workflow.ruleorder(batch_rule(name, batch), name)


# Samples of a classical generator follow its fit at once: it is not stored.
rule fit_classical:
    input:
        unpack(encoding),
        points="results/datasets/{dataset}.npy",
    output:
        samples=f"results/samples/{RUN}.npy",
        training=f"results/training/{RUN}.json",
        sampling=f"results/sampling/{RUN}.json",
    log:
        f"results/logs/fit_classical/{RUN}.log",
    benchmark:
        f"results/benchmarks/fit_classical/{RUN}.tsv"
    wildcard_constraints:
        variant="|".join(name for name in CONFIG["variants"] if name not in ALL_NETWORKS) or "$",
    conda:
        "../../envs/torch.yaml"
    params:
        settings=lambda wildcards: {
            **jobs.training_settings(CONFIG, wildcards.variant, wildcards.dataset),
            "sampling": jobs.sampling_settings(CONFIG, wildcards.variant),
        },
        digests=lambda wildcards: {
            folder: settings_digest(folder, wildcards.variant, wildcards.dataset)
            for folder in ("training", "sampling")
        },
        stream=run_stream,
        code=code_digest("fit_classical"),
    message:
        "Fit {wildcards.variant} to {wildcards.dataset} and sample it, seed {wildcards.seed}"
    script:
        script_path("fit_classical")


rule tabulate_sample:
    input:
        samples=f"results/samples/{RUN}.npy",
        encoding="results/encodings/{dataset}.json",
    output:
        table=f"results/synthetic/{RUN}.{{extension}}",
    log:
        f"results/logs/tabulate_sample/{RUN}.{{extension}}.log",
    wildcard_constraints:
        dataset="|".join(FILES) or "$",
        extension="csv|tsv|parquet",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_digest("tabulate_sample"),
    message:
        "Tabulate the sample of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("tabulate_sample")
