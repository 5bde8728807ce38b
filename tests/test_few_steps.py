"""KL at few sampling steps, and the fewest that lose nothing."""

import pandas as pd
import pytest

from dualscale.config.jobs import tried_samplings
from dualscale.diffusion.samplers import Sampler
from dualscale.parts import kinds
from tabulate_fewest import fewest


def curve(values, sampling="ddim", variant="mine"):
    """KL by number of evaluations."""
    return pd.DataFrame(
        [
            {
                "variant": variant,
                "dataset": "dino",
                "seed": 0,
                "sampling": sampling,
                "evaluations": asked,
                "kl_bits": bits,
            }
            for asked, bits in values.items()
        ]
    )


def full_runs(*bits):
    """Runs of `mine` on dino, one per KL."""
    return pd.DataFrame(
        [
            {"variant": "mine", "dataset": "dino", "seed": seed, "kl_bits": kl}
            for seed, kl in enumerate(bits)
        ]
    )


def test_the_fewest_evaluations_are_those_from_which_on_nothing_is_lost():
    table = pd.concat(
        [
            curve({1: 2.0, 5: 0.505, 10: 0.6, 50: 0.51, 100: 0.5}),
            curve({1: 2.0, 9: 0.4, 99: 0.45}, "heun"),
            curve({1: 2.0, 100: 1.0}, "dpm_solver"),
        ]
    )
    found = fewest(table, full_runs(0.5), 0.02).set_index("sampling")
    assert found["full_kl_bits"].tolist() == [0.5] * 3
    assert found.loc["ddim", "fewest_evaluations"] == 50  # 5 was luck: 10 is worse
    assert found.loc["heun", "fewest_evaluations"] == 9
    assert pd.isna(found.loc["dpm_solver", "fewest_evaluations"])


def test_few_steps_are_held_against_the_full_run_and_not_against_the_most_tried():
    table = curve({10: 0.51, 100: 0.5}, "ancestral")
    full = full_runs(0.3, 9.0)  # seed 1 was not sampled in few steps
    (row,) = fewest(table, full, 0.02).to_dict("records")
    assert row["full_kl_bits"] == pytest.approx(0.3)
    assert pd.isna(row["fewest_evaluations"])


def test_few_steps_keep_the_settings_of_the_variants_own_sampler():
    own = {
        "points": 10,
        "prior": "moment_matched",
        "sampler": {"kind": "ancestral", "variance": "x"},
    }
    steps = {
        "counts": [3],
        "samplings": {kind: {"sampler": kind} for kind in ("ancestral", "ddim")},
    }
    common = {"sampling": own, "steps": steps}
    tried = tried_samplings(common | {"variants": {"mine": {"sampling": own}}}, "mine")
    assert tried["ancestral"] == (own, [3])
    assert tried["ddim"] == (own | {"sampler": {"kind": "ddim"}}, [3])


def test_a_way_that_gives_its_steps_is_tried_in_that_number_alone():
    steps = {"counts": [1, 3], "samplings": {"mine": {"steps": 7}}}
    own = {"points": 10, "sampler": {"kind": "ddim"}, "steps": 50}
    config = {"variants": {"mine": {"sampling": own}}, "sampling": own, "steps": steps}
    assert tried_samplings(config, "mine") == {"mine": (own | {"steps": 7}, [7])}


def test_a_sampler_of_the_variants_own_is_the_only_one_that_is_tried():
    steps = {"counts": [1, 3], "samplings": {"ddim": {"sampler": "ddim"}}}
    own = {"points": 10, "sampler": {"kind": "consistency"}}
    config = {"variants": {"mine": {"sampling": own}}, "sampling": own, "steps": steps}
    assert tried_samplings(config, "mine") == {"consistency": (own, [1, 3])}


def test_few_steps_are_tried_with_every_sampler(project):
    project.configure(
        run={"seeds": [0, 1]},
        steps={
            "variants": ["adaptive"],
            "counts": [1, 3, 100],
            "samplings": {"mine": {"sampler": {"kind": "sde_dpm_solver", "eta": 2.0}, "steps": 4}},
            "metrics": ["coverage", {"kind": "kl", "k": [2]}],
        },
    )
    project.run("few_steps")
    table = pd.read_csv(project.path / "results/steps/steps.csv")
    assert set(table["sampling"]) == {*kinds(Sampler), "mine"}
    assert sorted(set(table["evaluations"])) == [1, 3, 4, 5, 100, 199]
    assert len(table) == 2 * 2 * 18  # datasets, seeds
    assert table[["coverage", "kl_k2_bits"]].notna().all(axis=None)
    assert (project.path / "results/steps/figure5.png").stat().st_size > 5000
