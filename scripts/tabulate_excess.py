"""Tabulate the KL above the floor, and its share of that of the paper's best row."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.metrics.statistics import INTERVAL, share_interval, welch_interval
from dualscale.reporting.tables import Table, read_table, write_table
from dualscale.reporting.texts import counted_seeds, floor_of_files, number, with_interval
from execution.job import run

CAPTION = (
    "KL in bits above the floor, that of fresh real points: difference of the means over {seeds} "
    "and over {floors} floors. {level:g} % intervals: Welch's for the difference, with "
    "Satterthwaite's degrees of freedom, Fieller's for the share. Published: the row of Table 1 "
    "that the paper calls its best ({best}), a single run taken as exact, less the same floor. "
    "Training time: median ratio to {base} on the same dataset and seed."
)


def main(
    metrics: Path, published: Path, floors: Path, tables: list[Path], *, settings: Mapping
) -> None:
    """Write the table as CSV, Markdown and HTML.

    Args:
        metrics: metrics.csv.
        published: the paper's Table 1.
        floors: floors.csv.
        settings: labels by variant; best and base, as for `excess`; files, the datasets read from
            files.
    """
    best, base, labels = settings["best"], settings["base"], settings["labels"]
    runs, fresh = read_table(metrics), read_table(floors)
    table = excess(runs, fresh, read_table(published), labels, best, base)
    header = ["variant", "dataset", "floor", "published", "measured", "share", "training time"]
    caption = CAPTION.format(
        seeds=counted_seeds(runs["seed"].nunique()),
        floors=fresh["seed"].nunique(),
        level=100 * INTERVAL,
        best=best,
        base=labels.get(base, base),
    ) + floor_of_files(settings["files"])
    texts = Table("KL above the floor", header, printed(table, labels), caption, (), 2)
    write_table(tables, table, texts)


def excess(
    runs: pd.DataFrame,
    floors: pd.DataFrame,
    published: pd.DataFrame,
    variants: Iterable[str],
    best: str,
    base: str,
) -> pd.DataFrame:
    """Return one row per (variant, dataset with floors).

    Args:
        runs: the columns of metrics.csv.
        floors: dataset, seed, kl_bits.
        published: the paper's Table 1.
        best: published variant that shares refer to.
        base: variant that training times are divided by.
    """
    paper = published.set_index(["variant", "dataset"])["kl_bits"]
    rows = []
    for variant in variants:
        for dataset, fresh in floors.groupby("dataset", sort=False):
            cell, times = (
                runs[(runs["variant"] == name) & (runs["dataset"] == dataset)].set_index("seed")
                for name in (variant, base)
            )
            floor, bits = fresh["kl_bits"].tolist(), cell["kl_bits"].tolist()
            theirs = paper.get((best, dataset), np.nan)
            above, low, high = welch_interval(bits, floor)
            share, share_low, share_high = share_interval(bits, floor, theirs)
            rows.append(
                {
                    "variant": variant,
                    "dataset": dataset,
                    "seeds": len(cell),
                    "floors": len(floor),
                    "floor_bits": np.mean(floor),
                    "floor_sd_bits": np.std(floor, ddof=1),
                    "published_excess_bits": theirs - np.mean(floor),
                    "excess_bits": above,
                    "low_bits": low,
                    "high_bits": high,
                    "share_of_published": share,
                    "share_low": share_low,
                    "share_high": share_high,
                    "training_time_ratio": (
                        cell["train_seconds"] / times["train_seconds"]
                    ).median(),
                }
            )
    return pd.DataFrame(rows)


def printed(table: pd.DataFrame, labels: Mapping[str, str]) -> list[list[str]]:
    texts, last = [], None
    for row in table.to_dict("records"):
        texts.append(
            [
                "" if row["variant"] == last else labels[row["variant"]],
                row["dataset"],
                f"{row['floor_bits']:.4f}",
                number(row["published_excess_bits"], ".4f"),
                with_interval(row["excess_bits"], row["low_bits"], row["high_bits"], ".4f"),
                with_interval(
                    row["share_of_published"], row["share_low"], row["share_high"], ".1%"
                ),
                f"{row['training_time_ratio']:.2f}",
            ]
        )
        last = row["variant"]
    return texts


run(main, globals())
