"""Judge the paper's claims by the rule that stands beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from dualscale.statistics import best_interval
from dualscale.tables import Table
from job import job, whole

CAPTION = (
    "The paper's claims, each with the figure it was published with, the release's, and ours: mean "
    "and 95 % interval; seeds a cell: {seeds}. A claim holds where the whole interval lies within "
    "the bound on every dataset it names, does not hold where that of some dataset lies wholly "
    "outside, and is undecided otherwise."
)


def main(
    claims: str | Path,
    metrics: str | Path,
    weights: Mapping[tuple[str, str], Sequence[str | Path]],
    outputs: Mapping[str, str],
) -> None:
    """Write a row a (claim, dataset) as CSV, and the table as Markdown and HTML.

    Args:
        claims: the file that declares them.
        metrics: metrics.csv.
        weights: of (variant, dataset), the weights at each timestep, a file a seed.
    """
    runs = pd.read_csv(metrics, dtype={"variant": str, "dataset": str}, keep_default_na=False)
    rows, notes = [], []
    for claim in yaml.safe_load(Path(claims).read_text(encoding="utf-8")):
        measured = measure(claim["quantity"], runs, weights)
        verdict = judge(claim["bound"], list(measured.values()))
        if claim.get("note"):
            notes.append(f"{claim['id']}: {claim['note']}")
        for dataset, (mean, low, high) in measured.items():
            rows.append(
                {
                    "claim": claim["id"],
                    "statement": claim["statement"],
                    "section": claim["section"],
                    "dataset": dataset,
                    "published": claim.get("published"),
                    "release": claim.get("release"),
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "bound": described(claim["bound"]),
                    "verdict": verdict,
                }
            )
    table = pd.DataFrame(rows)
    with whole(outputs["csv"]) as part:
        table.to_csv(part, index=False, lineterminator="\n", float_format="%.6g")
    header = ["claim", "section", "dataset", "published", "release", "measured", "bound", "verdict"]
    caption = CAPTION.format(seeds=runs["seed"].nunique())
    texts = Table("Claims", header, printed(rows), caption, notes, text_columns=3)
    for name in ("md", "html"):
        with whole(outputs[name]) as part:
            part.write_text(getattr(texts, name)(), encoding="utf-8")


Interval = tuple[float, float, float]


def measure(quantity: Mapping, runs: pd.DataFrame, weights: Mapping) -> dict[str, Interval]:
    """Mean and interval of the quantity, by dataset, or for all of them together.

    A quantity of variants or datasets that were not run is NaN.
    """
    datasets, kind = quantity["datasets"], quantity["kind"]
    cells = dict(list(runs.set_index("seed").groupby(["variant", "dataset"])))

    def column(name: str, variant: str, dataset: str) -> pd.Series:
        cell = cells.get((variant, dataset))
        return pd.Series(dtype=float) if cell is None else cell[name]

    values: dict[str, Sequence[float]] = {}
    if kind == "relative":
        for dataset in datasets:
            mine = column(quantity["column"], quantity["variant"], dataset)
            theirs = column(quantity["column"], quantity["against"], dataset)
            values[dataset] = ((mine - theirs) / theirs.mean()).dropna().tolist()
    elif kind == "ratio":
        ratios = [
            column(quantity["column"], quantity["variant"], dataset)
            / column(quantity["column"], quantity["against"], dataset)
            for dataset in datasets
        ]
        table = pd.concat(ratios, axis=1).dropna()
        values["all"] = stats.gmean(table.to_numpy(dtype=float), axis=1).tolist()
    elif kind == "weight_shift":
        for dataset in datasets:
            files = weights.get((quantity["variant"], dataset), ())
            values[dataset] = [shift(file, quantity["branch"]) for file in files]
    elif kind == "spread":
        far = {
            dataset: (kl - kl.mean()).abs()
            for dataset in runs["dataset"].unique()
            if len(kl := column("kl_bits", quantity["variant"], dataset)) > 1
        }
        for dataset in datasets:
            others = [series for name, series in far.items() if name != dataset]
            known = dataset in far and others
            values[dataset] = (
                (far[dataset] - pd.concat(others, axis=1).mean(axis=1)).tolist() if known else []
            )
    return {
        name: best_interval(series) if len(series) else (np.nan, np.nan, np.nan)
        for name, series in values.items()
    }


def shift(file: str | Path, branch: str) -> float:
    """Of the branch's weight, from the first tenth of denoising (large t) to the last."""
    table = pd.read_csv(file).sort_values("timestep")
    tenth = max(1, len(table) // 10)
    return float(table[branch].head(tenth).mean() - table[branch].tail(tenth).mean())


def judge(bound: Mapping, intervals: Sequence[Interval]) -> str:
    """By the rule at the head of claims.yaml."""
    (kind, values), *_ = bound.items()
    lows, highs = (np.array([interval[i] for interval in intervals]) for i in (1, 2))
    if np.isnan(lows).any():
        return "too few seeds"
    if kind == "mixed":
        if (highs < 0).any() and (lows > 0).any():
            return "holds"
        one_sided = (highs < 0).all() or (lows > 0).all()
        return "does not hold" if one_sided else "undecided"
    least, most = {
        "below": (-np.inf, values[0]),
        "above": (values[0], np.inf),
        "between": values,
    }[kind]
    if ((lows > least) & (highs < most)).all():
        return "holds"
    return "does not hold" if ((highs < least) | (lows > most)).any() else "undecided"


def described(bound: Mapping) -> str:
    (kind, values), *_ = bound.items()
    return " ".join([kind, " and ".join(f"{value:g}" for value in values)]).strip()


def printed(rows: Sequence[Mapping]) -> list[list[str]]:
    texts, last = [], None
    for row in rows:
        first = row["claim"] != last
        last = row["claim"]
        interval = "" if pd.isna(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
        texts.append(
            [
                f"{row['statement']} ({row['claim']})" if first else "",
                row["section"] if first else "",
                row["dataset"],
                "" if row["published"] is None else f"{row['published']:+.3f}",
                "" if row["release"] is None else f"{row['release']:+.3f}",
                "" if pd.isna(row["mean"]) else f"{row['mean']:+.3f}{interval}",
                row["bound"],
                row["verdict"] if first else "",
            ]
        )
    return texts


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
