"""Judge the paper's claims by their declared rules."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from dualscale.metrics.claims import Claim, Finding, Runs, findings, judge, read_claims
from dualscale.reporting.tables import Table, read_table
from job import job, whole, write_texts

CAPTION = (
    "The paper's claims: published value, the release's, and ours with its 95 % interval over "
    "{seeds} seed{s} per cell. Three questions: does the interval lie within the bound; does it "
    "contain the published value; does it lie within the equivalence margin (± beside it)? The "
    "verdict follows the claim's rule (workflow/published/claims.yaml)."
)
HEADER = ["claim", "section", "rule", "dataset", "asked", "published", "release", "measured"]
HEADER += ["bound", "within bound", "published inside", "within margin", "verdict"]


def main(
    claims: str | Path,
    metrics: str | Path,
    weights: Mapping[tuple[str, str], Sequence[str | Path]],
    outputs: Mapping[str, str],
) -> None:
    """Write one row per (claim, question, dataset) as CSV, and the table as Markdown and HTML.

    Args:
        claims: file of claims.
        metrics: metrics.csv.
        weights: branch weights by timestep for each (variant, dataset), one file per seed.
    """
    metric = read_table(metrics)
    tables = {cell: [read_table(file) for file in files] for cell, files in weights.items()}
    runs, read = Runs(metric, tables), read_claims(claims)
    table = judged((claim, findings(claim, runs)) for claim in read)
    with whole(outputs["csv"]) as part:
        table.to_csv(part, index=False, lineterminator="\n", float_format="%.6g")
    texts = printed(table, read, metric["seed"].nunique())
    write_texts(texts, outputs)


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


def printed(table: pd.DataFrame, claims: Sequence[Claim], seeds: int) -> Table:
    """Table of texts; a claim's statement and verdict are on its first row only."""
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
    caption = CAPTION.format(seeds=seeds, s="" if seeds == 1 else "s")
    return Table("Claims", HEADER, rows, caption, notes, text_columns=4)


def signed(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.3f}"


def measured(row: Mapping) -> str:
    """Format a mean, with its interval if there is one."""
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    return signed(row["mean"]) + interval


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        files = iter(snakemake.input.weights)
        main(
            snakemake.input.claims,
            snakemake.input.metrics,
            {
                (variant, dataset): [next(files) for _ in range(snakemake.params.seeds)]
                for variant, dataset in snakemake.params.cells
            },
            dict(snakemake.output.items()),
        )
