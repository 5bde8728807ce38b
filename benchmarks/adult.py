"""Train CatBoost on generated rows of Adult and test it on real ones: docs/beyond/adult.csv.

    python examples/adult.py
    snakemake --cores 2 --configfile examples/adult.yaml examples/adult_noise.yaml
    .venv/bin/pip install catboost==1.2.10  # which nothing else needs
    python benchmarks/adult.py

As in TabDDPM's comparison (Kotelnikov et al. 2023, section 5.1, with the depth, learning rate and
penalty that it has for Adult): real rows that no generator has seen stop the training, and the
macro F1 is that on UCI's test rows, the mean over seeds of CatBoost. One row per (method,
synthesis); `real` is trained on the generators' own training rows. docs/beyond/adult/ keeps the
single scores in `catboost.csv`, the measures of the quality page by run in `quality.csv`, those of
real rows first, and the picture of the columns.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from catboost import CatBoostClassifier
from sklearn.metrics import f1_score

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from dualscale.data.encoding import Encoding

PAGE = ROOT / "docs/beyond"
TARGET, POSITIVE = "salary", ">50K"
NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
PARAMETERS = {
    "depth": 3,
    "learning_rate": 0.169,
    "l2_leaf_reg": 0.193,
    "iterations": 2000,
    "early_stopping_rounds": 50,
    "eval_metric": "TotalF1",
    "thread_count": 1,
    "verbose": False,
    "allow_writing_files": False,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--seeds", type=int, default=3, help="of CatBoost")
    options = parser.parse_args()
    stop = rows_of(options.results / "held_out/adult.npy", options.results)
    test = as_read(pd.read_csv(ROOT / "examples/adult_test.csv"))
    found = [
        {"variant": variant, "seed": seed, "catboost_seed": other, "macro_f1": score}
        for variant, seed, rows in sources(options.results)
        for other in range(options.seeds)
        for score in [round(macro_f1(rows, stop, test, other), 5)]
    ]
    scores = pd.DataFrame(found)
    write(scores, "adult/catboost.csv")
    write(summary(scores, pd.read_csv(options.results / "metrics.csv")), "adult.csv")
    write(qualities(options.results), "adult/quality.csv")
    shutil.copy(options.results / "quality/adult/columns.png", PAGE / "adult/columns.png")


def write(table, name):
    table.to_csv(PAGE / name, index=False, float_format="%.6g", lineterminator="\n")


def summary(scores, runs):
    """Mean score of every table, with the seconds of training and the device."""
    means = scores.groupby(["variant", "seed"], sort=False, dropna=False)["macro_f1"].mean()
    table = means.reset_index().astype({"seed": "Int64"})
    times = runs[["variant", "seed", "train_seconds", "device"]].astype({"seed": "Int64"})
    table = table.merge(times, on=["variant", "seed"], how="left")
    return table.rename(columns={"variant": "method", "seed": "synthesis"})


def qualities(results):
    """Measures of every run, and of real rows."""
    floors = pd.read_csv(results / "quality_floors/adult.csv").assign(variant="real")
    runs = [
        json.loads(path.read_text()) for path in sorted(results.glob("qualities/*/adult/*.json"))
    ]
    measures = floors.columns.drop(["variant", "dataset", "seed"])
    return pd.concat([floors, pd.DataFrame(runs)])[["variant", "dataset", "seed", *measures]]


def sources(results):
    """Yield variant, seed and rows of every table to train on, real rows first."""
    yield "real", None, rows_of(results / "datasets/adult.npy", results)
    for path in sorted(results.glob("samples/*/adult/*.npy")):
        yield path.parts[-3], int(path.stem), rows_of(path, results)


def rows_of(points, results):
    """Rows that are stored as points."""
    encoding = results / "encodings/adult.json"
    columns = Encoding.read(encoding)
    return as_read(columns.decode(np.load(points)))


def as_read(rows):
    """Rows with numbers as numbers, whatever they were for the generator."""
    return rows.astype(dict.fromkeys(NUMBERS, float))


def macro_f1(rows, stop, test, seed):
    """Macro F1 on `test` of CatBoost trained on `rows` until that on `stop` no longer grows."""
    words = [name for name in rows if name not in (*NUMBERS, TARGET)]
    model = CatBoostClassifier(**PARAMETERS, cat_features=words, random_seed=seed)
    model.fit(*split(rows), eval_set=split(stop))
    cells, target = split(test)
    return f1_score(target, model.predict(cells), average="macro")


def split(rows):
    """Cells, and 1 where the salary is the higher one."""
    return rows.drop(columns=TARGET), (rows[TARGET] == POSITIVE).astype(int)


if __name__ == "__main__":
    main()
