"""KL at few sampling steps, and the fewest that lose nothing."""

import pandas as pd
import pytest

from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.priors import MomentMatched
from dualscale.diffusion.samplers import DDIM, Ancestral, Sampler
from dualscale.parts import kinds
from evaluate_steps import samplings
from tabulate_fewest import fewest


def curve(values, sampler="ddim", variant="mine"):
    """KL by number of evaluations."""
    return pd.DataFrame(
        [
            {
                "variant": variant,
                "dataset": "dino",
                "seed": 0,
                "sampler": sampler,
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
    found = fewest(table, full_runs(0.5), 0.02).set_index("sampler")
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
    own = Sampling(points=10, prior=MomentMatched(), sampler=Ancestral(variance="fixed_large"))
    tried = dict(samplings(own))
    assert tried["ancestral"] == own
    assert tried["ddim"] == own.model_copy(update={"sampler": DDIM()})


def test_few_steps_are_tried_with_every_sampler(project):
    project.configure(
        run={"seeds": [0, 1]}, steps={"variants": ["adaptive"], "counts": [1, 3, 100]}
    )
    project.run("few_steps")
    table = pd.read_csv(project.path / "results/steps/steps.csv")
    assert set(table["sampler"]) == set(kinds(Sampler))
    assert sorted(set(table["evaluations"])) == [1, 3, 5, 100, 199]
    assert len(table) == 2 * 2 * 17  # datasets, seeds
    assert (project.path / "results/steps/figure5.png").stat().st_size > 5000
