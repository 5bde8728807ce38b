import math

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from dualscale.metrics.claims import read_claims
from dualscale.metrics.statistics import probabilities_of_best
from plot_systems import draw, pareto
from tabulate_systems import MORE, printed, systems

SEEDS = range(5)
LABELS = {"good": "Good", "poor": "Poor", "mixture": "Mixture", "again": "Points again"}
MEANS = {"good": 0.11, "poor": 0.4, "mixture": 0.1, "again": -0.2}


def test_means_within_the_margin_of_the_lowest_are_all_best():
    near, far = [0.10, 0.101, 0.102], [0.2, 0.201, 0.202]
    assert probabilities_of_best([near, near, far], 0.02, seed=0) == pytest.approx(
        [1, 1, 0], abs=0.01
    )
    lowest, next_to_it = probabilities_of_best([near, [x + 0.02 for x in near]], 0.02, seed=0)
    assert lowest > 0.999
    assert next_to_it == pytest.approx(0.5, abs=0.01)


def test_a_mean_that_few_seeds_leave_open_may_be_the_best():
    certain, open_to_chance = [0.1, 0.1, 0.1], [0.0, 0.2, 0.4]
    lower, higher = probabilities_of_best([certain, open_to_chance], 0.02, seed=0)
    assert 0.7 < lower < 1
    assert 0.1 < higher < 0.4
    assert probabilities_of_best([certain, open_to_chance], 0.02, seed=0) == [lower, higher]


def test_a_single_run_is_not_ranked_among_the_repeated_ones():
    twice, worse = [0.1, 0.11, 0.1], [0.5, 0.51, 0.5]
    *ranked, single = probabilities_of_best([twice, worse, [0.1]], 0.02, seed=0)
    assert ranked == pytest.approx([1, 0], abs=0.01)
    assert math.isnan(single)
    assert all(map(math.isnan, probabilities_of_best([twice, [0.1]], 0.02, seed=0)))


def test_claims_of_the_siblings_are_the_figures_of_their_runs():
    runs = pd.read_csv(ROOT / "workflow/published/sibling_experiments.csv")
    kl = runs.set_index(["experiment", "run", "dataset"])["kl_bits"]
    claims = read_claims(ROOT / "workflow/published/sibling_claims.yaml")
    assert len(claims) == 8
    for claim in claims:
        experiment = claim.section.removesuffix(", run 3")
        (question,) = claim.questions
        (dataset,) = question.quantity.datasets
        base = kl[experiment, "run_0", dataset]
        change = kl[experiment, "run_3", dataset] / base - 1
        assert question.published == pytest.approx(change, abs=6e-4)
        assert f"{abs(change):.1%}".replace("%", " %") in claim.statement
        assert ("lower" in claim.statement) == (question.below == 0) == (change < 0)


def tables():
    """Runs, further metrics, floors and published figures on two datasets."""
    rng = np.random.default_rng(0)
    runs, more = [], []
    for dataset in ("line", "dino"):
        for seed in SEEDS:
            for variant, mean in MEANS.items():
                run = {"variant": variant, "dataset": dataset, "seed": seed}
                run["kl_bits"] = mean + rng.normal(0, 0.001)
                cost = {"parameters": 10.0, "train_seconds": mean + 1, "sample_seconds": 2.0}
                runs.append(run | cost)
                further = dict.fromkeys(MORE, 0.5) | {"nearest_training": 1 - (variant == "again")}
                more.append(run | further)
            reference = {"variant": "good.exact", "dataset": dataset, "seed": seed, "kl_bits": 0.0}
            more.append(reference | dict.fromkeys(MORE, 0.5))
    names = ["line"] * 3 + ["dino"] * 3
    floors = pd.DataFrame(
        {"dataset": names, "seed": [0, 1, 2] * 2, "kl_bits": [0.009, 0.01, 0.011] * 2}
    )
    published = pd.read_csv(ROOT / "workflow/published/sibling_experiments.csv")
    return pd.DataFrame(runs), pd.DataFrame(more), floors, published


def test_systems_are_ranked_and_copies_references_and_published_runs_stand_below():
    table = systems(*tables(), LABELS, ["mixture", "again"], 0.02)
    line = table[table["dataset"] == "line"]
    assert line["variant"].tolist()[:5] == ["mixture", "good", "poor", "again", "good.exact"]
    kinds = ["classical", "network", "network", "copy", "reference", "published"]
    assert list(dict.fromkeys(line["kind"])) == list(dict.fromkeys(kinds))
    assert line["p_best"].tolist()[:3] == pytest.approx([1, 1, 0], abs=0.001)
    assert line["p_best"][3:].isna().all()
    row = line.set_index("variant").loc["mixture"]
    assert row["excess_bits"] == pytest.approx(0.09, abs=0.002)
    assert row["low_bits"] < row["excess_bits"] < row["high_bits"]
    theirs = line[line["kind"] == "published"]
    assert len(theirs) == 23, "of 24 runs, two are one baseline"
    run_5 = theirs.set_index("variant").loc["dual_expert_denoiser.run_5"]
    assert run_5["excess_bits"] == pytest.approx(0.191023 - 0.01)
    names = [text[1] for text in printed(table, LABELS)]
    assert names[4] == "optimal denoiser, process of Good"
    assert "published: dual expert denoiser, run 5" in names


def test_a_front_holds_what_no_other_system_beats_in_cost_and_kl():
    points = pd.DataFrame(
        {"cost": [1.0, 1.0, 2.0, 3.0], "excess_bits": [0.3, 0.4, 0.3, 0.1]}, index=list("abcd")
    )
    assert pareto(points, "cost").index.tolist() == ["a", "d"]


def test_the_figure_shows_every_system_on_every_dataset_and_names_the_front():
    figure = draw(systems(*tables(), LABELS, ["mixture", "again"], 0.02), LABELS)
    assert len(figure.axes) == 2 * 3
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(LABELS.values()) < set(shown)
    for axis in figure.axes:
        assert [text.get_text() for text in axis.texts] == ["Mixture"]


def test_the_page_of_systems_is_made_with_classical_generators_and_the_optimal_denoiser(project):
    metrics = ["classifier", "coverage", "off_support", "nearest_training"]
    project.configure(
        run={"variants": ["baseline", "again"], "datasets": ["line"]},
        variants={"again": {"label": "Points again", "classical": "training_points"}},
        study={"floors": 2, "points": 10, "metrics": metrics},
    )
    project.run("systems")
    results = project.path / "results/systems"
    table = pd.read_csv(results / "systems.csv").set_index("variant")
    assert {"baseline", "again", "baseline.exact", "real"} < set(table.index)
    assert table.loc["again", "kind"] == "copy"
    assert table.loc["again", "nearest_training"] == 0
    assert table.loc["again", "parameters"] == 600
    assert np.isfinite(
        table.loc["baseline", ["excess_bits", "ode_kl_bits", *MORE[:3]]].tolist()
    ).all()
    assert "Points again " in (results / "systems.html").read_text()
    assert (results / "figure6.png").stat().st_size > 5000
    assert project.waiting("systems") == set()
