from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"  # validates the configuration before Snakemake reads it
include: "workflow/rules/digests.smk"
include: "workflow/rules/stacks.smk"  # hands the plan on to jobs


if workflow.is_main_process:  # remote jobs receive the planned configuration

    configfile: f"{workflow.basedir}/config.yaml"


include: "workflow/rules/data.smk"
include: "workflow/rules/model.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/quality.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/images.smk"
include: "workflow/rules/study.smk"
include: "workflow/rules/recommended.smk"
include: "workflow/rules/steps.smk"
include: "workflow/rules/sweep.smk"
include: "workflow/rules/systems.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/pictures.smk"
include: "workflow/rules/explorer.smk"
include: "workflow/rules/messages.smk"


rule all:
    default_target: True
    input:
        pages("all"),
        pages("images"),
        list(synthetic_tables()),
