"""Judge the candidates of a sweep in one round, and keep the best."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from dualscale.reporting.tables import read_records, read_table, write_table
from execution.job import run

MEASURES = ("parameters", "train_seconds", "off_support_share", "coverage")


def main(runs: Path, floors: list[Path], table: Path, *, settings: Mapping) -> None:
    """Write one row per candidate.

    Args:
        runs: one row per run of the round.
        floors: KL of fresh real points, one file per dataset.
        settings: candidates by the variant that each trains, and as for `judge`.
    """
    found = read_table(runs)
    found["candidate"] = found["variant"].map(settings["candidates"])
    fresh = read_records(floors, ["dataset"]).groupby("dataset")["kl_bits"].mean()
    judged = judge(found, fresh, settings["factor"], settings["unchanged"])
    judged.insert(0, "round", settings["round"])
    judged.insert(2, "steps", judged["candidate"].map(settings["steps"]))
    write_table([table], judged)


def judge(runs: pd.DataFrame, floor: pd.Series, factor: int | None, unchanged: str) -> pd.DataFrame:
    """Return one row per candidate, with its distance from the floor and whether it is kept.

    The distance is the mean of |KL - floor| over datasets and seeds: a KL below the floor, of
    samples that are too narrow, counts like one above. Undefined KLs come last.

    Args:
        runs: candidate, dataset, seed, kl_bits and measures.
        floor: KL of fresh real points by dataset.
        factor: one candidate in so many is kept, and the unchanged variant, with which they are
            compared in the next round; None: this round is the last, and the best alone is kept.
    """
    runs = runs.assign(excess_bits=runs["kl_bits"] - runs["dataset"].map(floor))
    rows = []
    for name, own in runs.groupby("candidate", sort=False):
        excess = own.groupby("dataset", sort=False)["excess_bits"].mean()
        rows.append(
            {
                "candidate": name,
                "seeds": own["seed"].nunique(),
                "distance_bits": own["excess_bits"].abs().mean(skipna=False),
                "excess_bits": own["excess_bits"].mean(),
                "excess_sd_bits": own.groupby("seed")["excess_bits"].mean().std(),
                **{f"{dataset}_excess_bits": bits for dataset, bits in excess.items()},
                **{column: own[column].mean() for column in MEASURES if column in own},
            }
        )
    table = pd.DataFrame(rows).sort_values("distance_bits", kind="stable", ignore_index=True)
    count = 1 if factor is None else math.ceil(len(table) / factor)
    table["kept"] = table.index < count
    if factor is not None:
        table["kept"] |= table["candidate"] == unchanged
    return table


run(main, globals())
