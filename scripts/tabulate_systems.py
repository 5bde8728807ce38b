"""Tabulate all systems on every dataset: cost, KL above the floor, rank, and further metrics."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.metrics.statistics import INTERVAL, probabilities_of_best, welch_interval
from dualscale.metrics.table import COLUMNS
from dualscale.parts import REAL
from dualscale.reporting.tables import Table, read_table, write_table
from dualscale.reporting.texts import counted_seeds, floor_of_files, number, with_interval
from dualscale.runtime.streams import stream_seed
from execution.job import run

CAPTION = (
    "Systems by the posterior probability that their mean KL is within {margin:g} bits of the "
    "dataset's lowest (Student's t posteriors over {seeds}, independent of each other). KL in bits "
    "above the floor, that of fresh real points: difference of the means, with Welch's {level:g} % "
    "interval. Parameters of a classical generator: the numbers that it was fitted with or holds. "
    "Seconds of training and of drawing the sample on {devices}; models trained together: "
    "{together}. Distance to the nearest training "
    "point: median, as a share of that of fresh points. Below the ranked systems stand generators "
    "with a share of less than {copied:g}, which copy; samples of the optimal denoiser, which "
    "needs the density, by the process of a variant; and the authors' sibling experiments as "
    "published (one run each, on their machine), less our floor."
)
COPIED = 0.5
"""Share of fresh points' distance to the training points below which a generator copies."""
KINDS = ["network", "classical", "copy", "reference", "published"]
COST = ["parameters", "train_seconds", "sample_seconds"]
EXCESS = ["kl_bits", "floor_bits", "excess_bits", "low_bits", "high_bits"]
MORE = ["classifier_accuracy", "off_support_share", "coverage", "ode_kl_bits", "nearest_training"]


def main(
    metrics: Path,
    measures: Path,
    floors: Path,
    published: Path,
    tables: list[Path],
    *,
    settings: Mapping,
) -> None:
    """Write the table as CSV, Markdown and HTML.

    Args:
        metrics: metrics.csv.
        measures: all metrics of variants and references, one row per (variant, dataset, seed).
        floors: floors.csv.
        published: the authors' sibling experiments.
        settings: labels by variant; classical, the variants without a network; margin_bits; files,
            the datasets read from files.
    """
    runs, labels, margin = read_table(metrics), settings["labels"], settings["margin_bits"]
    more = read_table(measures).reindex(columns=["variant", "dataset", "seed", "kl_bits", *MORE])
    floor, siblings = read_table(floors), read_table(published)
    table = systems(runs, more, floor, siblings, labels, settings["classical"], margin)
    header = ["dataset", "system", "seeds", *(COLUMNS[name].label for name in COST)]
    header += ["KL above the floor", "P(best)", *(COLUMNS[name].label for name in MORE)]
    caption = CAPTION.format(
        margin=margin,
        seeds=counted_seeds(runs["seed"].nunique()),
        level=100 * INTERVAL,
        devices="; ".join(runs["device"].unique()),
        together="; ".join(runs["models_trained_together"].astype(str).unique()),
        copied=COPIED,
    ) + floor_of_files(settings["files"])
    texts = Table("Systems side by side", header, printed(table, labels), caption, (), 2)
    write_table(tables, table, texts)


def systems(
    runs: pd.DataFrame,
    more: pd.DataFrame,
    floors: pd.DataFrame,
    published: pd.DataFrame,
    variants: Iterable[str],
    classical: Iterable[str],
    margin: float,
) -> pd.DataFrame:
    """Return one row per (dataset, variant), best first, then copies, references and published.

    Args:
        runs: the columns of metrics.csv.
        more: further metrics of variants and references, one row per run.
        floors: dataset, seed, kl_bits.
        published: the authors' sibling experiments.
        classical: variants without a network.
        margin: in bits, within which a mean is as good as the lowest.
    """
    kinds = {name: "classical" if name in classical else "network" for name in variants}
    parts = []
    for dataset, fresh in floors.groupby("dataset", sort=False):
        cells = [table[table["dataset"] == dataset] for table in (runs, more, published)]
        rows = [
            *of_variants(*cells[:2], kinds),
            *of_references(cells[1], kinds),
            *of_siblings(cells[2]),
        ]
        part = pd.DataFrame(rows).assign(dataset=dataset, p_best=np.nan)
        ranked = part["kind"].isin(["network", "classical"])
        part.loc[ranked, "p_best"] = probabilities_of_best(
            part.loc[ranked, "kls"].tolist(),
            margin,
            stream_seed("probability of being the best", str(dataset)),
        )
        floor = fresh["kl_bits"].tolist()
        above = [(np.mean(kls), np.mean(floor), *welch_interval(kls, floor)) for kls in part["kls"]]
        part[EXCESS] = above
        part["seeds"] = part["kls"].map(len)
        part["group"] = part["kind"].map(KINDS.index).clip(lower=1)
        order = ["group", "p_best", "excess_bits"]
        parts.append(part.sort_values(order, ascending=[True, False, True]))
    columns = ["variant", "dataset", "kind", "seeds", *COST, *EXCESS, "p_best", *MORE]
    return pd.concat(parts)[columns]


def of_variants(runs: pd.DataFrame, more: pd.DataFrame, kinds: Mapping[str, str]) -> Iterable[dict]:
    """Yield a row per variant: its kind, the KLs of its seeds, means of its cost and metrics."""
    for variant, kind in kinds.items():
        cell = runs[runs["variant"] == variant]
        means = more.loc[more["variant"] == variant, MORE].mean()
        yield {
            "variant": variant,
            "kind": "copy" if means["nearest_training"] < COPIED else kind,
            "kls": cell["kl_bits"].tolist(),
            **cell[COST].mean(),
            **means,
        }


def of_references(more: pd.DataFrame, variants: Iterable[str]) -> Iterable[dict]:
    """Yield a row per reference, among the metrics of which are those of variants."""
    for reference, cell in more[~more["variant"].isin(list(variants))].groupby("variant"):
        kls = cell["kl_bits"].tolist()
        yield {"variant": reference, "kind": "reference", "kls": kls, **cell[MORE].mean()}


def of_siblings(published: pd.DataFrame) -> Iterable[dict]:
    """Yield a row per run of the authors' other experiments, of which two share their baseline."""
    for row in published.drop_duplicates(["kl_bits", "train_seconds"]).to_dict("records"):
        yield {
            "variant": f"{row['experiment']}.{row['run']}",
            "kind": "published",
            "kls": [row["kl_bits"]],
            "train_seconds": row["train_seconds"],
            "sample_seconds": row["sample_seconds"],
        }


def printed(table: pd.DataFrame, labels: Mapping[str, str]) -> list[list[str]]:
    rows, last = [], None
    for row in table.to_dict("records"):
        rows.append(
            [
                "" if row["dataset"] == last else row["dataset"],
                title(row["variant"], row["kind"], labels),
                str(row["seeds"]),
                *(number(row[name], f",.{COLUMNS[name].digits}f") for name in COST),
                with_interval(row["excess_bits"], row["low_bits"], row["high_bits"], ".3f"),
                number(row["p_best"], ".2f"),
                *(number(row[name], f".{COLUMNS[name].digits}f") for name in MORE),
            ]
        )
        last = row["dataset"]
    return rows


def title(variant: str, kind: str, labels: Mapping[str, str]) -> str:
    """Name of a system or reference in the table."""
    name, _, run_of = variant.partition(".")
    if variant == REAL:
        return "fresh real points"
    if kind == "reference":
        return f"optimal denoiser, process of {labels.get(name, name)}"
    if kind == "published":
        return f"published: {name.replace('_', ' ')}, run {run_of.removeprefix('run_')}"
    return labels[variant]


run(main, globals())
