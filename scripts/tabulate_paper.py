"""Table 1: measured KL, training time and sampling time beside the published figures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.metrics.statistics import INTERVAL, mean_interval
from dualscale.metrics.table import COLUMNS, PUBLISHED
from dualscale.reporting.tables import Table, read_records, read_table, write_table
from dualscale.reporting.texts import counted_seeds, floor_of_files, number, with_interval
from dualscale.runtime.records import run_of
from execution.job import run

PUBLISHED_ON = " Published: one run per cell on an NVIDIA V100."


def main(
    metrics: Path,
    published: Path,
    neighbours: list[Path],
    floors: list[Path],
    tables: list[Path],
    *,
    settings: Mapping,
) -> None:
    """Write Table 1 as CSV, Markdown, LaTeX and HTML.

    Args:
        metrics: metrics.csv.
        published: the published figures, one row per (variant, dataset).
        neighbours: the npz of the real points of each dataset.
        floors: a table of the floors of each dataset that is read from a file.
        settings: labels, notes and training steps by variant, and the number of sampled points.
    """
    table = summarise(read_table(metrics), read_table(published), settings["labels"])
    table["kl_real_points"] = table["dataset"].map(
        {run_of(path, ("dataset", "k"))["dataset"]: real_points(path) for path in neighbours}
    )
    floor = read_records(floors, ["dataset"]).groupby("dataset")
    table["kl_floor_bits"] = table["dataset"].map(floor["kl_bits"].mean() if floors else {})
    marked = [name for name in settings["labels"] if settings["notes"][name]]
    header, rows = printed(table, settings["labels"], marked)
    caption = describe(table, settings)
    notes = [f"({marked.index(name) + 1}) {settings['notes'][name]}" for name in marked]
    texts = Table("Table 1", header, rows, caption, notes, text_columns=2)
    write_table(tables, table, texts, float_format=None)


def real_points(neighbours: Path) -> int:
    """Return the number of real points that the KL uses."""
    with np.load(neighbours, allow_pickle=False) as file:
        return len(file["distances"])


def summarise(
    metrics: pd.DataFrame, published: pd.DataFrame, variants: Mapping[str, str]
) -> pd.DataFrame:
    """Mean, interval, number of seeds and published figure, one row per (variant, dataset)."""
    published = published.set_index(["variant", "dataset"])
    rows = []
    for variant in variants:
        for dataset, runs in metrics[metrics["variant"] == variant].groupby("dataset", sort=False):
            row = {"variant": variant, "dataset": dataset, "seeds": len(runs)}
            for name, *_ in PUBLISHED:
                mean, low, high = mean_interval(runs[name].tolist())
                known = (variant, dataset) in published.index
                row |= {
                    f"{name}_mean": mean,
                    f"{name}_low": low,
                    f"{name}_high": high,
                    f"{name}_published": published.loc[(variant, dataset), name] if known else None,
                }
            row["device"] = "; ".join(runs["device"].unique())
            together = runs["models_trained_together"].astype(str)
            row["models_trained_together"] = "; ".join(together.unique())
            rows.append(row)
    return pd.DataFrame(rows)


def printed(
    table: pd.DataFrame, labels: Mapping[str, str], marked: list[str]
) -> tuple[list[str], list[list[str]]]:
    """Header and rows as text; a variant's label, marked if it has a note, is on its first row.

    The floors have a column where there are some, and so have the published figures.
    """
    header = ["variant", "dataset"]
    floors, known = has(table, "kl_floor_bits"), has(table, "kl_bits_published")
    for metric in PUBLISHED:
        header += [metric.label, *["published"] * known]
    if floors:
        header.insert(3, "floor")
    rows, last = [], None
    for record in table.to_dict("records"):
        name = record["variant"]
        mark = f" ({marked.index(name) + 1})" if name in marked else ""
        row = ["" if name == last else labels[name].replace("|", "∣") + mark, record["dataset"]]
        for metric in PUBLISHED:
            style = f".{metric.digits}f"
            found = [record[f"{metric.name}_{part}"] for part in ("mean", "low", "high")]
            published = record[f"{metric.name}_published"]
            row += [with_interval(*found, style), *[number(published, style)] * known]
        if floors:
            row.insert(3, number(record["kl_floor_bits"], f".{COLUMNS['kl_bits'].digits}f"))
        rows.append(row)
        last = name
    return header, rows


def describe(table: pd.DataFrame, settings: Mapping) -> str:
    """One sentence on the measured quantities and the machine."""
    seeds = sorted(table["seeds"].unique())
    spread = "" if seeds == [1] else f", mean and {100 * INTERVAL:g} % interval (Student's t)"
    devices = "; ".join(dict.fromkeys(table["device"]))
    together = "; ".join(dict.fromkeys(table["models_trained_together"]))
    steps = "; ".join(f"{count:,}" for count in dict.fromkeys(settings["steps"].values()))
    real = "; ".join(f"{count:,}" for count in dict.fromkeys(table["kl_real_points"]))
    files = dict.fromkeys(table.loc[table["kl_floor_bits"].notna(), "dataset"])
    return (
        f"k-nearest-neighbour KL(real ‖ generated) in bits, real points: {real}; seconds of "
        f"{steps} training steps and of drawing {settings['points']:,} points; "
        f"{counted_seeds(seeds[0])} per cell{spread}; "
        f"measured on {devices}, models trained together: {together}."
        f"{PUBLISHED_ON if has(table, 'kl_bits_published') else ''}{floor_of_files(files)}"
    )


def has(table: pd.DataFrame, column: str) -> bool:
    """Whether a column has a value."""
    return bool(table[column].notna().any())


run(main, globals())
