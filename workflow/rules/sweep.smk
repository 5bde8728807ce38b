# Search among settings of a variant: candidates, in rounds of successive halving. A candidate is a variant, and so
# is its shorter training in an earlier round; all of them are in the plan that jobs are handed. Which of them train
# in a round is known when the round before has been judged.
from planning.rounds import Rounds

SWEEP = CONFIG["sweep"]
JUDGED_ON = SWEEP["datasets"] or DATASETS
ROUNDS = Rounds(CONFIG, COLLECTED, checkpoints)
OF_ROUNDS = expand("results/sweep/rounds/{round}.csv", round=ROUNDS.numbers)
NO_CHOICES = "sweep.choices is empty: list values to try, as workflow/protocols/sweep.yaml does"


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
        records=lambda wildcards: expand(
            f"results/{{kind}}/{RUN}.json",
            kind=ROUNDS.kinds(wildcards),
            variant=ROUNDS.trained(wildcards),
            dataset=JUDGED_ON,
            seed=SWEEP["seeds"],
        ),
    output:
        tables="results/sweep/runs/{round}.csv",
    log:
        "results/logs/collect_round/{round}.log",
    wildcard_constraints:
        round="|".join(map(str, ROUNDS.numbers)),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        columns=[*RUN_COLUMNS, "off_support_share", "coverage"],
        planned=lambda wildcards: planned(
            ROUNDS.kinds(wildcards), ROUNDS.possible(wildcards).values(), JUDGED_ON
        ),
        code=code_digest("collect_records"),
    message:
        "Collect the runs of round {wildcards.round}"
    script:
        script_path("collect_records")


# Only with candidates, since each remote job considers all rules of a workflow that has a checkpoint.
if ROUNDS.candidates:

    checkpoint judge_round:
        input:
            runs="results/sweep/runs/{round}.csv",
            floors=expand("results/floors/{dataset}.csv", dataset=JUDGED_ON),
        output:
            table="results/sweep/rounds/{round}.csv",
        log:
            "results/logs/judge_round/{round}.log",
        wildcard_constraints:
            round="|".join(map(str, ROUNDS.numbers)),
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            settings=ROUNDS.settings,
            code=code_digest("judge_round"),
        message:
            "Judge round {wildcards.round}"
        script:
            script_path("judge_round")


rule tabulate_sweep:
    input:
        rounds=OF_ROUNDS,
    output:
        tables=page("sweep/sweep"),
    log:
        "results/logs/tabulate_sweep.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"tried": ROUNDS.tried(), "datasets": JUDGED_ON, "variant": SWEEP["variant"]},
        code=code_digest("tabulate_sweep"),
    message:
        "Tabulate the settings that were tried"
    script:
        script_path("tabulate_sweep")


rule plot_sweep:
    input:
        rounds=OF_ROUNDS,
    output:
        figures=page("sweep/figure10"),
    log:
        "results/logs/plot_sweep.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings={"tried": ROUNDS.tried(), "variant": SWEEP["variant"]},
        code=code_digest("plot_sweep"),
    message:
        "Plot Figure 10"
    script:
        script_path("plot_sweep")


rule sweep:
    input:
        lambda wildcards: pages("sweep") if ROUNDS.candidates else sys.exit(NO_CHOICES),
