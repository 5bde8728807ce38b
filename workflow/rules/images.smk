# Images, judged by a classifier's features, a classifier test and the distance to the nearest training image, not by the KL.
from dualscale.metrics.images import IMAGE_COLUMNS

OF_AN_IMAGE = ["image_measures", "training", "sampling"]  # kinds of records of a run


rule import_images:
    input:
        unpack(image_file),
    output:
        points="results/datasets/{dataset}.npy",
        encoding="results/encodings/{dataset}.json",
        images="results/real_images/{dataset}.npz",
    log:
        "results/logs/import_images/{dataset}.log",
    benchmark:
        "results/benchmarks/import_images/{dataset}.tsv"
    wildcard_constraints:
        dataset="|".join(OF_IMAGES) or "$",
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: jobs.import_settings(CONFIG, wildcards.dataset),
        name=lambda wildcards: CONFIG["datasets"][wildcards.dataset]["images"],
        code=code_digest("import_images"),
    message:
        "Import images {wildcards.dataset}"
    script:
        script_path("import_images")


rule train_recogniser:
    input:
        images="results/real_images/{dataset}.npz",
    output:
        recogniser="results/recognisers/{dataset}.npz",
    log:
        "results/logs/train_recogniser/{dataset}.log",
    benchmark:
        "results/benchmarks/train_recogniser/{dataset}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_digest("train_recogniser"),
    message:
        "Train the classifier of {wildcards.dataset}"
    script:
        script_path("train_recogniser")


rule decode_images:
    input:
        samples=f"results/samples/{RUN}.npy",
        encoding="results/encodings/{dataset}.json",
        recogniser="results/recognisers/{dataset}.npz",
        images="results/real_images/{dataset}.npz",
    output:
        decoded=f"results/synthetic/{RUN}.npz",
    log:
        f"results/logs/decode_images/{RUN}.log",
    wildcard_constraints:
        dataset="|".join(OF_IMAGES) or "$",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_digest("decode_images"),
    message:
        "Decode the images of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("decode_images")


rule evaluate_images:
    input:
        images="results/real_images/{dataset}.npz",
        recogniser="results/recognisers/{dataset}.npz",
        decoded=f"results/synthetic/{RUN}.npz",
    output:
        record=f"results/image_measures/{RUN}.json",
    log:
        f"results/logs/evaluate_images/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_images/{RUN}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        digest=own_digest("image_measures"),
        code=code_digest("evaluate_images"),
    message:
        "Evaluate the images of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_images")


use rule evaluate_images as evaluate_real_images with:
    input:
        images="results/real_images/{dataset}.npz",
        recogniser="results/recognisers/{dataset}.npz",
    wildcard_constraints:
        variant=REAL,


ruleorder: evaluate_real_images > evaluate_images


rule collect_images:
    input:
        records=lambda wildcards: [
            f"results/{kind}/{variant}/{dataset}/{seed}.json"
            for variant in [REAL, *VARIANTS]
            for kind in (["image_measures"] if variant == REAL else OF_AN_IMAGE)
            for dataset in IMAGES
            for seed in SEEDS
        ],
    output:
        tables=page("images/metrics"),
    log:
        "results/logs/collect_images.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        columns=IMAGE_COLUMNS,
        float_format="%.8g",
        planned={
            **planned(["image_measures"], [REAL], IMAGES),
            **planned(OF_AN_IMAGE, VARIANTS, IMAGES),
        },
        code=code_digest("collect_records"),
    message:
        "Collect the metrics of images"
    script:
        script_path("collect_records")


rule tabulate_images:
    input:
        metrics="results/images/metrics.csv",
    output:
        tables=page("images/measures"),
    log:
        "results/logs/tabulate_images.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        labels=LABELS,
        code=code_digest("tabulate_images"),
    message:
        "Tabulate the metrics of images"
    script:
        script_path("tabulate_images")


rule plot_images:
    input:
        real=expand("results/real_images/{dataset}.npz", dataset=IMAGES),
        recognisers=expand("results/recognisers/{dataset}.npz", dataset=IMAGES),
        decoded=expand(
            f"results/synthetic/{RUN}.npz", variant=VARIANTS, dataset=IMAGES, seed=SEEDS[0]
        ),
    output:
        samples=page("images/samples"),
        classes=page("images/classes"),
    log:
        "results/logs/plot_images.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"labels": LABELS, "datasets": IMAGES},
        code=code_digest("plot_images"),
    message:
        "Plot generated images"
    script:
        script_path("plot_images")


rule images:
    input:
        pages("images"),
