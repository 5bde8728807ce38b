"""Judge the claims of a file by their declared rules."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from dualscale.metrics.claims import Claim, Finding, findings, judge, read_claims
from dualscale.metrics.quantities import Runs
from dualscale.metrics.statistics import INTERVAL
from dualscale.reporting.tables import Table, read_records, read_table, write_table
from execution.job import run

CAPTION = (
    "Claims: published value, the release's, and ours with its {level:g} % interval "
    "over {seeds} seed{s} per cell. Three questions: does the interval lie within the bound; does "
    "it contain the published value; does it lie within the equivalence margin (± beside it)? The "
    "verdict follows the claim's rule (workflow/published/{file})."
)
HEADER = ["claim", "section", "rule", "dataset", "asked", "published", "release", "measured"]
HEADER += ["bound", "within bound", "published inside", "within margin", "verdict"]


def main(claims: Path, metrics: Path, weights: list[Path], tables: list[Path]) -> None:
    """Write one row per (claim, question, dataset) as CSV, and the table as Markdown and HTML.

    Args:
        claims: file of claims.
        metrics: metrics.csv.
        weights: branch weights of the runs by timestep.
    """
    metric = read_table(metrics)
    runs, read = Runs(metric, by_cell(read_records(weights))), read_claims(claims)
    table = judged((claim, findings(claim, runs)) for claim in read)
    write_table(tables, table, printed(table, read, metric["seed"].nunique(), claims.name))


def by_cell(weights: pd.DataFrame) -> dict[tuple[str, str], list[pd.DataFrame]]:
    """Branch weights of each (variant, dataset), one table per seed, without absent branches."""
    return {
        (variant, dataset): [seed.dropna(axis=1) for _, seed in cell.groupby("seed", sort=False)]
        for (variant, dataset), cell in weights.groupby(["variant", "dataset"], sort=False)
    }


def judged(claims: Iterable[tuple[Claim, Sequence[Finding]]]) -> pd.DataFrame:
    """Findings and verdicts of the claims, one row per (claim, question, dataset)."""
    rows = []
    for claim, found in claims:
        verdict = judge(claim.rule, found)
        for finding in found:
            question = finding.question
            rows.append(
                {
                    "claim": claim.id,
                    "statement": claim.statement,
                    "section": claim.section,
                    "rule": claim.rule,
                    "asked": question.asks,
                    "dataset": finding.dataset,
                    "published": question.published,
                    "release": question.release,
                    **finding.measured._asdict(),
                    "bound": question.bound(),
                    "within_bound": finding.answer,
                    "published_inside": finding.size,
                    "margin": finding.margin,
                    "within_margin": finding.equivalent,
                    "verdict": verdict,
                }
            )
    return pd.DataFrame(rows).astype({"published": float, "release": float})


def printed(table: pd.DataFrame, claims: Sequence[Claim], seeds: int, file: str) -> Table:
    """Table of texts; a claim's statement and verdict are on its first row only.

    Args:
        file: name of the file of claims.
    """
    rows, last = [], None
    for row in table.to_dict("records"):
        first = row["claim"] != last
        last = row["claim"]
        margin = "" if math.isnan(row["margin"]) else f" (±{row['margin']:.3f})"
        rows.append(
            [
                f"{row['statement']} ({row['claim']})" if first else "",
                row["section"] if first else "",
                row["rule"] if first else "",
                row["dataset"],
                row["asked"],
                signed(row["published"]),
                signed(row["release"]),
                measured(row),
                row["bound"],
                row["within_bound"],
                row["published_inside"],
                row["within_margin"] + margin,
                row["verdict"] if first else "",
            ]
        )
    notes = [f"{claim.id}: {claim.note}" for claim in claims if claim.note]
    plural = "" if seeds == 1 else "s"
    caption = CAPTION.format(seeds=seeds, s=plural, level=100 * INTERVAL, file=file)
    return Table("Claims", HEADER, rows, caption, notes, text_columns=4)


def signed(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.3f}"


def measured(row: Mapping) -> str:
    """Format a mean, with its interval if there is one."""
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    return signed(row["mean"]) + interval


run(main, globals())
