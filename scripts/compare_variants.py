"""Compare pairs of variants, paired by seed on common random numbers."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.metrics.statistics import (
    EQUIVALENCE,
    INTERVAL,
    MOST_SEEDS,
    POWER,
    SIGNIFICANCE,
    best_interval,
    holm,
    probabilities,
    seeds_needed,
    sign_flip_p,
    smallest_p,
    variance_parts,
)
from dualscale.parts import REAL
from dualscale.reporting.tables import Table, read_table, write_table
from dualscale.reporting.texts import bracket, counted_seeds, floor_of_files, number
from execution.job import run

CAPTION = (
    "KL of the variant minus KL of the other, in bits, paired by seed on common random numbers; "
    "{seeds} per dataset: mean and {interval:g} % interval, and the mean as a share of the other's "
    "KL above the floor (the KL of fresh real points of the measured seeds). Sign-flip permutation "
    "p, Holm-adjusted over the datasets of a pair. Posterior probabilities that the variant is "
    "better, equivalent within {margin:g} bits, or worse. Seeds needed to detect a difference of "
    "this size with {power:g} % power. Standard deviation of one model's KL due to training and "
    "due to sampling, over the measured seeds.{few}"
)
FEW = (
    " No p is given: with {seeds} the adjusted p cannot fall below {significance:g}, whatever the "
    "KLs; with {needed} it can."
)
LEFT_OUT = (
    " What needs an exact density is left out for them: the decomposition, the score's error, the "
    "ODE's likelihood and the share off the support (Figures 3 and 4)."
)


def main(metrics: Path, measures: Path, tables: list[Path], *, settings: Mapping) -> None:
    """Write the comparisons as CSV, Markdown and HTML.

    Args:
        metrics: KL of every run.
        measures: KL of further samples and of fresh real points, for some seeds.
        settings: pairs, datasets, files (those read from files), labels by variant, margin_bits.
    """
    runs, measured = read_table(metrics), read_table(measures)
    write_table(tables, *comparisons(runs, measured, settings["pairs"], settings))


def comparisons(
    runs: pd.DataFrame,
    measured: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    settings: Mapping,
) -> tuple[pd.DataFrame, Table]:
    """Return the comparisons as data, one row per (pair, dataset), and as a table of texts."""
    rows = [row for pair in pairs for row in compare(runs, measured, *pair, settings)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    texts = printed(table, settings["labels"])
    return table, Table("Comparisons", HEADER, texts, caption(table, settings), (), 3)


COLUMNS = ["variant", "against", "dataset", "seeds", "difference_bits", "low_bits", "high_bits"]
COLUMNS += ["share_of_excess", "p", "p_holm", "p_better", "p_same", "p_worse", "seeds_needed"]
COLUMNS += ["training_sd_bits", "sampling_sd_bits", "verdict"]
HEADER = ["variant", "against", "dataset", "difference", f"{100 * INTERVAL:g} % interval"]
HEADER += ["of excess", "p (Holm)", "better", "equivalent", "worse", "seeds needed"]
HEADER += ["sd training", "sd sampling", "verdict"]


def compare(
    runs: pd.DataFrame, measured: pd.DataFrame, variant: str, other: str, settings: Mapping
) -> list[dict]:
    """Compare two variants, one row per dataset; a pair's p-values are one family of tests."""
    rows = []
    for dataset in settings["datasets"]:
        mine, theirs, again = (
            table[(table["variant"] == name) & (table["dataset"] == dataset)].set_index("seed")
            for table, name in ((runs, variant), (runs, other), (measured, variant))
        )
        real = measured[(measured["variant"] == REAL) & (measured["dataset"] == dataset)]
        excess = theirs["kl_bits"].mean() - real["kl_bits"].mean()
        differences = (mine["kl_bits"] - theirs["kl_bits"]).dropna().tolist()
        mean, low, high = best_interval(differences)
        better, same, worse = probabilities(differences, settings["margin_bits"])
        training, sampling = scatter(again)
        rows.append(
            {
                "variant": variant,
                "against": other,
                "dataset": dataset,
                "seeds": len(differences),
                "difference_bits": mean,
                "low_bits": low,
                "high_bits": high,
                "share_of_excess": mean / excess,
                "p": sign_flip_p(differences) if len(differences) > 1 else 1.0,
                "p_better": better,
                "p_same": same,
                "p_worse": worse,
                "seeds_needed": seeds_needed(differences),
                "training_sd_bits": training,
                "sampling_sd_bits": sampling,
            }
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        if smallest_p(row["seeds"], len(rows)) > SIGNIFICANCE:
            row |= {"p": None, "p_holm": None, "verdict": "too few seeds"}
        else:
            row |= {"p_holm": adjusted, "verdict": verdict(row, adjusted)}
    return rows


def verdict(row: Mapping, adjusted: float) -> str:
    if row["p_same"] >= EQUIVALENCE:
        return "same"
    if adjusted <= SIGNIFICANCE:
        return "better" if row["difference_bits"] < 0 else "worse"
    return "undecided"


def scatter(runs: pd.DataFrame) -> tuple[float, float]:
    """Standard deviations of a variant's KL between trainings and between samples of one model."""
    samples = runs.filter(regex=r"^kl_(draw\d+_)?bits$").astype(float).to_numpy()
    if len(runs) < 2:
        return np.nan, np.nan
    between, within = variance_parts(samples)
    return float(np.sqrt(between)), float(np.sqrt(within))


def printed(table: pd.DataFrame, labels: Mapping[str, str]) -> list[list[str]]:
    rows = []
    for row in table.to_dict("records"):
        needed = row["seeds_needed"]
        rows.append(
            [
                labels[row["variant"]],
                labels[row["against"]],
                row["dataset"],
                f"{row['difference_bits']:+.3f}",
                bracket(row["low_bits"], row["high_bits"], "+.3f"),
                number(row["share_of_excess"], "+.0%"),
                number(row["p_holm"], ".3f"),
                *(number(row[f"p_{name}"], ".2f") for name in ("better", "same", "worse")),
                f"> {MOST_SEEDS:,}" if needed == math.inf else number(needed, ".0f"),
                number(row["training_sd_bits"], ".3f"),
                number(row["sampling_sd_bits"], ".3f"),
                "equivalent" if row["verdict"] == "same" else row["verdict"],
            ]
        )
    return rows


def caption(table: pd.DataFrame, settings: Mapping) -> str:
    seeds, family = int(table["seeds"].min()) if len(table) else 0, len(settings["datasets"])
    few = ""
    if smallest_p(seeds, family) > SIGNIFICANCE:
        needed = next(n for n in range(1, 99) if smallest_p(n, family) <= SIGNIFICANCE)
        few = FEW.format(seeds=counted_seeds(seeds), needed=needed, significance=SIGNIFICANCE)
    text = CAPTION.format(
        seeds=counted_seeds(seeds),
        interval=100 * INTERVAL,
        margin=settings["margin_bits"],
        power=100 * POWER,
        few=few,
    )
    return text + floor_of_files(settings["files"]) + LEFT_OUT * bool(settings["files"])


run(main, globals())
