"""The example that makes UCI's Adult, on two rows."""

import runpy

import pandas as pd
from conftest import ROOT

NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]


def test_one_hot_columns_become_words():
    example = runpy.run_path(str(ROOT / "examples/adult.py"))
    words = [name for name in example["COLUMNS"] if name not in NUMBERS]
    flags = {
        f"{name}_{value}": [0, 1] if value == "b_c" else [1, 0]
        for name in words
        for value in ("a", "b_c")
    }
    found = example["words"](pd.DataFrame({name: [1, 2] for name in NUMBERS} | flags))
    assert list(found) == example["COLUMNS"]
    assert found[words].eq(pd.Series(["a", "b_c"]), axis=0).all(axis=None)
    assert found[NUMBERS].eq(pd.Series([1, 2]), axis=0).all(axis=None)
