"""Make the scores of sdmetrics that test_quality.py compares with, in an environment of its own:

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install sdmetrics==0.32.0
    /tmp/oracle/bin/python tests/sdmetrics/score.py

It writes two tables, and the scores of every column and pair, beside itself. The scores are those
of the two properties of the quality report; the report itself leaves out pairs of columns whose
association is weak in the real table, thresholds that the properties do not have.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sdmetrics.reports.single_table._properties import ColumnPairTrends, ColumnShapes

HERE = Path(__file__).parent
TYPES = {
    "age": "numerical",
    "income": "numerical",
    "work": "categorical",
    "city": "categorical",
    "hired": "datetime",
    "owner": "categorical",
}


def table(rows: int, shift: float, rng: np.random.Generator) -> pd.DataFrame:
    """A table of numbers, words and dates that hang together, with missing cells."""
    age = rng.integers(18, 70, rows)
    income = np.exp(rng.normal(2 + age / 40 + shift, 0.5)).round(2)
    work = np.where(income + rng.normal(0, 8, rows) > 22, "skilled", "unskilled")
    cities = rng.choice(["east", "north", "south"], rows, p=[0.5 - shift, 0.3, 0.2 + shift])
    days = np.datetime64("2020-01-01") + (20 * (70 - age) + rng.integers(0, 200, rows))
    found = pd.DataFrame({"age": age, "income": income, "work": work, "city": cities})
    found["hired"], found["owner"] = days, rng.random(rows) < income / 60
    found["income"] = found["income"].mask(rng.random(rows) < 0.1)
    found["city"] = found["city"].mask(rng.random(rows) < 0.15 + shift)
    return found


def main() -> None:
    rng = np.random.default_rng(0)
    tables = {"real": table(150, 0.0, rng), "generated": table(200, 0.15, rng)}
    for name, found in tables.items():
        found.to_csv(HERE / f"{name}.csv", index=False)
    columns = {name: {"sdtype": kind} for name, kind in TYPES.items()}
    names = {"Column": "first", "Column 1": "first", "Column 2": "second", "Score": "score"}
    details = []
    for compared in (ColumnShapes(), ColumnPairTrends()):
        compared.num_rows_subsample = None
        compared.get_score(tables["real"], tables["generated"], {"columns": columns})
        details.append(compared.details.rename(columns=names))
    scores = pd.concat(details)[["first", "second", "score"]]
    scores.to_csv(HERE / "scores.csv", index=False)


if __name__ == "__main__":
    main()
