# Search among settings of a variant: candidates, in rounds of successive halving. A candidate is a variant, and so
# is its shorter training in an earlier round; all of them are in the plan that jobs are handed. Which of them train
# in a round is known when the round before has been judged.
import csv

from dualscale.config.sweep import varied

CANDIDATES = CONFIG["candidates"]  # by name, the variants that it trains, one per round
TUNING, LAST_ROUND = CONFIG["sweep"]["seeds"], CONFIG["sweep"]["halving"]["rounds"]
ROUNDS = range(1, LAST_ROUND + 1)
JUDGED_ON = CONFIG["sweep"]["datasets"] or DATASETS
TRIED = varied({name: CONFIG["variants"][name] for name in CANDIDATES})


def kinds_of_round(number):
    """Kinds of records by which the candidates of a round are judged."""
    return COLLECTED + (["candidate_measures"] if number == LAST_ROUND else [])


def trained_in(number):
    """Variants that candidates would train in a round, by candidate."""
    return {name: variants[number - 1] for name, variants in CANDIDATES.items()}


def records_of_round(wildcards):
    """Records of the candidates in a round: all in the first, later those that were kept."""
    number = int(wildcards.round)
    variants = trained_in(number)
    if number > 1:
        with checkpoints.judge_round.get(round=number - 1).output[0].open() as file:
            kept = [row["candidate"] for row in csv.DictReader(file) if row["kept"] == "True"]
        variants = {name: variants[name] for name in kept if name in variants}
    return expand(
        f"results/{{kind}}/{RUN}.json",
        kind=kinds_of_round(number),
        variant=variants.values(),
        dataset=JUDGED_ON,
        seed=TUNING,
    )


def planned_of_round(wildcards):
    number = int(wildcards.round)
    return planned(kinds_of_round(number), trained_in(number).values(), JUDGED_ON)


def settings_of_round(wildcards):
    number = int(wildcards.round)
    variants = trained_in(number)
    return {
        "candidates": {variant: name for name, variant in variants.items()},
        "factor": None if number == LAST_ROUND else CONFIG["sweep"]["halving"]["factor"],
        "round": number,
        "steps": {
            name: CONFIG["variants"][variant]["training"]["steps"]
            for name, variant in variants.items()
        },
        "unchanged": CONFIG["sweep"]["variant"],
    }


def pages_of_sweep(wildcards):
    if not CANDIDATES:
        sys.exit(
            "sweep.choices is empty: list values to try, as workflow/protocols/sweep.yaml does"
        )
    return pages("sweep")


rule evaluate_candidate:
    input:
        unpack(training_points),
        real=real_points,
        neighbours=neighbours(CONFIG["kl"]["k"]),
        generated=f"results/samples/{RUN}.npy",
    output:
        record=f"results/candidate_measures/{RUN}.json",
    log:
        f"results/logs/evaluate_candidate/{RUN}.log",
    benchmark:
        f"results/benchmarks/evaluate_candidate/{RUN}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=candidate_measures_settings,
        digest=own_digest("candidate_measures"),
        code=code_digest("evaluate_distances"),
    message:
        "Measure candidate {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        script_path("evaluate_distances")


rule collect_round:
    input:
        records=records_of_round,
    output:
        tables="results/sweep/runs/{round}.csv",
    log:
        "results/logs/collect_round/{round}.log",
    wildcard_constraints:
        round="|".join(map(str, ROUNDS)),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        columns=[*RUN_COLUMNS, "off_support_share", "coverage"],
        planned=planned_of_round,
        code=code_digest("collect_records"),
    message:
        "Collect the runs of round {wildcards.round}"
    script:
        script_path("collect_records")


if CANDIDATES:  # With a checkpoint, which need not be used, each remote job considers all rules.

    checkpoint judge_round:
        input:
            runs="results/sweep/runs/{round}.csv",
            floors=expand("results/floors/{dataset}.csv", dataset=JUDGED_ON),
        output:
            table="results/sweep/rounds/{round}.csv",
        log:
            "results/logs/judge_round/{round}.log",
        wildcard_constraints:
            round="|".join(map(str, ROUNDS)),
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            settings=settings_of_round,
            code=code_digest("judge_round"),
        message:
            "Judge round {wildcards.round}"
        script:
            script_path("judge_round")


rule tabulate_sweep:
    input:
        rounds=expand("results/sweep/rounds/{round}.csv", round=ROUNDS),
    output:
        tables=page("sweep/sweep"),
    log:
        "results/logs/tabulate_sweep.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"tried": TRIED, "datasets": JUDGED_ON, "variant": CONFIG["sweep"]["variant"]},
        code=code_digest("tabulate_sweep"),
    message:
        "Tabulate the settings that were tried"
    script:
        script_path("tabulate_sweep")


rule plot_sweep:
    input:
        rounds=expand("results/sweep/rounds/{round}.csv", round=ROUNDS),
    output:
        figures=page("sweep/figure10"),
    log:
        "results/logs/plot_sweep.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"tried": TRIED, "variant": CONFIG["sweep"]["variant"]},
        code=code_digest("plot_sweep"),
    message:
        "Plot Figure 10"
    script:
        script_path("plot_sweep")


rule sweep:
    input:
        pages_of_sweep,
