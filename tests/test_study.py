import math
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from test_model import make

import compare_variants
from compare_variants import compare
from compute_exact import main as compute_exact
from dualscale.diffusion.priors import Standard
from dualscale.metrics.claims import Claim, Measured, answered, findings, judge, read_claims
from dualscale.metrics.distances import every_metric
from dualscale.metrics.quantities import Runs
from dualscale.metrics.table import of_study
from evaluate_model import ode_kl, write_score_errors
from judge_claims import judged, printed
from plot_fields import main as plot_fields
from plot_score_errors import main as plot_score_errors

SETTINGS = {"datasets": ["dino", "line"], "margin_bits": 0.02}


def runs(seeds, gain):
    """Metrics of two variants: `mine` is better by `gain` on dino, equal on line."""
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


def test_a_verdict_asks_equivalence_and_significance_of_its_own(monkeypatch):
    monkeypatch.setattr(compare_variants, "EQUIVALENCE", 1.1)
    dino, line = compared(runs(10, 0.1))
    assert (dino["verdict"], line["verdict"]) == ("better", "undecided")
    monkeypatch.setattr(compare_variants, "SIGNIFICANCE", 1e-4)
    assert {row["verdict"] for row in compared(runs(10, 0.1))} == {"too few seeds"}


def test_a_caption_says_the_level_of_the_intervals(monkeypatch):
    monkeypatch.setattr(compare_variants, "INTERVAL", 0.9)
    table = pd.DataFrame(compared(runs(10, 0.1)))
    said = compare_variants.caption(table, SETTINGS | {"files": []})
    assert "mean and 90 % interval" in said


def test_too_few_seeds_get_no_p_whatever_they_show():
    for row in compared(runs(4, 10.0)):
        assert row["verdict"] == "too few seeds"
        assert row["p"] is None
        assert row["p_holm"] is None


PAIR = {"variant": "mine", "against": "other"}
KL = {"kind": "relative", "column": "kl_bits", **PAIR, "datasets": ["dino", "line"]}


def claim(rule="every", quantity=KL, **question):
    question = {"quantity": quantity, **(question or {"below": 0})}
    return Claim(id="c", statement="s", section="1", rule=rule, questions=[question])


def finding(low, high, published=None, margin=0.1):
    question = claim(below=0, published=published).questions[0]
    return answered(question, "dino", Measured(8, (low + high) / 2, low, high), margin)


LOWER, HIGHER, OPEN, SAME = finding(-3, -1), finding(1, 3), finding(-1, 1), finding(-0.05, 0.05)
ABSENT = answered(claim().questions[0], "dino", Measured(0), math.nan)
SINGLE = answered(claim().questions[0], "dino", Measured(1, -2.0), math.nan)


@pytest.mark.parametrize(
    ("rule", "found", "verdict"),
    [
        ("every", [LOWER, LOWER], "holds"),
        ("every", [LOWER, OPEN], "undecided"),
        ("every", [LOWER, HIGHER], "does not hold"),
        ("every", [LOWER, SAME], "does not hold"),
        ("every", [SAME], "equivalent"),
        ("every", [ABSENT, ABSENT], "not run"),
        ("every", [LOWER, ABSENT], "not run"),
        ("every", [HIGHER, ABSENT], "does not hold"),
        ("every", [LOWER, SINGLE], "too few seeds"),
        ("lowers_by", [finding(-3, -1, published=-2)], "holds"),
        ("lowers_by", [finding(-3, -1, published=-0.5)], "another size"),
        ("lowers_by", [finding(-0.05, 0.05, published=-2)], "equivalent"),
        ("lowers_by", [finding(-0.05, -0.02, published=-0.03)], "holds"),
        ("lowers_by", [finding(1, 3, published=-2)], "does not hold"),
        ("some", [LOWER, SAME], "holds"),
        ("some", [LOWER, OPEN], "undecided"),
        ("some", [LOWER, HIGHER], "does not hold"),
        ("some", [SAME, SAME], "equivalent"),
        ("some", [ABSENT], "not run"),
        ("mixed", [LOWER, HIGHER], "holds"),
        ("mixed", [LOWER, SAME], "holds"),
        ("mixed", [LOWER, LOWER], "does not hold"),
        ("mixed", [HIGHER, SAME], "does not hold"),
        ("mixed", [LOWER, OPEN], "undecided"),
        ("mixed", [LOWER, SINGLE], "too few seeds"),
    ],
)
def test_a_claim_is_judged_by_the_rule_of_its_words(rule, found, verdict):
    assert judge(rule, found) == verdict


def test_a_claim_without_a_measurement_never_holds():
    with pytest.raises(ValueError, match="without a measurement"):
        judge("every", [])


def test_a_reduction_is_asked_three_questions():
    found = finding(-0.03, -0.01, published=-0.025, margin=0.02)
    assert (found.answer, found.size, found.equivalent) == ("yes", "yes", "no")
    found = finding(-0.03, 0.01, published=-0.128, margin=0.04)
    assert (found.answer, found.size, found.equivalent) == ("undecided", "no", "yes")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"quantity": KL | {"kind": "relativ"}, "below": 0},
            "claim c: questions.0.quantity.kind is 'relativ': one of relative, ratio, weight_lead, "
            "weight_shift, spread is allowed (did you mean relative?)",
        ),
        (
            {"quantity": KL | {"column": "kl_bit"}, "below": 0},
            "claim c: questions.0.quantity.column is 'kl_bit': one of kl_bits, train_seconds, "
            "sample_seconds, eval_loss, parameters is allowed (did you mean kl_bits?)",
        ),
        ({"quantity": KL | {"datasets": []}, "below": 0}, "quantity.datasets is []: 1 or more"),
        (
            {"quantity": KL, "blow": 0},
            "questions.0 has the unknown key 'blow' (did you mean below?)",
        ),
        ({"quantity": KL}, "questions.0 has no bound: one of above and below is needed"),
    ],
)
def test_a_claim_that_is_misspelt_is_an_error_that_names_it(tmp_path, found, message):
    text = {"id": "c", "statement": "s", "section": "1", "rule": "every", "questions": [found]}
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump([text]))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_claims(tmp_path / "claims.yaml")
    assert "\n" not in str(error.value)


def values(quantity, metrics):
    return claim(quantity=quantity, above=0).questions[0].quantity.values(metrics)


def test_quantities_of_claims_are_what_they_say():
    metrics = Runs(runs(6, 0.1))
    relative = values(KL | {"datasets": ["dino", "moons"]}, metrics)
    assert np.mean(relative["dino"]) == pytest.approx(-0.1, abs=0.01)
    assert relative["moons"] == []
    ratio = {"kind": "ratio", "column": "train_seconds", **PAIR, "datasets": ["dino", "line"]}
    assert values(ratio, metrics)["all"] == pytest.approx([2] * 6)
    assert values(ratio | {"over": "train_seconds"}, metrics)["all"] == pytest.approx([1] * 6)
    spread = {"kind": "spread", "variant": "mine", "dataset": "dino", "others": ["line", "moons"]}
    spread = values(spread, metrics)
    assert len(spread["dino, line"]) == 6
    assert spread["dino, moons"] == []


def test_the_margin_is_in_the_units_of_the_difference():
    quantity = claim(quantity=KL | {"margin_bits": 0.02}).questions[0].quantity
    base = runs(6, 0.1).query("variant == 'other' and dataset == 'dino'")["kl_bits"].mean()
    assert quantity.margin(Runs(runs(6, 0.1)), "dino") == pytest.approx(0.02 / base)


def test_what_was_not_run_differs_from_too_few_seeds():
    absent, single = (
        findings(claim(quantity=KL | {"datasets": [dataset]}), Runs(runs(1, 0.1)))[0]
        for dataset in ("moons", "dino")
    )
    assert (absent.answer, single.answer) == ("not run", "too few seeds")


def test_weights_are_compared_between_the_ends_of_denoising():
    local = np.linspace(1, 0, 100)  # largest at t = 0, the end of denoising
    weights = pd.DataFrame({"timestep": range(100), "global": 1 - local, "local": local})
    weights = weights.assign(variant="mine", dataset="dino")
    metrics = Runs(runs(2, 0.1), {("mine", "dino"): [weights]})
    on = {"variant": "mine", "datasets": ["dino"]}
    (shift,) = values({"kind": "weight_shift", "branch": "local", **on}, metrics)["dino"]
    assert shift == pytest.approx(local[:10].mean() - local[-10:].mean())
    lead = {"kind": "weight_lead", "branch": "global", "over": "local", **on}
    (lead,) = values(lead, metrics)["dino"]
    assert lead == pytest.approx(1 - 2 * local[-10:].mean())


def test_published_figures_of_claims_are_those_of_table_1_and_of_the_release():
    for figure, (file, key, names) in {
        "published": ("table1.csv", "variant", {}),
        "release": ("release_runs.csv", "run", {"run_0": "baseline", "run_5": "improved"}),
    }.items():
        table = pd.read_csv(ROOT / "workflow/published" / file).assign(seed=0)
        printed = Runs(table.assign(variant=table[key].replace(names)))
        for said in read_claims(ROOT / "workflow/published/claims.yaml"):
            for question in said.questions:
                stated = getattr(question, figure)
                if stated is not None:
                    ((measured,),) = question.quantity.values(printed).values()
                    assert stated == pytest.approx(measured, abs=6e-4), said.id


def test_the_page_of_claims_says_what_is_asked_only_where_it_is():
    read = read_claims(ROOT / "workflow/published/claims.yaml")
    table = judged((said, findings(said, Runs(runs(2, 0.1)))) for said in read)
    assert printed(table, read, 2, "claims.yaml").html().count("local, late less early") == 1


def test_the_sibling_experiments_hold_the_papers_release():
    run = ["run", "dataset"]
    siblings, release = (
        pd.read_csv(ROOT / "workflow/published" / name)
        for name in ("sibling_experiments.csv", "release_runs.csv")
    )
    own = siblings[siblings["experiment"] == "adaptive_dual_scale_denoising"].set_index(run)
    pd.testing.assert_series_equal(own["kl_bits"], release.set_index(run)["kl_bits"])


def test_claims_name_variants_and_datasets_of_the_config():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for said in read_claims(ROOT / "workflow/published/claims.yaml"):
        for question in said.questions:
            quantity = question.quantity.model_dump()
            names = {quantity["variant"], quantity.get("against", quantity["variant"])}
            assert names <= set(config["variants"]), said.id
            datasets = {*quantity.get("datasets", []), *quantity.get("others", [])}
            assert datasets <= set(config["datasets"]), said.id


@pytest.fixture
def known(tmp_path):
    """A model whose schedule ends at alpha = 0, and what is exactly known of its dataset."""
    schedule = {"kind": "linear_path", "timesteps": 6}
    model = make(schedule=schedule, prediction="velocity")
    model.save(tmp_path / "model", model.backbone.flat, 0)
    settings = {"distribution": {"kind": "moons"}, "schedule": schedule, "points": 40}
    compute_exact(tmp_path / "exact.npz", settings=settings, dataset="moons")
    return model, tmp_path


def test_what_is_exact_is_finite_where_the_schedule_ends_in_noise(known):
    with np.load(known[1] / "exact.npz") as exact:
        np.testing.assert_allclose(exact["noise"][-1], exact["x"][-1], rtol=1e-6)
        assert all(np.isfinite(exact[name]).all() for name in exact.files)


def test_there_is_no_density_of_the_flow_where_the_schedule_ends_in_noise(known):
    model, folder = known
    with np.load(folder / "exact.npz") as exact:
        assert ode_kl(model, exact, Standard()) is None


def test_figure_4_ends_before_the_noise_alone(known, monkeypatch):
    model, folder = known
    scores = folder / "mine/moons/0.csv"
    scores.parent.mkdir(parents=True)
    with np.load(folder / "exact.npz") as exact:
        write_score_errors(scores, model, exact)
    shown = []
    monkeypatch.setattr("plot_score_errors.write_figure", lambda figure, _: shown.append(figure))
    settings = {"labels": {"mine": "Mine"}, "datasets": ["moons"]}
    plot_score_errors([scores], [], settings=settings)
    (line,) = shown[0].axes[0].lines
    assert len(line.get_xdata()) == 5, "levels; the sixth is noise alone"
    assert np.isfinite(line.get_xydata()).all()


def test_fields_are_drawn_up_to_the_noise_alone(known):
    folder = known[1]
    settings = {"distribution": {"kind": "moons"}}
    shown = {"settings": settings, "label": "Mine", "architecture": None}
    plot_fields(folder / "model", [folder / "a.svg"], **shown)
    assert "sigma / alpha = inf" in (folder / "a.svg").read_text()


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
    claims = pd.read_csv(study / "claims.csv").groupby("claim")["verdict"].first()
    assert claims["kl_dino"] == "not run"
    assert claims["circle_turns_local"] != "not run"
    comparisons = pd.read_csv(study / "comparisons.csv")
    assert set(comparisons["verdict"]) == {"too few seeds"}
    measures = (study / "measures.md").read_text()
    assert "optimal denoiser of Baseline, from the prior" in measures
    assert all(column.label in measures for column in of_study(every_metric()))
    for figure in ("figure3", "figure4"):
        assert (study / f"{figure}.svg").stat().st_size > 5000
    project.configure(study={"margin_bits": 0.1})
    assert project.waiting("study") == {"Compare the variants"}
