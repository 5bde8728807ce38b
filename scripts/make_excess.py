"""KL above the floor: the paper's best row beside ours, a row a (variant, dataset)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dualscale.statistics import best_interval
from dualscale.tables import Table
from job import job, read_json, whole

CAPTION = (
    "KL in bits above that of fresh real points, mean and 95 % interval over {seeds}. "
    "Published: the row of the paper's Table 1 that it calls its best ({best}), less the same "
    "floor. Training time as a ratio to {base}'s of the same dataset, seed and run: median."
)


def main(
    metrics: str | Path,
    published: str | Path,
    floors: Mapping[str, Sequence[str]],
    outputs: Mapping[str, str],
    settings: Mapping,
) -> None:
    """Write the table as CSV, Markdown and HTML.

    Args:
        metrics: metrics.csv.
        published: the paper's Table 1.
        floors: of each dataset, the records of fresh real points' KL, a seed each.
        settings: labels by variant; best, the published row; base, whose time is the measure.
    """
    strings = {"variant": str, "dataset": str}
    runs = pd.read_csv(metrics, dtype=strings, keep_default_na=False)
    paper = pd.read_csv(published, dtype=strings).set_index(["variant", "dataset"])["kl_bits"]
    best, base, labels = settings["best"], settings["base"], settings["labels"]
    rows = []
    for variant in labels:
        for dataset, records in floors.items():
            floor = np.mean([read_json(record)["kl_bits"] for record in records])
            cell, times = (
                runs[(runs["variant"] == name) & (runs["dataset"] == dataset)].set_index("seed")
                for name in (variant, base)
            )
            mean, low, high = best_interval((cell["kl_bits"] - floor).tolist())
            theirs = paper.get((best, dataset), np.nan) - floor
            ratio = (cell["train_seconds"] / times["train_seconds"]).median()
            rows.append(
                {
                    "variant": variant,
                    "dataset": dataset,
                    "seeds": len(cell),
                    "floor_bits": floor,
                    "published_excess_bits": theirs,
                    "excess_bits": mean,
                    "low_bits": low,
                    "high_bits": high,
                    "share_of_published": mean / theirs,
                    "training_time_ratio": ratio,
                }
            )
    table = pd.DataFrame(rows)
    with whole(outputs["csv"]) as part:
        table.to_csv(part, index=False, lineterminator="\n", float_format="%.6g")
    header = ["variant", "dataset", "floor", "published", "measured", "share", "training time"]
    seeds = runs["seed"].nunique()
    caption = CAPTION.format(
        seeds=f"{seeds} seed{'' if seeds == 1 else 's'}", best=best, base=labels.get(base, base)
    )
    texts = Table("KL above the floor", header, printed(rows, labels), caption, (), 2)
    for name in ("md", "html"):
        with whole(outputs[name]) as part:
            part.write_text(getattr(texts, name)(), encoding="utf-8")


def printed(rows: Sequence[Mapping], labels: Mapping[str, str]) -> list[list[str]]:
    texts, last = [], None
    for row in rows:
        interval = (
            ""
            if np.isnan(row["low_bits"])
            else (f" [{row['low_bits']:.4f}, {row['high_bits']:.4f}]")
        )
        known = not np.isnan(row["published_excess_bits"])
        texts.append(
            [
                "" if row["variant"] == last else labels[row["variant"]],
                row["dataset"],
                f"{row['floor_bits']:.4f}",
                f"{row['published_excess_bits']:.4f}" if known else "",
                f"{row['excess_bits']:.4f}{interval}",
                f"{row['share_of_published']:.1%}" if known else "",
                f"{row['training_time_ratio']:.2f}",
            ]
        )
        last = row["variant"]
    return texts


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        files = iter(snakemake.input.floors)
        main(
            snakemake.input.metrics,
            snakemake.input.published,
            {
                dataset: [next(files) for _ in range(snakemake.params.seeds)]
                for dataset in snakemake.params.datasets
            },
            dict(snakemake.output.items()),
            snakemake.params.settings,
        )
