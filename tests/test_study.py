import numpy as np
import pandas as pd
import pytest

from compare_variants import compare
from judge_claims import judge, measure, shift

SETTINGS = {"datasets": ["dino", "line"], "margin_bits": 0.02}


def runs(seeds, gain):
    """Metrics of two variants: `mine` is better by `gain` on dino and the same on line."""
    rng = np.random.default_rng(0)
    rows = []
    for dataset in ("dino", "line"):
        for seed in range(seeds):
            base = rng.normal(1, 0.05)
            for variant in ("mine", "other"):
                better = gain if variant == "mine" and dataset == "dino" else 0
                samples = base - better + rng.normal(0, 0.002, 3)
                rows.append(
                    {
                        "variant": variant,
                        "dataset": dataset,
                        "seed": seed,
                        "kl_bits": samples[0],
                        "kl_draw1_bits": samples[1],
                        "kl_draw2_bits": samples[2],
                        "train_seconds": 2.0 if variant == "mine" else 1.0,
                    }
                )
    return pd.DataFrame(rows)


def compared(table):
    return compare(table, table[table["seed"] < 6], "mine", "other", SETTINGS)


def test_a_gain_on_common_random_numbers_is_found_and_sameness_too():
    dino, line = compared(runs(10, 0.1))
    assert dino["difference_bits"] == pytest.approx(-0.1, abs=0.005)
    assert (dino["verdict"], line["verdict"]) == ("better", "same")
    assert dino["p_holm"] == pytest.approx(2 * 2 / 2**10)
    assert dino["sampling_sd_bits"] == pytest.approx(0.002, rel=0.5)
    assert dino["training_sd_bits"] == pytest.approx(0.05, rel=0.6)


def test_a_gain_within_the_margin_is_called_the_same_however_certain():
    dino, _ = compared(runs(10, 0.01))
    assert dino["p_holm"] < 0.05
    assert dino["verdict"] == "same"


def test_a_difference_is_told_as_a_share_of_what_lies_above_the_floor():
    table = runs(10, 0.1)
    floor = pd.DataFrame(
        [{"variant": "real", "dataset": "dino", "seed": s, "kl_bits": 0.5} for s in (0, 1)]
    )
    dino, _ = compare(table, pd.concat([table, floor]), "mine", "other", SETTINGS)
    assert dino["share_of_excess"] == pytest.approx(-0.1 / 0.5, rel=0.1)


def test_too_few_seeds_get_no_p_whatever_they_show():
    for row in compared(runs(4, 10.0)):
        assert row["verdict"] == "too few seeds"
        assert row["p"] is None
        assert row["p_holm"] is None


@pytest.mark.parametrize(
    ("bound", "intervals", "verdict"),
    [
        ({"below": [0]}, [(-2, -3, -1)], "holds"),
        ({"below": [0]}, [(-2, -3, -1), (0, -1, 1)], "undecided"),
        ({"below": [0]}, [(-2, -3, -1), (2, 1, 3)], "does not hold"),
        ({"above": [0]}, [(2, 1, 3)], "holds"),
        ({"between": [1.5, 2.5]}, [(2, 1.9, 2.1)], "holds"),
        ({"between": [1.5, 2.5]}, [(2, 1.4, 2.1)], "undecided"),
        ({"between": [1.5, 2.5]}, [(4, 3.9, 4.1)], "does not hold"),
        ({"mixed": []}, [(-2, -3, -1), (2, 1, 3)], "holds"),
        ({"mixed": []}, [(-2, -3, -1), (-2, -3, -1)], "does not hold"),
        ({"mixed": []}, [(-2, -3, -1), (0, -1, 1)], "undecided"),
        ({"below": [0]}, [(-2, np.nan, np.nan)], "too few seeds"),
    ],
)
def test_claims_are_judged_by_where_the_intervals_lie(bound, intervals, verdict):
    assert judge(bound, intervals) == verdict


def test_quantities_of_claims_are_what_they_say():
    metrics = runs(6, 0.1)
    pair = {"variant": "mine", "against": "other", "datasets": ["dino"]}
    relative = measure({"kind": "relative", "column": "kl_bits", **pair}, metrics, {})["dino"]
    assert relative[0] == pytest.approx(-0.1, abs=0.01)
    ratio = measure({"kind": "ratio", "column": "train_seconds", **pair}, metrics, {})["all"]
    assert ratio[0] == pytest.approx(2)
    absent = measure(
        {"kind": "relative", "column": "kl_bits", **pair, "datasets": ["moons"]}, metrics, {}
    )
    assert np.isnan(absent["moons"]).all()


def test_a_weight_shift_is_the_last_tenth_of_denoising_less_the_first(tmp_path):
    file = tmp_path / "weights.csv"
    local = np.linspace(1, 0, 100)  # large at t = 0, where denoising ends
    pd.DataFrame({"timestep": range(100), "global": 1 - local, "local": local}).to_csv(file)
    assert shift(file, "local") == pytest.approx(local[:10].mean() - local[-10:].mean())


def test_the_study_runs_to_its_end_without_training_again(project):
    project.configure(run={"seeds": [0, 1]}, study={"points": 50, "seeds": 1})
    project.run("all")
    waiting = project.waiting("study")
    assert waiting
    assert not any(job.startswith(("Train", "Sample")) for job in waiting)
    project.run("study")
    assert project.waiting("study") == set()
    study = project.path / "results/study"
    parts = pd.read_csv(study / "decomposition.csv")
    assert len(parts) == 4
    total = parts[["floor_bits", "start_bits", "steps_bits", "network_bits"]].sum(axis=1)
    np.testing.assert_allclose(total, parts["kl_bits"], atol=1e-5)
    comparisons = pd.read_csv(study / "comparisons.csv")
    assert set(comparisons["verdict"]) == {"too few seeds"}
    for figure in ("figure3", "figure4"):
        assert (study / f"{figure}.svg").stat().st_size > 5000
    project.configure(study={"margin_bits": 0.1})
    assert project.waiting("study") == {"Compare the variants"}
