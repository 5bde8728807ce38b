"""Tables and figures derived from the committed runs, by the workflow's own code.

Written by `python docs/tables.py` before the pages that show them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd
import yaml
from matplotlib.figure import Figure

import compare_variants
import plot_decomposition
import plot_steps
import plot_systems
from dualscale.config.check import check_files
from dualscale.metrics.claims import Measured, findings, measure, read_claims
from dualscale.metrics.quantities import Quantity, Runs, WeightShift
from dualscale.reporting.tables import Table, read_table
from judge_claims import judged, printed
from tabulate_excess import excess
from tabulate_fewest import fewest
from tabulate_systems import systems

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
STUDY, RECOMMENDED, SYSTEMS = (ROOT / "docs" / name for name in ("study", "recommended", "systems"))
PUBLISHED = ROOT / "workflow/published"


def labels_of(config: dict) -> dict[str, str]:
    """Labels of the variants that a checked configuration runs, by name."""
    return {name: config["variants"][name]["label"] for name in config["run"]["variants"]}


PROTOCOL = check_files([ROOT / "workflow/protocols/systems.yaml"])
SYSTEM_LABELS = labels_of(PROTOCOL)
DIGIT_LABELS = labels_of(check_files([ROOT / "examples/digits.yaml"]))
# Their tables are not in the repository, so that the whole configuration cannot be checked.
ADULT = yaml.safe_load((ROOT / "examples/adult.yaml").read_text())
ADULT_LABELS = {name: variant["label"] for name, variant in ADULT["variants"].items()}
FAIR = yaml.safe_load((ROOT / "examples/table.yaml").read_text())
FAIR_LABELS = {name: variant["label"] for name, variant in FAIR["variants"].items()}
LABELS = {name: variant["label"] for name, variant in CONFIG["variants"].items()}


def csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")


def above_floor(runs: str) -> str:
    """KL above the floor, as CSV, for runs in docs/recommended."""
    metrics, floors = read_table(RECOMMENDED / runs), read_table(RECOMMENDED / "floors.csv")
    floors = floors[floors["dataset"].isin(metrics["dataset"])]
    variants, published = metrics["variant"].unique(), read_table(PUBLISHED / "table1.csv")
    return csv(excess(metrics, floors, published, variants, best="improved", base=variants[0]))


def few_steps() -> str:
    """Fewest evaluations, as CSV, relative to the full runs of the same seeds."""
    steps, metrics = read_table(RECOMMENDED / "steps.csv"), read_table(RECOMMENDED / "metrics.csv")
    return csv(fewest(steps, metrics, CONFIG["steps"]["margin_bits"]))


@cache
def comparisons() -> tuple[pd.DataFrame, Table]:
    """The study's comparisons as data and as a table of texts."""
    runs, measured = read_table(STUDY / "metrics.csv"), read_table(STUDY / "measures.csv")
    study = CONFIG["study"]
    settings = {
        "datasets": list(CONFIG["datasets"]),
        "labels": LABELS,
        "margin_bits": study["margin_bits"],
        "files": [],
    }
    return compare_variants.comparisons(runs, measured, study["comparisons"], settings)


def parts_of_kl() -> Figure:
    """Figure 3 of the study."""
    return plot_decomposition.draw(read_table(STUDY / "decomposition.csv"), LABELS)


def kl_against_nfe() -> Figure:
    """Figure 5 of the recommended recipe."""
    steps, floors = read_table(RECOMMENDED / "steps.csv"), read_table(RECOMMENDED / "floors.csv")
    labels = {name: LABELS[name] for name in CONFIG["steps"]["variants"]}
    return plot_steps.draw(steps, floors, labels)


def measured_or_kept(quantity: Quantity, runs: Runs) -> dict[str, Measured]:
    """Measure a quantity on the committed runs; weight shifts are read, not recomputed."""
    if not isinstance(quantity, WeightShift):
        return measure(quantity, runs)
    kept = read_table(STUDY / "weight_shift.csv").set_index(["variant", "branch", "dataset"])
    return {
        dataset: Measured(*kept.loc[(quantity.variant, quantity.branch, dataset)])
        for dataset in quantity.datasets
    }


@cache
def side_by_side() -> pd.DataFrame:
    """Systems on every dataset, ranked; times of networks are those of steps measured in turns.

    The runs themselves were made several at a time, on a busy machine.
    """
    runs, floors = read_table(SYSTEMS / "metrics.csv"), read_table(SYSTEMS / "floors.csv")
    steps = read_table(ROOT / "benchmarks/systems.csv").set_index("variant")
    training = PROTOCOL["training"]["steps"] / 1e3 * steps["ms_a_step"]
    sampling = PROTOCOL["sampling"]["points"] / 1e6 * steps["us_a_point"]
    for column, seconds in (("train_seconds", training), ("sample_seconds", sampling)):
        runs[column] = runs["variant"].map(seconds).fillna(runs[column])
    names = [name for name in SYSTEM_LABELS if name in set(runs["variant"])]
    classical = [name for name in names if "classical" in PROTOCOL["variants"][name]]
    published = read_table(PUBLISHED / "sibling_experiments.csv")
    published = published[published["dataset"].isin(runs["dataset"])]
    more, margin = read_table(SYSTEMS / "measures.csv"), PROTOCOL["study"]["margin_bits"]
    return systems(runs, more, floors, published, names, classical, margin)


def kl_against_cost() -> Figure:
    """Figure 6 of the systems."""
    table = side_by_side()
    labels = {name: SYSTEM_LABELS[name] for name in SYSTEM_LABELS if name in set(table["variant"])}
    return plot_systems.draw(table, labels)


def sibling_claims() -> pd.DataFrame:
    """Verdicts on two of the authors' sibling experiments."""
    runs = Runs(read_table(SYSTEMS / "metrics.csv"))
    read_in = read_claims(PUBLISHED / "sibling_claims.yaml")
    return judged((claim, findings(claim, runs)) for claim in read_in)


def claims() -> tuple[pd.DataFrame, Table]:
    """Verdicts on the claims, as data and as a table of texts."""
    runs, read_in = read_table(STUDY / "metrics.csv"), read_claims(PUBLISHED / "claims.yaml")
    table = judged((c, findings(c, Runs(runs), measured_or_kept)) for c in read_in)
    texts = printed(table, read_in, runs["seed"].nunique(), "claims.yaml")
    return table, replace(texts, notes=[*texts.notes, KEPT])


KEPT = (
    "circle_turns_local: the branches' weights of each seed are not among the committed files; the "
    "shift is that of the run of 2026-11-23 (weight_shift.csv), which did not record which branch "
    "leads early."
)
DERIVED: dict[str, Callable[[], str]] = {
    "docs/recommended/excess.csv": lambda: above_floor("metrics.csv"),
    "docs/recommended/fresh_excess.csv": lambda: above_floor("fresh.csv"),
    "docs/recommended/untuned_excess.csv": lambda: above_floor("untuned.csv"),
    "docs/recommended/fewest.csv": few_steps,
    "docs/systems/systems.csv": lambda: csv(side_by_side()),
    "docs/systems/claims.csv": lambda: csv(sibling_claims()),
    "docs/study/comparisons.csv": lambda: csv(comparisons()[0]),
    "docs/study/comparisons.md": lambda: comparisons()[1].md(),
    "docs/study/claims.csv": lambda: csv(claims()[0]),
    "docs/study/claims.md": lambda: claims()[1].md(),
}
"""Functions that produce the text of each file."""
FIGURES: dict[str, Callable[[], Figure]] = {
    "docs/study/figure3.png": parts_of_kl,
    "docs/recommended/figure5.png": kl_against_nfe,
    "docs/systems/figure6.png": kl_against_cost,
}
"""Functions that draw each figure."""
