"""Tabulate the settings that a sweep tried: one row per candidate, the best first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dualscale.config.overrides import nested
from dualscale.metrics.table import COLUMNS
from dualscale.reporting.tables import Table, read_records, write_table
from dualscale.reporting.texts import number
from execution.job import run

CAPTION = (
    "Candidates by the last round that each took part in, then by distance from the floor, the KL "
    "of fresh real points: the mean of |KL - floor|, in bits, over datasets and seeds. A KL below "
    "the floor counts like one above, since it is that of samples which are too narrow. The lowest "
    "distance of the last round is the best. KL above the floor: mean over the datasets, ± its "
    "standard deviation between the seeds, and each dataset's. Every number is of the candidate's "
    "last round, in so many steps; share off support and coverage, of the last round of all, are "
    "0.001 and 0.97 for fresh real points. The best of many on few seeds looks better than it is: "
    "measure it on seeds that chose nothing."
)
OF_RUNS = [COLUMNS[name] for name in ("parameters", "train_seconds")]
OF_SAMPLES = [COLUMNS[name] for name in ("off_support_share", "coverage")]


def main(rounds: list[Path], tables: list[Path], *, settings: Mapping) -> None:
    """Write the table as CSV, Markdown and HTML.

    Args:
        rounds: candidates as they were judged, one file per round.
        settings: tried, the settings that differ by candidate; datasets; variant, the unchanged
            one.
    """
    tried, variant, datasets = settings["tried"], settings["variant"], settings["datasets"]
    table = last_rounds(read_records(rounds, []), tried)
    header = [
        *("candidate", "changes", "left", "steps", "distance from the floor"),
        *("KL above the floor", *datasets),
        *(column.label for column in (*OF_RUNS, *OF_SAMPLES)),
    ]
    rows = printed(table, {name: changes(tried, variant, name) for name in tried}, datasets)
    note = how_to_run(variant, changes(tried, variant, table["candidate"].iloc[0]))
    write_table(tables, table, Table("Settings that were tried", header, rows, CAPTION, [note], 3))


def last_rounds(judged: pd.DataFrame, tried: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the last round of every candidate with its settings, the best candidate first."""
    table = judged.groupby("candidate", sort=False).tail(1)
    table = table.sort_values(["round", "distance_bits"], ascending=[False, True])
    values = (
        pd.DataFrame.from_dict(tried, orient="index").loc[table["candidate"]].reset_index(drop=True)
    )
    own = table.rename(columns={"kept": "best"}).reset_index(drop=True)
    return pd.concat([own[["candidate"]], values, own.drop(columns="candidate")], axis=1)


def changes(tried: Mapping[str, Mapping[str, Any]], variant: str, name: str) -> dict[str, Any]:
    """Return what a candidate changes of the variant, by keys joined by dots."""
    unchanged = tried[variant]
    return {key: value for key, value in tried[name].items() if value != unchanged[key]}


def how_to_run(variant: str, best: Mapping[str, Any]) -> str:
    """Return a note with the configuration of the best candidate."""
    if not best:
        return f"No candidate did better than {variant} as it is."
    config = {"variants": {"tuned": {"like": variant, **nested(best)}}}
    text = yaml.safe_dump(config, default_flow_style=True, sort_keys=False, width=10_000)
    return f"The best as a variant: {text.strip()}"


def printed(
    table: pd.DataFrame, changed: Mapping[str, Mapping[str, Any]], datasets: Sequence[str]
) -> list[list[str]]:
    texts = []
    for row in table.to_dict("records"):
        found = changed[row["candidate"]]
        spread = number(row["excess_sd_bits"], ".4f")
        above = number(row["excess_bits"], ".4f")
        texts.append(
            [
                row["candidate"],
                ", ".join(f"{key} {value}" for key, value in found.items()) or "none",
                "best" if row["best"] else f"after round {row['round']}",
                f"{row['steps']:,}",
                number(row["distance_bits"], ".4f"),
                f"{above} ± {spread}" if spread else above,
                *(number(row[f"{dataset}_excess_bits"], ".4f") for dataset in datasets),
                *(number(row[c.name], f",.{c.digits}f") for c in (*OF_RUNS, *OF_SAMPLES)),
            ]
        )
    return texts


run(main, globals())
