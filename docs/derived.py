"""Tables that follow from the committed runs, by the code that makes them in a run.

Written by `python docs/tables.py`, before the pages that show them.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from gather_steps import fewest
from make_excess import excess, read

ROOT = Path(__file__).parents[1]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
RECOMMENDED, PUBLISHED = ROOT / "docs/recommended", ROOT / "workflow/published"


def csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")


def above_floor(runs: str) -> str:
    """KL above the floor, of runs in docs/recommended."""
    metrics, floors = read(RECOMMENDED / runs), read(RECOMMENDED / "floors.csv")
    floors = floors[floors["dataset"].isin(metrics["dataset"])]
    variants, published = metrics["variant"].unique(), read(PUBLISHED / "table1.csv")
    return csv(excess(metrics, floors, published, variants, best="improved", base=variants[0]))


def few_steps() -> str:
    """The fewest evaluations, held against the full runs of the same seeds."""
    steps, metrics = read(RECOMMENDED / "steps.csv"), read(RECOMMENDED / "metrics.csv")
    return csv(fewest(steps, metrics, CONFIG["steps"]["margin_bits"]))


DERIVED: dict[str, Callable[[], str]] = {
    "docs/recommended/excess.csv": lambda: above_floor("metrics.csv"),
    "docs/recommended/fresh_excess.csv": lambda: above_floor("fresh.csv"),
    "docs/recommended/untuned_excess.csv": lambda: above_floor("untuned.csv"),
    "docs/recommended/fewest.csv": few_steps,
}
"""What makes the text of each file."""
