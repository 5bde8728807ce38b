rule animate:
    input:
        models=lambda wildcards: expand(
            f"results/models/{RUN}.safetensors",
            variant=shown(wildcards),
            dataset=wildcards.dataset,
            seed=wildcards.seed,
        ),
        real="results/datasets/{dataset}.npy",
    output:
        animation=report(
            f"results/animations/{RUN}.gif",
            category="8 Pictures",
            caption="../report/pictures.rst",
            labels={"picture": "animation", "variant": "{variant}", "dataset": "{dataset}"},
        ),
    log:
        f"results/logs/animate/{RUN}.log",
    wildcard_constraints:
        variant="|".join(map(re.escape, [*NETWORKS, SIDE_BY_SIDE])),
    conda:
        "../../envs/torch.yaml"
    params:
        settings=lambda wildcards: [
            {
                "label": CONFIG["variants"][name]["label"],
                "sampling": jobs.sampling_settings(CONFIG, name),
                "architecture": architecture(SimpleNamespace(variant=name)),
            }
            for name in shown(wildcards)
        ],
        planned=lambda wildcards: planned(["models"], shown(wildcards), [wildcards.dataset]),
        stream=lambda wildcards: f"{wildcards.seed}/{wildcards.dataset}/animation",
        code=network_code("animate"),
    message:
        "Animate {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("animate")


rule plot_fields:
    input:
        model=f"results/models/{RUN}.safetensors",
    output:
        figures=[
            f"results/fields/{RUN}.png",
            report(
                f"results/fields/{RUN}.svg",
                category="8 Pictures",
                caption="../report/pictures.rst",
                labels={"picture": "fields", "variant": "{variant}", "dataset": "{dataset}"},
            ),
            f"results/fields/{RUN}.pdf",
        ],
    log:
        f"results/logs/plot_fields/{RUN}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        settings=distribution_settings,
        label=lambda wildcards: CONFIG["variants"][wildcards.variant]["label"],
        planned=planned_model,
        architecture=architecture,
        code=network_code("plot_fields"),
    message:
        "Plot the fields of {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("plot_fields")


rule pictures:
    input:
        expand(
            f"results/animations/{RUN}.gif", variant=SIDE_BY_SIDE, dataset=DATASETS, seed=SEEDS[0]
        ),
        expand(f"results/fields/{RUN}.png", variant=COMPARED, dataset=PLANAR, seed=SEEDS[0]),
