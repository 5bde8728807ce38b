"""KL above the floor, and its interval."""

import pandas as pd
import pytest

from tabulate_excess import excess


def cells(**bits):
    """Runs of `mine` on dino, or floors of it, one row per KL."""
    return pd.DataFrame(
        [
            {"variant": name, "dataset": "dino", "seed": seed, "kl_bits": kl, "train_seconds": 1.0}
            for name, values in bits.items()
            for seed, kl in enumerate(values)
        ]
    )


def test_the_excess_has_the_scatter_of_the_runs_and_of_the_floors():
    steady, scattered = (
        excess(
            cells(mine=[0.10, 0.11, 0.12]),
            cells(real=floors),
            cells(best=[0.5]),
            ["mine"],
            best="best",
            base="mine",
        ).iloc[0]
        for floors in ([0.0, 0.0, 0.001, -0.001], [0.1, -0.1, 0.1, -0.1])
    )
    assert steady["excess_bits"] == scattered["excess_bits"] == pytest.approx(0.11)
    for ends in (("low_bits", "high_bits"), ("share_low", "share_high")):
        narrow, wide = (row[ends[1]] - row[ends[0]] for row in (steady, scattered))
        assert 0 < narrow < wide
    assert scattered["low_bits"] < 0 < scattered["high_bits"]
    assert steady["share_of_published"] == pytest.approx(0.11 / 0.5)


def test_one_seed_has_an_excess_without_an_interval():
    row = excess(
        cells(mine=[0.1]), cells(real=[0.0, 0.01]), cells(best=[0.5]), ["mine"], "best", "mine"
    ).iloc[0]
    assert row["excess_bits"] == pytest.approx(0.095)
    assert row[["low_bits", "high_bits", "share_low", "share_high"]].isna().all()


def test_the_excess_is_the_kl_less_that_of_fresh_real_points(project):
    project.configure(run={"seeds": [0, 1]}, variants={"recommended": {"like": "baseline"}})
    project.run("recommended")
    results = project.path / "results"
    table = pd.read_csv(results / "recommended/excess.csv").set_index(["variant", "dataset"])
    metrics, floors = (pd.read_csv(results / name) for name in ("metrics.csv", "floors.csv"))
    mine = metrics[(metrics["variant"] == "adaptive") & (metrics["dataset"] == "line")]
    row, floor = table.loc[("adaptive", "line")], floors[floors["dataset"] == "line"]["kl_bits"]
    assert row["floors"] == len(floor) == 10
    assert floor.nunique() == 10
    assert row["floor_bits"] == pytest.approx(floor.mean(), abs=1e-4)
    assert row["excess_bits"] == pytest.approx(mine["kl_bits"].mean() - floor.mean(), abs=1e-4)
    assert row["published_excess_bits"] == pytest.approx(0.153 - floor.mean(), abs=1e-4)
    assert row["low_bits"] < row["excess_bits"] < row["high_bits"]
    assert table.loc[("baseline", "line"), "training_time_ratio"] == 1
    project.configure(run={"seeds": [0, 1, 2]})
    assert project.waiting("results/floors.csv") == set(), "floors do not depend on the seeds"
    assert (results / "recommended/samples.png").stat().st_size > 5000
