rule generate_dataset:
    output:
        points="results/datasets/{dataset}.npy",
    log:
        "results/logs/generate_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/generate_dataset/{dataset}.tsv"
    wildcard_constraints:
        dataset="|".join(KNOWN) or "$",
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: jobs.in_order(CONFIG["datasets"][wildcards.dataset]),
        code=code_digest("generate_dataset"),
    message:
        "Draw dataset {wildcards.dataset}"
    script:
        script_path("generate_dataset")


rule import_dataset:
    input:
        source=lambda wildcards: CONFIG["datasets"][wildcards.dataset]["file"],
    output:
        training="results/datasets/{dataset}.npy",
        held_out="results/held_out/{dataset}.npy",
        encoding="results/encodings/{dataset}.json",
    log:
        "results/logs/import_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/import_dataset/{dataset}.tsv"
    wildcard_constraints:
        dataset="|".join(FILES) or "$",
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: jobs.import_settings(CONFIG, wildcards.dataset),
        # Functions of `output` are not tracked: another k or target neither reimports nor retrains.
        k=lambda wildcards, output: CONFIG["kl"]["k"],
        target=lambda wildcards, output: CONFIG["datasets"][wildcards.dataset]["target"],
        code=code_digest("import_dataset"),
    message:
        "Import dataset {wildcards.dataset}"
    script:
        script_path("import_dataset")


rule find_neighbours:
    input:
        unpack(training_points),
        unpack(encoding),
        real=real_points,
    output:
        neighbours=neighbours("{k}"),
    log:
        "results/logs/find_neighbours/{dataset}/{k}.log",
    benchmark:
        "results/benchmarks/find_neighbours/{dataset}/{k}.tsv"
    wildcard_constraints:
        k=r"\d+(_\d+)*",
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"real_points": CONFIG["kl"]["real_points"]},
        code=code_digest("find_neighbours"),
    message:
        "Find the neighbours of the real points of {wildcards.dataset}, k = {wildcards.k}"
    script:
        script_path("find_neighbours")
