"""Regenerate the tables of README.md, docs/ and benchmarks/ from the committed CSVs.

CSVs and figures that are derived from other CSVs are written first (`derived.py`).

    python docs/tables.py
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "workflow")]

from blocks import fill
from derived import (
    ADULT_LABELS,
    CONFIG,
    DERIVED,
    DIGIT_LABELS,
    FAIR_LABELS,
    FIGURES,
    SYSTEM_LABELS,
    side_by_side,
)
from dualscale.metrics.quality.kinds import every_table_metric
from dualscale.metrics.statistics import (
    INTERVAL,
    mean_interval,
    probabilities_of_best,
    welch_interval,
)
from dualscale.metrics.table import COLUMNS, RUN_COLUMNS
from dualscale.parts import REAL
from dualscale.reporting.figures import save_figure
from dualscale.reporting.tables import read_table
from dualscale.reporting.texts import bracket, number, with_interval
from dualscale.runtime.streams import stream_seed
from planning.tables_and_figures import PAGES
from tabulate_hindsight import OTHERS
from tabulate_hindsight import compared as in_hindsight
from tabulate_hindsight import printed as printed_in_hindsight
from tabulate_images import COLUMNS as OF_IMAGES
from tabulate_images import printed as printed_images
from tabulate_images import summarise as measures_of_images
from tabulate_quality import printed as printed_quality
from tabulate_quality import summarised as quality_by_variant
from tabulate_systems import title

STUDY, RECOMMENDED = "docs/study/README.md", "docs/recommended/README.md"
SYSTEMS, BEYOND = "docs/systems/README.md", "docs/beyond/README.md"
DATASETS = ["circle", "dino", "line", "moons"]
LABELS = {
    "baseline": "Baseline",
    "fixed": "Fixed weighting",
    "adaptive": "Adaptive weighting",
    "weight_analysis": "Weight analysis (adaptive again)",
    "improved": "Improved weight network",
    "parameter_matched": "Baseline of the same size",
    "recommended": "Recommended",
    "real": "Fresh real points (floor)",
}
# Table 1's variants, and the released runs that their rows name.
RELEASED = {
    "baseline": "run_0",
    "fixed": "run_1",
    "adaptive": "run_2",
    "weight_analysis": "run_3",
    "improved": "run_5",
}
DIMENSIONS_SHOWN = ["real", "baseline", "dual", "single", "first_order", "recommended"]
BLOCKS: dict[tuple[str, str], Callable[[], str]] = {}


def block(page: str, name: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Register a function as the writer of a page's block."""

    def register(write: Callable[[], str]) -> Callable[[], str]:
        BLOCKS[page, name] = write
        return write

    return register


def read(path: str) -> pd.DataFrame:
    """Return a committed table; names stay text."""
    return read_table(ROOT / path)


def pipe(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Return a Markdown table whose first `texts` columns are left-aligned, the rest right."""
    alignment = ["left"] * texts + ["right"] * (len(header) - texts)
    return tabulate(rows, header, "pipe", disable_numparse=True, colalign=alignment)


def once(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the rows with a first cell that repeats the one above left empty."""
    last, shown = None, []
    for first, *rest in rows:
        shown.append(["" if first == last else first, *rest])
        last = first
    return shown


def kl_of(table: pd.DataFrame, variant: str, dataset: str) -> tuple[float, float, float]:
    """Mean and interval over the seeds of the KL of a variant on a dataset."""
    cell = table[(table["variant"] == variant) & (table["dataset"] == dataset)]
    return mean_interval(cell["kl_bits"].tolist())


def measured(variant: str) -> list[str]:
    """Return a table row of KL: label, number of seeds, mean and interval on every dataset."""
    paths = {"recommended": "docs/recommended/metrics.csv", "real": "docs/recommended/floors.csv"}
    table = read(paths.get(variant, "docs/study/metrics.csv"))
    table = table.assign(variant="real") if variant == "real" else table
    seeds = table[table["variant"] == variant]["seed"].nunique()
    cells = [kl_of(table, variant, dataset) for dataset in DATASETS]
    texts = [f"**{mean:.3f}** {bracket(low, high, '.3f')}" for mean, low, high in cells]
    return [
        LABELS[variant],
        f"measured, {seeds} {'samples' if variant == 'real' else 'seeds'}",
        *texts,
    ]


def published(variant: str) -> list[str]:
    """Return a table row: a variant's published KL and the release's, on every dataset."""
    table = read("workflow/published/table1.csv").set_index(["variant", "dataset"])["kl_bits"]
    release = read("workflow/published/release_runs.csv").set_index(["run", "dataset"])["kl_bits"]
    run = RELEASED[variant]
    pairs = [f"{table[variant, name]:.3f}, {release[run, name]:.3f}" for name in DATASETS]
    return ["", "published, release", *pairs]


HEADER = ["KL in bits", "", *DATASETS]


@block("README.md", "findings")
def findings() -> str:
    """KL of the variants named in the findings."""
    shown = ("adaptive", "parameter_matched", "recommended", "real")
    rows = [measured("baseline"), published("baseline"), *map(measured, shown)]
    return pipe(HEADER, rows, texts=2)


@block(STUDY, "table 1")
def table_1() -> str:
    """KL of every variant, with the published figures below."""
    rows = []
    for variant in LABELS:
        rows.append(measured(variant))
        if variant in RELEASED:
            rows.append(published(variant))
    return pipe(HEADER, rows, texts=2)


def sibling_baselines(dataset: str) -> list[float]:
    """KL of the baselines of the authors' other experiments; two of the four share one."""
    table = read("workflow/published/sibling_experiments.csv")
    return (
        table[(table["run"] == "run_0") & (table["dataset"] == dataset)]["kl_bits"]
        .unique()
        .tolist()
    )


@block(STUDY, "siblings")
def siblings() -> str:
    """Our baseline beside the baselines of the authors' experiments."""
    table = read("docs/study/metrics.csv").query("variant == 'baseline'")
    rows = []
    for dataset in DATASETS:
        ours = table[table["dataset"] == dataset]["kl_bits"].tolist()
        theirs = sibling_baselines(dataset)
        mean, low, high = mean_interval(ours)
        difference, least, most = welch_interval(ours, theirs)
        rows.append(
            [
                dataset,
                with_interval(mean, low, high, ".3f"),
                f"{min(ours):.3f} to {max(ours):.3f}",
                ", ".join(f"{bits:.3f}" for bits in theirs),
                with_interval(difference, least, most, "+.3f"),
            ]
        )
    header = ["dataset", "ours, 8 seeds", "lowest to highest", "the authors' three"]
    return pipe([*header, "difference of the means"], rows)


def compared(pairs: Sequence[tuple[str, str, str]], columns: Sequence[str]) -> list[list[str]]:
    """Rows of pairs of variants: label, dataset, difference with interval, the given columns."""
    table = read("docs/study/comparisons.csv").set_index(["variant", "against", "dataset"])
    texts = {
        "share_of_excess": lambda value: f"{value:+.0%}",
        "p_holm": lambda value: number(value, ".3f"),
        "verdict": lambda value: "equivalent" if value == "same" else value,
    }
    rows = []
    for variant, against, label in pairs:
        for dataset in DATASETS:
            row = table.loc[(variant, against, dataset)]
            difference = f"{row['difference_bits']:+.3f}"
            inside = bracket(row["low_bits"], row["high_bits"], "+.3f")
            rows.append(
                [label, dataset, f"{difference} {inside}", *(texts[c](row[c]) for c in columns)]
            )
    return once(rows)


@block(STUDY, "against the baseline")
def against_baseline() -> str:
    """The paper's three dual-scale variants against the baseline."""
    pairs = [
        (variant, "baseline", LABELS[variant]) for variant in ("fixed", "adaptive", "improved")
    ]
    header = ["against the baseline", "dataset", "difference in bits", "of the excess", "p"]
    columns = ["share_of_excess", "p_holm", "verdict"]
    return pipe([*header, "verdict"], compared(pairs, columns), texts=2)


@block(STUDY, "questions")
def questions() -> str:
    """Pairs of dual-scale variants, the A/A control and the parameter-matched control."""
    pairs = [
        ("adaptive", "fixed", "adaptive against fixed"),
        ("improved", "adaptive", "deeper gating network against adaptive"),
        ("adaptive", "parameter_matched", "adaptive against one branch of the same size"),
        ("weight_analysis", "adaptive", "A/A control: adaptive again"),
    ]
    header = ["question", "dataset", "difference in bits", "p", "verdict"]
    return pipe(header, compared(pairs, ["p_holm", "verdict"]), texts=2)


@block(STUDY, "decomposition")
def decomposition() -> str:
    """Parts of the KL of three variants."""
    table = read("docs/study/decomposition.csv").set_index(["dataset", "variant"])
    parts = ["floor_bits", "start_bits", "steps_bits", "network_bits"]
    rows = []
    for dataset in DATASETS:
        for variant in ("baseline", "adaptive", "parameter_matched"):
            row = table.loc[(dataset, variant)]
            inside = bracket(row["network_low_bits"], row["network_high_bits"], ".3f")
            cells = [number(row[part], ".3f") for part in parts]
            rows.append([dataset, LABELS[variant], *cells, inside, f"{row['kl_bits']:.3f}"])
    header = ["dataset", "variant", "floor", "prior", "discretisation", "network"]
    return pipe([*header, f"{100 * INTERVAL:g} % interval", "KL"], once(rows), texts=2)


ELSEWHERE = {*RUN_COLUMNS, "kl_k5_bits", "reverse_kl_k1_bits", "reverse_kl_k20_bits"}
ELSEWHERE |= {"classifier_p", "kl_of_pooled_draws_bits"}
"""Columns that the tables of metrics leave to the CSVs."""


def metric_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of a table that are metrics to show, beside the KL."""
    return [name for name in COLUMNS if name in table and name not in ELSEWHERE]


def metrics(values: pd.Series) -> list[str]:
    """Return metrics by column as texts with their digits; empty where there is none."""
    return [number(v, f".{COLUMNS[str(name)].digits}f") for name, v in values.items()]


@block(STUDY, "measures")
def measures() -> str:
    """Every metric on dino, averaged over the measured seeds."""
    table = read("docs/study/measures.csv")
    columns = ["kl_bits", *metric_columns(table)]
    mean = table[table["dataset"] == "dino"].groupby("variant")[columns].mean()
    names = {
        "real": "fresh real points",
        "baseline.exact_start": "optimal denoiser, from perturbed data",
        "baseline.exact": "optimal denoiser, from N(0, I)",
    } | {name: label for name, label in LABELS.items() if name in mean.index and name != "real"}
    rows = [[label, *metrics(mean.loc[name])] for name, label in names.items()]
    return pipe(["dino", *(COLUMNS[name].label for name in columns)], rows)


@block(STUDY, "reductions")
def reductions() -> str:
    """Answers to the three questions about each published reduction."""
    table = read("docs/study/claims.csv")
    rows = [
        [
            row["dataset"],
            f"{row['published']:+.1%}",
            f"{row['mean']:+.1%} [{row['low']:+.1%}, {row['high']:+.1%}]",
            row["within_bound"],
            row["published_inside"],
            f"{row['within_margin']} (±{row['margin']:.1%})",
            row["verdict"],
        ]
        for row in table[table["rule"] == "lowers_by"].to_dict("records")
    ]
    header = ["dataset", "published", "measured", "a reduction?", "published inside?"]
    return pipe([*header, "all within the margin?", "verdict"], rows)


@block(STUDY, "claims")
def claims() -> str:
    """Every claim with its rule and verdict."""
    table = read("docs/study/claims.csv").drop_duplicates("claim")
    columns = ["statement", "rule", "verdict"]
    return pipe(["claim", "rule", "verdict"], table[columns].to_numpy().tolist(), texts=3)


@block(STUDY, "released")
def released() -> str:
    """The released protocol on dino against its own baseline, paired by seed."""
    labels = {
        "baseline": "baseline",
        "fixed": "fixed (a learned sigmoid gate there)",
        "adaptive": "adaptive",
        "improved": "improved",
    }
    runs = read("docs/study/released.csv").pivot(index="seed", columns="variant", values="kl_bits")
    rows = []
    for variant, label in labels.items():
        difference = ""
        if variant != "baseline":
            mean, low, high = mean_interval((runs[variant] - runs["baseline"]).tolist())
            difference = with_interval(mean, low, high, "+.3f")
        rows.append([label, f"{runs[variant].mean():.3f}", difference])
    return pipe([f"dino, {len(runs)} seeds", "KL", "against the baseline"], rows)


@block(STUDY, "precision")
def precision() -> str:
    """KL in bfloat16 and in float32, paired by seed."""
    found, keys = read("docs/study/precision.csv"), ["variant", "dataset", "seed"]
    exact = pd.concat([read("docs/study/metrics.csv"), found]).set_index(keys)["kl_bits"]
    rounded = found[found["variant"].str.endswith("_bfloat16")].copy()
    rounded["variant"] = rounded["variant"].str.removesuffix("_bfloat16")
    labels = LABELS | {"first_order": "Recommended, drawn target, first-order sampler"}
    pairs = rounded.set_index(keys)[["kl_bits"]].join(exact.rename("exact"), how="inner")
    rows = []
    for (variant, dataset), pair in pairs.groupby(level=[0, 1], sort=False):
        mean, low, high = mean_interval((pair["kl_bits"] - pair["exact"]).tolist())
        means = [f"{pair[name].mean():.4f}" for name in ("exact", "kl_bits")]
        cells = [str(len(pair)), *means, with_interval(mean, low, high, "+.4f")]
        rows.append([labels[variant], dataset, *cells])
    return pipe(["variant", "dataset", "seeds", "float32", "bfloat16", "difference"], rows, texts=2)


@block(RECOMMENDED, "above the floor")
def above_floor() -> str:
    """KL above the floor of three variants, and the recipe's share of the paper's best."""
    table = read("docs/recommended/excess.csv").set_index(["dataset", "variant"])
    rows = []
    for dataset in DATASETS:
        own = table.loc[(dataset, "recommended")]
        cells = [excess(table.loc[(dataset, name)]) for name in ("baseline", "improved")]
        base = [
            f"{own[name]:.4f}" for name in ("floor_bits", "floor_sd_bits", "published_excess_bits")
        ]
        rows.append([dataset, *base, *cells, f"**{excess(own)}**", share(own)])
    header = ["dataset", "floor", "its sd", "paper's best", "baseline", "improved", "recommended"]
    return pipe([*header, "share of the paper's best"], rows)


def excess(row: pd.Series) -> str:
    """Return the KL above the floor with its interval."""
    inside = bracket(row["low_bits"], row["high_bits"], ".4f")
    return f"{row['excess_bits']:.4f} {inside}".strip()


def share(row: pd.Series) -> str:
    """Return the share of the excess of the paper's best variant, in percent."""
    names = ("share_of_published", "share_low", "share_high")
    mean, low, high = (100 * row[name] for name in names)
    return f"{mean:.1f} % {bracket(low, high, '.1f')}"


@block(RECOMMENDED, "fresh seeds")
def fresh_seeds() -> str:
    """The recipe on seeds not used for tuning."""
    table = read("docs/recommended/fresh_excess.csv").set_index("dataset")
    rows = [
        [dataset, excess(table.loc[dataset]), share(table.loc[dataset])] for dataset in DATASETS
    ]
    return pipe(["dataset", "recommended", "share of the paper's best"], rows)


@block(RECOMMENDED, "untuned")
def untuned() -> str:
    """The recipe on distributions not used for tuning."""
    table = read("docs/recommended/untuned_excess.csv").set_index(["dataset", "variant"])
    rows = [
        [dataset, *(excess(table.loc[(dataset, name)]) for name in ("baseline", "recommended"))]
        for dataset in dict.fromkeys(table.index.get_level_values("dataset"))
    ]
    return pipe(["dataset", "baseline", "recommended"], rows)


@block(RECOMMENDED, "two branches")
def two_branches() -> str:
    """The recipe with two branches against the recipe with one, paired by seed."""
    runs = read("docs/recommended/metrics.csv")
    margin = CONFIG["study"]["margin_bits"]
    rows = []
    for dataset in DATASETS:
        cell = runs[runs["dataset"] == dataset].pivot(
            index="seed", columns="variant", values="kl_bits"
        )
        mean, low, high = mean_interval((cell["recommended_dual"] - cell["recommended"]).tolist())
        inside = -margin < low and high < margin
        kls = [f"{cell[name].mean():.4f}" for name in ("recommended", "recommended_dual")]
        difference = with_interval(mean, low, high, "+.4f")
        rows.append([dataset, *kls, difference, "equivalent" if inside else "undecided"])
    header = ["dataset", "recommended, KL", "with two branches, KL", "difference", ""]
    return pipe(header, rows)


@block(RECOMMENDED, "measures")
def recommended_measures() -> str:
    """Every metric of the baseline, the recipe and fresh real points on all datasets."""
    table = read("docs/recommended/measures.csv").rename(columns={"ode": "ode_kl_bits"})
    table = table.set_index(["dataset", "variant"])
    columns = metric_columns(table)
    rows = [
        [
            dataset,
            LABELS[variant].partition(" (")[0],
            *metrics(table.loc[(dataset, variant), columns]),
        ]
        for dataset in DATASETS
        for variant in ("baseline", "recommended", "real")
    ]
    return pipe(["dataset", "", *(COLUMNS[name].label for name in columns)], once(rows), texts=2)


BESIDE_THE_KL = {
    "off_support_share": "share off support",
    "blob_width_ratio": "width, of the real",
    "coverage": "coverage",
    "classifier_accuracy": "C2ST accuracy",
}


def number_of(cell: pd.DataFrame, column: str) -> str:
    """Return the text of a column's mean over the runs."""
    return number(cell[column].mean(), ".3f")


@block(RECOMMENDED, "ways of sampling")
def ways_of_sampling() -> str:
    """KL above the floor and the metrics beside it, by way of sampling, on fresh seeds."""
    runs, floors = read("docs/recommended/samplers.csv"), read("docs/recommended/floors.csv")
    fresh = floors.groupby("dataset")["kl_bits"].apply(list)
    rows = []
    for (dataset, way), cell in runs.groupby(["dataset", "sampling"], sort=False):
        above, low, high = welch_interval(cell["kl_bits"].tolist(), fresh[dataset])
        cells = [number_of(cell, name) for name in BESIDE_THE_KL]
        rows.append([str(dataset), str(way), with_interval(above, low, high, ".4f"), *cells])
    header = ["dataset", "sampling", "KL above the floor", *BESIDE_THE_KL.values()]
    return pipe(header, once(rows), texts=2)


DISTILLED = {
    ("recommended", "sde_50"): "the recipe",
    ("recommended", "sde_4"): "the recipe",
    ("recommended_distilled", "consistency"): "distilled to four",
    ("recommended_distilled_one", "consistency"): "distilled to one",
}


@block(RECOMMENDED, "distilled")
def distilled() -> str:
    """KL above the floor and the metrics beside it, of the recipe and of it distilled."""
    runs, floors = read("docs/recommended/distilled.csv"), read("docs/recommended/floors.csv")
    fresh = floors.groupby("dataset")["kl_bits"].apply(list)
    keys = ["dataset", "variant", "sampling", "evaluations"]
    cells = dict(iter(runs.groupby(keys, sort=False)))
    rows = []
    for dataset in DATASETS:
        for (variant, way), label in DISTILLED.items():
            for count in (50, 4, 2, 1):
                if (cell := cells.get((dataset, variant, way, count))) is None:
                    continue
                above, low, high = welch_interval(cell["kl_bits"].tolist(), fresh[dataset])
                others = [number_of(cell, name) for name in BESIDE_THE_KL]
                shown = with_interval(above, low, high, ".3f")
                rows.append([dataset, label, str(count), shown, *others])
    header = ["dataset", "", "evaluations", "KL above the floor", *BESIDE_THE_KL.values()]
    return pipe(header, once(rows), texts=2)


@block(RECOMMENDED, "training targets")
def training_targets() -> str:
    """The recipe with the stable target beside the drawn one, by way of sampling and seed."""
    runs = read("docs/recommended/targets.csv").set_index("variant")
    floors = read("docs/recommended/floors.csv").groupby("dataset")["kl_bits"].apply(list)
    drawn = runs.loc["recommended_drawn"].set_index(["dataset", "sampling", "seed"]).sort_index()
    rows = []
    for (dataset, way), cell in runs.loc["recommended"].groupby(
        ["dataset", "sampling"], sort=False
    ):
        values, kls = cell.set_index("seed"), floors[dataset]
        change, old = "", ""
        if (dataset, way) in drawn.index.droplevel("seed"):
            other = drawn.loc[(dataset, way)]
            old = f"{other['kl_bits'].mean() - pd.Series(kls).mean():.4f}"
            paired = (values["kl_bits"] - other["kl_bits"]).tolist()
            change = with_interval(*mean_interval(paired), "+.4f")
        above = with_interval(*welch_interval(values["kl_bits"].tolist(), kls), ".4f")
        shown = ["off_support_share", "blob_width_ratio", "classifier_accuracy"]
        others = [number(value, ".3f") for value in cell[shown].mean()]
        rows.append([str(dataset), str(way), old, above, change, *others])
    header = ["dataset", "sampling", "drawn target", "stable target", "difference"]
    rest = ["share off support", "width, of the real", "C2ST accuracy"]
    return pipe([*header, *rest], once(rows), texts=2)


@block(RECOMMENDED, "fewest")
def fewest() -> str:
    """Fewest evaluations within the margin, one column per way of sampling."""
    table = read("docs/recommended/fewest.csv")
    ways = list(dict.fromkeys(table["sampling"]))
    rows = []
    for (variant, dataset), cell in table.groupby(["variant", "dataset"], sort=False):
        found = cell.set_index("sampling")["fewest_evaluations"]
        tried = found.map(lambda least: "none" if pd.isna(least) else f"{least:.0f}")
        fewest = [tried.get(name, "") for name in ways]
        rows.append([LABELS[str(variant)], str(dataset), *fewest])
    return pipe(["", "dataset", *ways], once(rows), texts=2)


@block(STUDY, "hindsight")
def weights_in_hindsight() -> str:
    """KL with the learned branch weights, and with others in their place."""
    rows = printed_in_hindsight(in_hindsight(read("docs/study/hindsight.csv")))
    header = ["dino", "learned", *OTHERS.values()]
    return pipe(header, [[LABELS[variant], *texts] for variant, _, *texts in rows])


SAME_SIZE, SAME_TIME = 0.02, 1.1
"""Largest deviation from the baseline's parameters, and largest multiple of its training time."""


def kinds_of_systems(cell: pd.DataFrame) -> dict[str, pd.Series]:
    """Return which systems of a dataset are of each kind, by the kind's name."""
    networks, base = cell["kind"] == "network", cell.loc["baseline"]
    same_size = networks & ((cell["parameters"] / base["parameters"] - 1).abs() <= SAME_SIZE)
    in_time = cell["train_seconds"] <= SAME_TIME * base["train_seconds"]
    return {
        "of the baseline's size": same_size,
        "and of its training time": same_size & in_time,
        "wider networks": networks & ~same_size,
        "classical": cell["kind"] == "classical",
    }


@block(SYSTEMS, "best of each kind")
def best_of_each_kind() -> str:
    """Lowest KL of each kind of system, and what is as good, per dataset."""
    runs, margin, rows = read("docs/systems/metrics.csv"), CONFIG["study"]["margin_bits"], []
    for dataset, cell in side_by_side().set_index("variant").groupby("dataset", sort=False):
        for kind, chosen in kinds_of_systems(cell).items():
            names = cell.index[chosen & (cell["seeds"] > 1)]
            kls = [
                runs[(runs["variant"] == name) & (runs["dataset"] == dataset)]["kl_bits"].tolist()
                for name in names
            ]
            seed = stream_seed("probability of being the best", str(dataset), kind)
            found = pd.Series(probabilities_of_best(kls, margin, seed), names)
            first, *others = found[found > 0.05].sort_values(ascending=False).index
            best = cell.loc[first]
            rows.append(
                [
                    str(dataset),
                    kind,
                    SYSTEM_LABELS[first],
                    f"{found[first]:.2f}",
                    with_interval(best["excess_bits"], best["low_bits"], best["high_bits"], ".3f"),
                    "; ".join(f"{SYSTEM_LABELS[name]} ({found[name]:.2f})" for name in others),
                ]
            )
    header = ["dataset", "systems", "most probably best", "P(best)", "KL above the floor"]
    return pipe([*header, "others with more than 0.05"], once(rows), texts=3)


@block(SYSTEMS, "systems")
def every_system() -> str:
    """Every system and reference on every dataset, by KL."""
    table = side_by_side()
    base = table[table["variant"] == "baseline"].set_index("dataset")["train_seconds"]
    measures = ["off_support_share", "classifier_accuracy", "coverage", "nearest_training"]
    shown = table[table["kind"] != "published"]
    shown = shown.assign(last=shown["kind"] == "reference")
    rows = [
        [
            row["dataset"],
            title(row["variant"], row["kind"], SYSTEM_LABELS),
            str(row["seeds"]),
            number(row["parameters"], ",.0f"),
            number(row["train_seconds"] / base[row["dataset"]], ".2f"),
            with_interval(row["excess_bits"], row["low_bits"], row["high_bits"], ".3f"),
            number(row["p_best"], ".2f"),
            *(number(row[name], f".{COLUMNS[name].digits}f") for name in measures),
        ]
        for row in shown.sort_values(["dataset", "last", "excess_bits"]).to_dict("records")
    ]
    header = ["dataset", "system", "runs", "parameters", "training time, of the baseline's"]
    header += ["KL above the floor", "P(best)", *(COLUMNS[name].label for name in measures)]
    return pipe(header, once(rows), texts=2)


@block(SYSTEMS, "siblings judged")
def siblings_judged() -> str:
    """What two of the authors' sibling experiments found, and what we find."""
    rows = [
        [
            row["statement"],
            f"{row['published']:+.1%}",
            f"{row['mean']:+.1%} [{row['low']:+.1%}, {row['high']:+.1%}]",
            row["verdict"],
        ]
        for row in read("docs/systems/claims.csv").to_dict("records")
        if row["seeds"]
    ]
    return pipe(["claim", "published", "measured", "verdict"], rows)


def in_dimensions(
    variant: str, column: str, path: str = "docs/recommended/dimensions.csv"
) -> pd.DataFrame:
    """Return a column of a variant's runs in more dimensions, a row per seed, a column per d."""
    runs = read(path)
    runs = runs.assign(d=runs["dataset"].str.removeprefix("gaussians_").astype(int))
    cell = runs[runs["variant"] == variant]
    return cell.pivot(index="seed", columns="d", values=column)


@block(RECOMMENDED, "dimensions")
def dimensions() -> str:
    """KL above the floor in more dimensions, and two branches less one of the same size."""
    kl = {name: in_dimensions(name, "kl_k5_bits") for name in DIMENSIONS_SHOWN}
    sizes = in_dimensions("dual", "parameters").iloc[0]
    rows = []
    for d in kl["real"]:
        floor = kl["real"][d]
        above = [f"{kl[name][d].mean() - floor.mean():.3f}" for name in list(kl)[1:]]
        mean, low, high = mean_interval((kl["dual"][d] - kl["single"][d]).tolist())
        difference = with_interval(mean, low, high, "+.3f")
        rows.append([f"{d}", f"{sizes[d]:,.0f}", f"{floor.mean():.3f}", *above, difference])
    header = ["d", "parameters of two branches", "floor", "baseline", "two branches"]
    header += ["one branch of the same size", "first-order recipe", "recommended"]
    return pipe([*header, "two branches less one"], rows, texts=0)


@block(RECOMMENDED, "dimensions measures")
def dimensions_measures() -> str:
    """Share of samples off the support, and the classifier's accuracy, in more dimensions."""
    rows = []
    for d in in_dimensions("real", "coverage"):
        cells = [
            f"{in_dimensions(name, column)[d].mean():.3f}"
            for column in ("off_support_share", "classifier_accuracy")
            for name in DIMENSIONS_SHOWN
        ]
        rows.append([f"{d}", *cells])
    names = ["real", "baseline", "two branches", "one branch", "first order", "recommended"]
    header = ["d", *(f"off support: {name}" for name in names)]
    return pipe([*header, *(f"classifier: {name}" for name in names)], rows, texts=0)


@block("benchmarks/README.md", "drawing")
def drawing() -> str:
    """Cost of the random numbers within the work that they are for."""
    rows = [
        [
            row.work,
            number(row.drawing_ms, ".3g"),
            f"{row.total_ms:.3g}" if row.total_ms < 100 else f"{row.total_ms:,.0f}",
            number(row.share, ".2%"),
            number(row.peak_mb, ".0f"),
        ]
        for row in read("benchmarks/drawing.csv").itertuples()
    ]
    return pipe(["work", "drawing, ms", "in all, ms", "share", "peak memory, MB"], rows)


@block("benchmarks/README.md", "one core")
def one_core() -> str:
    """Share of the product rate and ratio to the plain loop, for every variant."""
    rows = [
        [
            row.variant,
            f"{row.training_share_of_ceiling:.0%}",
            f"{row.sampling_share_of_ceiling:.0%}",
            f"{row.plain_ms_a_step:.2f}",
            f"{row.ms_a_step:.2f}",
            f"{row.training_ratio:.2f}",
            f"{row.plain_sampling_seconds:.2f}",
            f"{row.sampling_seconds:.2f}",
            f"{row.sampling_ratio:.2f}",
            f"{row.plain_peak_mb:.0f} / {row.peak_mb:.0f}",
        ]
        for row in read("benchmarks/cpu.csv").itertuples()
    ]
    header = ["variant", "training, share of ceiling", "sampling, share of ceiling"]
    header += ["plain, ms per step", "ours", "ratio", "plain, sampling s", "ours", "ratio"]
    return pipe([*header, "peak MB, plain / ours"], rows)


@block("benchmarks/README.md", "a step")
def a_step() -> str:
    """Milliseconds of a training step by operation, and the shares that could be reached."""
    rows = [
        [
            row.variant,
            *(f"{value:.2f}" for value in row[2:8]),
            f"{row.at_ceiling:.2f}",
            f"{row.at_ceiling / row.whole:.0%}",
            f"{row.at_ceiling / row.products:.0%}",
        ]
        for row in read("benchmarks/profile.csv").itertuples()
    ]
    header = [
        "ms per step",
        "products",
        "sin, cos",
        "Adam",
        "other operations",
        "dispatch",
        "whole",
    ]
    header += ["products at the ceiling", "share of ceiling", "of the products alone"]
    return pipe(header, rows)


@block("benchmarks/README.md", "bfloat16")
def bfloat16() -> str:
    """Speed of training and sampling in bfloat16 beside float32."""
    rows = [
        [
            row.variant,
            f"{row.ms_a_step:.2f}",
            f"{row.bfloat16_ms_a_step:.2f}",
            f"{row.bfloat16_training_ratio:.2f}",
            f"{row.sampling_seconds:.2f}",
            f"{row.bfloat16_sampling_seconds:.2f}",
            f"{row.bfloat16_sampling_ratio:.2f}",
        ]
        for row in read("benchmarks/cpu.csv").itertuples()
    ]
    header = ["variant", "ms per step, float32", "bfloat16", "ratio"]
    return pipe([*header, "sampling s, float32", "bfloat16", "ratio"], rows)


@block("benchmarks/README.md", "short jobs")
@block("docs/guides/slurm.md", "short jobs")
def short_jobs() -> str:
    """Time of 64 short jobs by each way of submitting them."""
    names = {"local": "without Slurm", "one allocation": "`snakemake` in one allocation"}
    rows = [
        [
            names.get(row.way, row.way),
            str(row.slurm_jobs),
            f"{row.last_result_seconds:.0f}",
            f"{row.seconds:.0f}",
            f"{row.last_result_seconds * row.cores / row.cells:.1f}",
        ]
        for row in read("benchmarks/groups.csv").itertuples()
    ]
    header = ["way", "Slurm jobs", "last result after, s", "end after, s"]
    return pipe([*header, "processor seconds per estimate"], rows)


@block("benchmarks/README.md", "the whole run")
def whole_run() -> str:
    """Breakdown of the default run's time."""
    value = read("benchmarks/workflow.csv").set_index("quantity")["value"]

    def seconds(name: str) -> float:
        return float(value[name])

    wall, work = seconds("workflow_wall_seconds"), seconds("jobs_work_over_cores_seconds")
    outside = seconds("outside_the_jobs_seconds")
    rows = [
        ["plain loop, 20 models one after another", seconds("plain_loop_seconds_projected")],
        ["the workflow, wall time", wall],
        ["its jobs' own work (steps, sampling, KL), over two cores", work],
        [
            "jobs' start-up (imports, reading, evaluation loss), over two cores",
            wall - work - outside,
        ],
        ["outside the jobs: Snakemake, table, figures, idle cores", outside],
        ["ceiling: all products at their rate on both cores", seconds("ceiling_seconds")],
    ]
    return pipe(["", "seconds"], [[text, f"{number:.0f}"] for text, number in rows])


@block("docs/reliability.md", "graph")
def graph() -> str:
    """Time and memory of a graph of 25,600 runs."""
    rows = [
        [row.what, f"{row.jobs:,}", f"{row.seconds:.1f}", f"{row.peak_mib:,}"]
        for row in read("benchmarks/graph.csv").itertuples()
    ]
    return pipe(["", "jobs", "seconds", "peak MiB"], rows)


@block("benchmarks/README.md", "order")
def order() -> str:
    """Time of a search of neighbours with the points as given, and close points in turn."""
    rows = [
        [
            row.data,
            f"{row.points:,}",
            f"{row.others:,}",
            f"{row.given_seconds:.3g}",
            f"{row.ordered_seconds:.3g}",
            f"{row.ordered_seconds / row.given_seconds:.2f}",
        ]
        for row in read("benchmarks/order.csv").itertuples()
    ]
    header = ["data", "points", "others", "as given, s", "close points in turn, s", "ratio"]
    return pipe(header, rows)


@block(BEYOND, "digits")
def digits() -> str:
    """Metrics of images of digits beside those of real ones."""
    table = measures_of_images(read("docs/beyond/digits/metrics.csv"), [REAL, *DIGIT_LABELS])
    rows = printed_images(table, {REAL: "Real images", **DIGIT_LABELS})
    return pipe(["", *(column.label for column in OF_IMAGES)], [row[1:] for row in rows])


@block(BEYOND, "fair")
def fair() -> str:
    """Quality of generated rows of fair, beside real ones'."""
    table, labels = read("docs/beyond/fair/quality.csv"), {REAL: "Real rows", **FAIR_LABELS}
    columns = [each for metric in every_table_metric() for each in metric.columns()]
    columns = [each for each in columns if each.name in table]
    header = ["", "tables", *(column.label for column in columns)]
    return pipe(header, printed_quality(table, labels, columns))


@block(BEYOND, "trefoil")
def trefoil() -> str:
    """KL above the floor of the trefoil, and other metrics."""
    runs, floors = (read(f"docs/beyond/trefoil/{name}.csv") for name in ("metrics", "floors"))
    measures = read("docs/beyond/trefoil/measures.csv")
    shown = ["off_support_share", "coverage", "classifier_accuracy"]
    rows = []
    for name in ("baseline", "recommended", REAL):
        cell, metrics = (table[table["variant"] == name] for table in (runs, measures))
        means = [number(metrics[column].mean(), f".{COLUMNS[column].digits}f") for column in shown]
        if name == REAL:
            rows.append([LABELS[name], "", *means, ""])
            continue
        above = welch_interval(cell["kl_bits"].tolist(), floors["kl_bits"].tolist())
        seconds = cell["train_seconds"].median()
        rows.append([LABELS[name], with_interval(*above, ".3f"), *means, f"{seconds:.0f}"])
    header = ["", "KL above the floor", *(COLUMNS[name].label for name in shown), "training, s"]
    return pipe(header, rows)


@block(BEYOND, "adult")
def adult() -> str:
    """Macro F1 of CatBoost and quality of generated rows of Adult, beside published figures."""
    runs, f1 = read("docs/beyond/adult/quality.csv"), adult_f1()
    labels = {
        REAL: "Real rows",
        **{name: ADULT_LABELS[name] for name in ADULT_LABELS if name in f1},
    }
    columns = [each for metric in every_table_metric() for each in metric.columns()]
    columns = [each for each in columns if runs[each.name].notna().any()]
    found = quality_by_variant(runs, labels, columns)
    header = ["", "CatBoost's macro F1", "published", *(column.label for column in columns)]
    known = adult_published()
    rows = [
        [label, with_interval(*mean_interval(f1[name]), ".3f"), known.get(name, ""), *cells[2:]]
        for (name, label), cells in zip(
            labels.items(), printed_quality(found, labels, columns), strict=True
        )
    ]
    return pipe(header, rows)


def adult_f1() -> dict[str, list[float]]:
    """Macro F1 of every variant on Adult: means over CatBoost's seeds, one per table."""
    runs = read("docs/beyond/adult.csv").groupby("method")["macro_f1"]
    return {str(name): values.tolist() for name, values in runs}


def adult_published() -> dict[str, str]:
    """Published macro F1 on Adult, by the variant of the same name; TabDDPM's beside ours."""
    known = read("workflow/published/tabddpm_catboost.csv").set_index("method")
    names = {"real": REAL, "smote": "smote", "ddpm_cb_best": "multinomial"}
    cells = known.loc[list(names), ["test_mean", "test_std"]].itertuples()
    return {names[row.Index]: f"{row.test_mean:.3f} ± {row.test_std:.3f}" for row in cells}


@block(BEYOND, "given columns")
def given_columns() -> str:
    """KL of draws given a word, a number or nothing, beside its floor."""
    table = read("docs/beyond/conditioning/kl.csv").fillna("")
    rows = []
    for (given, value), part in table.groupby(["given", "value"], sort=False):
        kl = part.groupby("drawn")["kl_bits"].apply(list)
        rows.append([f"{given} = {value}" if value else given])
        for name in ("real", "conditional", "unconditional", "plain"):
            low_mean_high = mean_interval(kl[name]) if name in kl else None
            rows[-1].append(with_interval(*low_mean_high, ".3f") if low_mean_high else "")
    header = ["given", "floor", "draws given it", "draws of whole rows", "without conditioning"]
    return pipe(header, rows)


WHITENED, WHITENING = "docs/beyond/dimensions.csv", "docs/beyond/whitening.csv"
WHITENED_SHOWN = {
    "real": "Fresh real points",
    "baseline": "Baseline",
    "first_order": "Recommended, drawn target, first-order sampler",
    "recommended_whitened": "Recommended, whitened",
    "mixture": "Gaussian mixture",
}
WHITENING_SHOWN = {
    "first_order": "Recommended, drawn target, first-order sampler",
    "second_order": "… second-order sampler",
    "whitening": "… whitened data",
    "few_features": "… 8 features per coordinate up to 4 rad, width 288",
    "recommended_whitened": "… batches of 512, higher rate and noise levels",
    "first_order.exact": "Optimal denoiser, first-order sampler",
    "second_order.exact": "Optimal denoiser, second-order sampler",
}
IN_DIMENSIONS = ["KL above the floor", "share off support", "width, of the real", "C2ST accuracy"]


def cells_in_dimensions(name: str, d: int, path: str) -> list[str]:
    """Return the KL above real points', and other metrics, of a variant in d dimensions."""
    kl, floor = (in_dimensions(each, "kl_k5_bits", path)[d] for each in (name, "real"))
    columns = {"off_support_share": ".4f", "blob_width_ratio": ".3f", "classifier_accuracy": ".3f"}
    means = [
        number(in_dimensions(name, column, path)[d].mean(), form)
        for column, form in columns.items()
    ]
    above = (
        ""
        if name == "real"
        else with_interval(*mean_interval((kl - floor).dropna().tolist()), ".3f")
    )
    return [above, *means]


@block(BEYOND, "dimensions")
def whitened_dimensions() -> str:
    """Metrics of the whitened recipe and of others in many dimensions."""
    rows = []
    for d in in_dimensions("real", "coverage", WHITENED):
        base = in_dimensions("baseline", "train_seconds", WHITENED)[d]
        for name, label in WHITENED_SHOWN.items():
            cells = cells_in_dimensions(name, d, WHITENED)
            if name == "real":
                rows.append([f"{d}", label, *cells, "", ""])
                continue
            seconds = in_dimensions(name, "train_seconds", WHITENED)[d]
            size = in_dimensions(name, "parameters", WHITENED)[d].mean()
            rows.append([f"{d}", label, *cells, f"{size:,.0f}", f"{(seconds / base).median():.2f}"])
    header = ["d", "", *IN_DIMENSIONS, "parameters", "training time, of the baseline's"]
    return pipe(header, once(rows), texts=2)


@block(BEYOND, "whitening")
def whitening() -> str:
    """Metrics from the recipe to the whitened one, change by change, in 32 dimensions."""
    rows = [
        [label, *cells_in_dimensions(name, 32, WHITENING)]
        for name, label in WHITENING_SHOWN.items()
    ]
    return pipe(["", *IN_DIMENSIONS], rows)


@block("results/README.md", "pages")
def results() -> str:
    """The tables and figures of results/."""
    rows = [
        [f"`{result.stem}`", ", ".join(result.formats), result.title, f"`{result.target}`"]
        for result in PAGES.values()
    ]
    return pipe(["file", "formats", "what", "target"], rows, texts=4)


def page(name: str) -> str:
    """Return a page with regenerated blocks."""
    text = (ROOT / name).read_text()
    for (owner, block_name), write in BLOCKS.items():
        if owner == name:
            text = fill(text, block_name, write())
    return text


if __name__ == "__main__":
    for path, text in DERIVED.items():
        (ROOT / path).write_text(text())
    for path, draw in FIGURES.items():
        save_figure(draw(), [ROOT / path])
    for name in dict.fromkeys(owner for owner, _ in BLOCKS):
        (ROOT / name).write_text(page(name))
