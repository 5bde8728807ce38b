from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dualscale.config.check import check
from dualscale.config.jobs import (
    batches,
    model_settings,
    same_process,
    sampling_settings,
    stream_suffix,
)
from dualscale.config.overrides import merge, patch
from dualscale.data.datasets import KnownDistribution
from dualscale.diffusion.losses import LossWeighting
from dualscale.diffusion.predictions import Prediction
from dualscale.diffusion.priors import Prior
from dualscale.diffusion.samplers import Sampler
from dualscale.diffusion.schedules import Schedule
from dualscale.diffusion.spacings import Spacing
from dualscale.errors import ConfigurationError
from dualscale.parts import kinds
from dualscale.training.optimisers import Optimiser

ROOT = Path(__file__).parents[1]


def shipped(**overrides):
    """The shipped configuration, with overrides merged like those of a --configfile."""
    return merge([yaml.safe_load((ROOT / "config.yaml").read_text()), overrides])


DISTILLED = {"like": "recommended_distilled"}
SELF = {"target": {"teacher": "mine"}}


def released():
    overrides = yaml.safe_load((ROOT / "workflow/protocols/released.yaml").read_text())
    return check(shipped(**overrides))


@pytest.mark.parametrize("protocol", sorted((ROOT / "workflow/protocols").glob("*.yaml")))
def test_a_ready_made_protocol_changes_the_config_and_is_valid(protocol):
    overrides = yaml.safe_load(protocol.read_text())
    assert check(shipped(**overrides)) != check(shipped())


def test_the_shipped_config_says_every_default_of_the_schema():
    config = shipped()
    sparse = {key: config[key] for key in ("run", "datasets", "variants")}
    sparse["steps"] = {"variants": config["steps"]["variants"]}
    sparse["sweep"] = {"variant": config["sweep"]["variant"]}
    sparse["study"] = {"comparisons": config["study"]["comparisons"]}
    assert check(sparse) == check(config)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"trainning": {"steps": 5}},
            "the configuration has the unknown key 'trainning' (did you mean training?): ",
        ),
        (
            {"training": {"learning_rat": 1}},
            "training has the unknown key 'learning_rat' (did you mean learning_rate?): steps, ",
        ),
        (
            {"training": {"learning_rate": "1e-3"}},
            "training.learning_rate is '1e-3', a string: finite number is allowed; write numbers",
        ),
        (
            {"run": {"seeds": [0, 1, 0]}},
            "run.seeds holds 0 twice: each is allowed once",
        ),
        (
            {"run": {"seeds": [-1]}},
            "run.seeds.0 is -1: 0 or more is allowed",
        ),
        (
            {"run": {"seeds": [1.0]}},
            "run.seeds.0 is 1.0, a number: integer is allowed",
        ),
        (
            {"training": {"clip_norm": float("inf")}},
            "training.clip_norm is inf, a number: finite number is allowed",
        ),
        (
            {"variants": {"unlisted": {"like": "nobody"}}},
            "variants.unlisted.like names 'nobody', which is not defined: baseline, ",
        ),
        (
            {"datasets": {1: {"distribution": "dino"}}},
            "datasets has the name 1, an integer: string is allowed",
        ),
        (
            {"variants": {"fixed": {"weighting": {"weights": {"local": 0.5, None: 0.5}}}}},
            "variants.fixed.weighting.weights has the name None, null: string is allowed",
        ),
        (
            {"run": {"seeds": []}},
            "run.seeds is []: 1 or more items is allowed",
        ),
        (
            {"run": {"datasets": ["dyno"]}},
            "run.datasets names 'dyno', which is not defined: circle, dino, line, moons (did you "
            "mean dino?)",
        ),
        (
            {"run": {"variants": ["baseline", "adaptiv"]}},
            "run.variants names 'adaptiv', which is not defined: baseline, fixed, adaptive, ",
        ),
        (
            {"training": {"steps": 0}},
            "training.steps is 0: 1 or more is allowed",
        ),
        (
            {"schedule": {"beta_end": 1.0}},
            "schedule.beta_end is 1.0: less than 1 is allowed",
        ),
        (
            {"schedule": {"beta_start": 1e-20}},
            "schedule.beta_start is 1e-20: 1e-12 or more is allowed",
        ),
        (
            {"schedule": {"beta_start": 0.02, "beta_end": 0.01}},
            "schedule.beta_end is 0.01: beta_start, 0.02, or more is allowed",
        ),
        (
            {"schedule": {"beta_end": 0.9999, "timesteps": 1000}},
            "variants.baseline.prediction is 'epsilon': it divides by alpha, which is 0 at the "
            "last timestep of schedule.kind 'linear'",
        ),
        (
            {"training": {"learning_rate": 1e-300}},
            "training.learning_rate is 1e-300: 1e-10 or more is allowed",
        ),
        (
            {"normalisation": "quantiles"},
            "normalisation is 'quantiles': one of none, … (did you mean quantile?)",
        ),
        (
            {"training": {"clip_norm": 1e-300}},
            "training.clip_norm is 1e-300: 1e-06 or more is allowed",
        ),
        (
            {"training": {"ema": {"decay": 0.99999999}}},
            "training.ema.decay is 0.99999999: 0.9999999 or less is allowed",
        ),
        (
            {"training": {"loss": {"kind": "min_snr", "gamma": 1e-300}}},
            "training.loss.gamma is 1e-300: 1e-06 or more is allowed",
        ),
        (
            {"training": {"loss": {"kind": "log_normal", "mean": 80}}},
            "variants.baseline.training.loss.mean is 80: with std 1.2 no timestep has any "
            "weight; the schedule's ln(sigma / alpha) goes from -4.61 to 0.28 in 100 steps",
        ),
        (
            {"variants": {"recommended": {"training": {"loss": {"mean": -40}}}}},
            "variants.recommended.training.loss.mean is -40: with std 2 no timestep has any",
        ),
        (
            {"variants": {"fixed": {"weighting": {"weights": {"global": 0, "local": 1e-300}}}}},
            "variants.fixed.weighting.weights are all 0: a weight other than 0 is needed for one",
        ),
        (
            {"variants": {"fixed": {"label": "bell \a"}}},
            "variants.fixed.label is 'bell \\x07': a line of text without control characters is",
        ),
        (
            {"variants": {"fixed": {"label": "half a pair \ud800"}}},
            "variants.fixed.label is 'half a pair \\ud800': a line of text without control",
        ),
        (
            {"variants": {"fixed": {"label": "two\nlines"}}},
            "variants.fixed.label is 'two\\nlines': a line of text without control characters is",
        ),
        (
            {"variants": {"fixed": {"note": "half a pair \udfff"}}},
            "variants.fixed.note is 'half a pair \\udfff': text without control characters is",
        ),
        (
            {"variants": {"fixed": {"label": "Baseline"}}},
            "variants.fixed.label is 'Baseline', as that of variants.baseline is: each of",
        ),
        (
            {"training": {"optimiser": "sgd"}},
            "training.optimiser is 'sgd': one of adam, ",
        ),
        (
            {"network": {"embedding": 7}},
            "network.embedding is 7: a multiple of 2 is allowed",
        ),
        (
            {"training": {"ema": {"warmup": "yes"}}},
            "training.ema.warmup is 'yes', a string: boolean is allowed",
        ),
        (
            {"run": None},
            "the configuration has no run: it is required",
        ),
        (
            {"kl": {"k": 10_001}},
            "kl.k is 10001: at most sampling.points, 10000, is allowed",
        ),
        (
            {"kl": {"k": 50}, "datasets": {"dino": {"points": 50}}},
            "kl.k is 50: less than datasets.dino.points, 50, is allowed",
        ),
        (
            {"variants": {"../evil": {"like": "baseline"}}},
            "variants has the name '../evil': a name of letters, digits, _ and -, 64 at most is",
        ),
        (
            {"variants": {"adaptive": {"like": "nobody"}}},
            "variants.adaptive.like names 'nobody', which is not defined: baseline, ",
        ),
        (
            {"variants": {"fixed": {"like": "adaptive"}}},
            "variants.fixed.like leads back to itself: fixed -> adaptive -> fixed",
        ),
        (
            {"variants": {"adaptive": {"weighting": {"kind": "none"}}}},
            "variants.adaptive.weighting.kind is 'none': 2 branches need kind fixed or learned",
        ),
        (
            {"variants": {"adaptive": {"weighting": {"hidden": None}}}},
            "variants.adaptive.weighting has no hidden: it is required",
        ),
        (
            {"variants": {"fixed": {"weighting": {"hidden": [3]}}}},
            "variants.fixed.weighting has the unknown key 'hidden': kind, weights are allowed with",
        ),
        (
            {"variants": {"fixed": {"weighting": {"weights": {"third": 1.0}}}}},
            "variants.fixed.weighting.weights names ['global', 'local', 'third']: one weight for",
        ),
        (
            {"variants": {"fixed": {"branches": {"local": {"embedded_dimensions": 5}}}}},
            "variants.fixed.branches.local.embedded_dimensions is 5: at most upscaled_dimensions,",
        ),
        (
            {
                "variants": {
                    "adaptive": {"branches": {"third": {}}, "weighting": {"gate": "sigmoid"}}
                }
            },
            "variants.adaptive.weighting.gate is 'sigmoid': it weighs two branches, not 3",
        ),
        (
            {"variants": {"adaptive": {"branches": {"global": None}}}},
            "variants.adaptive.weighting.kind is 'learned': there is one branch, local; two or",
        ),
        (
            {"variants": {"fixed": {"branches": {"local": None}}}},
            "variants.fixed.weighting.kind is 'fixed': there is one branch, global; two or",
        ),
        (
            {"variants": {"baseline": {"branches": {"global": None}}}},
            "variants.baseline has no branches: give it, or copy a variant with like",
        ),
        (
            {"variants": {"baseline": {"weighting": {"kind": None}}}},
            "variants.baseline has no weighting: give it, or copy a variant with like",
        ),
        (
            {"schedule": {"kind": "cosine", "beta_end": 0.1}},
            "schedule has the unknown key 'beta_end': kind, timesteps are allowed with kind cosine",
        ),
        (
            {"variants": {"fixed": {"schedule": {"kind": "cosine", "beta_end": 0.1}}}},
            "variants.fixed.schedule has the unknown key 'beta_end': kind, timesteps are allowed",
        ),
        (
            {"variants": {"fixed": {"training": {"loss": {"kind": "min_snr", "mean": 1}}}}},
            "variants.fixed.training.loss has the unknown key 'mean': kind, gamma are allowed with",
        ),
        (
            {"variants": {"fixed": {"schedule": {"kind": "zero_terminal_snr"}}}},
            "variants.fixed.prediction is 'epsilon': it divides by alpha, which is 0 at the last",
        ),
        (
            {
                "schedule": {"kind": "linear_path"},
                "prediction": "flow",
                "sampling": {"sampler": {"kind": "heun"}},
            },
            "variants.baseline.sampling.sampler is 'heun': it divides by alpha, which is 0",
        ),
        (
            {"sampling": {"steps": 101}},
            "variants.baseline.sampling.steps is 101: at most schedule.timesteps, 100, is",
        ),
        (
            {"variants": {"fixed": {"schedule": {"kind": "karras", "sigma_max": 0.001}}}},
            "variants.fixed.schedule.sigma_max is 0.001: more than sigma_min, 0.005, is",
        ),
        (
            {"datasets": {"dino": {"file": "mine.csv"}}},
            "datasets.dino has distribution and file: "
            "one of distribution, file and images is needed",
        ),
        (
            {"datasets": {"mine": {"columns": ["x"]}}},
            "datasets.mine has no source: one of distribution, file and images is needed",
        ),
        (
            {"datasets": {"mine": {"file": "mine.xlsx"}}},
            "datasets.mine.file is 'mine.xlsx': a name that ends in .csv, .tsv, .npy or .parquet",
        ),
        (
            {"datasets": {"mine": {"file": "nowhere.csv"}}, "run": {"datasets": ["mine"]}},
            "datasets.mine.file is 'nowhere.csv': there is no such file",
        ),
        (
            {"datasets": {"mine": {"file": f"{'x' * 300}.csv"}}, "run": {"datasets": ["mine"]}},
            f"datasets.mine.file is '{'x' * 58}…: there is no such file in",
        ),
        (
            {"variants": {"mine": {"architecture": {"file": "nowhere.py", "class": "X"}}}},
            "variants.mine.architecture.file is 'nowhere.py': there is no such file in",
        ),
        (
            {"study": {"metrics": ["coverage", "sliced_waserstein"]}},
            "study.metrics.1 is 'sliced_waserstein': one of kl"
            ", … (did you mean sliced_wasserstein?)",
        ),
        (
            {"steps": {"samplings": {"mine": {"sampler": "didm"}}}},
            "steps.samplings.mine.sampler is 'didm': one of ancestral, … (did you mean ddim?)",
        ),
        (
            {"steps": {"samplings": {"mine": {"points": 7}}}},
            "steps.samplings.mine has points: all variants draw sampling.points",
        ),
        (
            {"study": {"metrics": ["kl", {"kind": "kl", "k": [7, 5]}]}},
            "study.metrics has the column kl_k5_bits twice",
        ),
        (
            {"datasets": {"mine": {"file": "mine.npy", "header": False}}},
            "datasets.mine.header is False: it is for .csv and .tsv, not .npy",
        ),
        (
            {"datasets": {"mine": {"file": "mine.CSV", "decimal": ","}}},
            "datasets.mine.decimal is ',', which also stands between the columns",
        ),
        (
            {"datasets": {"mine": {"file": "mine.csv", "delimiter": "ab"}}},
            "datasets.mine.delimiter is 'ab': a comma, semicolon, colon, bar, space or tab",
        ),
        (
            {"datasets": {"dino": {"dimensions": 3}}},
            "datasets.dino has the unknown key 'dimensions': distribution, points, seed are",
        ),
        (
            {"datasets": {"dino": {"distribution": {"dimensions": 3}}}},
            "datasets.dino.distribution has the unknown key 'dimensions': kind are allowed with",
        ),
        (
            {"datasets": {"cat": {"distribution": {"kind": "outline", "shape": "kat"}}}},
            "datasets.cat.distribution.shape is 'kat': one of bunny, cat, dino, dog, gorilla, ",
        ),
        (
            {"datasets": {"dino": 3}},
            "datasets.dino is 3, an integer: mapping is allowed",
        ),
        (
            {"datasets": {"dino": {"distribution": {"kind": "dyno"}}}},
            "datasets.dino.distribution is 'dyno': one of line, circle, moons, dino, ",
        ),
        (
            {"prediction": {"kind": None}},
            "prediction has no kind: it is required",
        ),
        (
            {"prediction": "epsilom"},
            "prediction is 'epsilom': one of epsilon, … (did you mean epsilon?)",
        ),
        (
            {"prediction": "noise"},
            "prediction is 'noise': one of epsilon, … (it is called epsilon now)",
        ),
        (
            {"sampling": {"start": "matched"}},
            "sampling has the unknown key 'start' (it is called prior now): prior, sampler, ",
        ),
        (
            {"sampling": {"prior": "matched"}},
            "sampling.prior is 'matched': one of standard, … (it is called moment_matched now)",
        ),
        (
            {"schedule": {"beta_last": 0.1}},
            "schedule has the unknown key 'beta_last' (it is called beta_end now): kind, ",
        ),
        (
            {"training": {"weight_decay": 0.1}},
            "training has the unknown key 'weight_decay': steps, batch_size, ",
        ),
        (
            {"variants": {"a\nb": {"like": "baseline"}}},
            "variants has the name 'a\\nb': a name of letters, digits, _ and -, 64 at most is",
        ),
        (
            {"variants": {"a\nb": {}}},
            "variants has the name 'a\\nb': a name of letters, digits, _ and -, 64 at most is",
        ),
        (
            {"variants": {"mine": 3}},
            "variants.mine is 3, an integer: mapping is allowed",
        ),
        (
            {"variants": {"mine": {"like": ["baseline"]}}},
            "variants.mine.like is ['baseline'], a list: string is allowed",
        ),
        (
            {"variants": {"mine": {"like": "baseline", "sampling": 3}}},
            "variants.mine.sampling is 3, an integer: mapping is allowed",
        ),
        (
            {"variants": {"mine": {"like": "baseline", "sampling": {"points": 3}}}},
            "variants.mine.sampling has points: all variants draw sampling.points",
        ),
        (
            {"variants": {"recommended_distilled": {"training": {"target": {"teacher": "mine"}}}}},
            "variants.recommended_distilled.training.target.teacher names 'mine', which is not "
            "defined: baseline, … recommended_whitened",
        ),
        (
            {"variants": {"recommended_distilled": {"network": {"width": 99}}}},
            "variants.recommended_distilled.training.target.teacher is 'recommended', which has "
            "another network: only training and sampling of a distilled variant may differ from "
            "its teacher's",
        ),
        (
            {"variants": {"mine": {**DISTILLED, "training": SELF}}},
            "variants.mine.training.target.teacher is 'mine', which is distilled itself: a variant "
            "with another target is allowed",
        ),
        (
            {"variants": {"mine": {"like": "baseline", "sampling": {"sampler": "consistency"}}}},
            "variants.mine.sampling.sampler is 'consistency', training.target 'drawn': "
            "'consistency' and 'distilled' belong together, since such a network leads from noise "
            "to data at once",
        ),
        (
            {"variants": {"mine": {**DISTILLED, "sampling": {"sampler": "ddim"}}}},
            "variants.mine.sampling.sampler is 'ddim', training.target 'distilled': 'consistency' "
            "and 'distilled' belong together, since such a network leads from noise to data at "
            "once",
        ),
        (
            {"variants": {"mine": {**DISTILLED, "training": {"antithetic_fraction": 0.5}}}},
            "variants.mine.training.antithetic_fraction is 0.5: with target 'distilled' 0 is "
            "allowed, since opposite noise leads elsewhere",
        ),
        (
            {
                "variants": {
                    "baseline": {"schedule": "zero_terminal_snr", "prediction": "velocity"},
                    "mine": {
                        "like": "baseline",
                        "training": {"target": {"kind": "distilled", "teacher": "baseline"}},
                        "sampling": {"sampler": "consistency"},
                    },
                }
            },
            "variants.mine.training.target is 'distilled', and alpha is 0 where sampling starts, "
            "from where no ODE leads: a sampling.spacing of lower levels is allowed",
        ),
        (
            {"sampling": {"spacing": {"kind": "listed", "sigmas": [1.0, 0.1, 0.2]}}},
            "sampling.spacing.sigmas holds 0.2 after 0.1: less than that is allowed",
        ),
        (
            {"network": {"lowest_frequency": 30}},
            "network.lowest_frequency is 30.0: less than highest_frequency",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:40],
)
def test_a_mistake_is_named_with_its_value_and_what_is_allowed(overrides, message):
    with pytest.raises(ConfigurationError) as caught:
        check(shipped(**overrides))
    start, _, end = message.partition(", … ")
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(end)
    assert "\n" not in str(caught.value)


def test_variants_that_are_not_run_together_may_share_a_label():
    config = shipped(variants={"other": {"like": "baseline", "label": "Baseline"}})
    assert check(config)["variants"]["other"]["label"] == "Baseline"


def test_a_note_may_have_several_lines_and_a_label_any_script():
    own = {"note": "two\nlines\n", "label": "Größe\u00a0× 2 😀"}
    check(shipped(variants={"fixed": own}))


def test_the_default_follows_the_papers_text():
    config = check(shipped())
    adaptive = model_settings(config, "adaptive")
    assert adaptive["branches"]["local"] == {
        "upscaled_dimensions": 4,
        "embedded_dimensions": None,
        "upscale_initialisation": "uniform",
    }
    assert adaptive["weighting"] == {
        "kind": "learned",
        "hidden": [256],
        "gate": "softmax",
        "negative_slope": 0.2,
        "inputs": "t",
    }
    assert adaptive["prediction"] == {"kind": "epsilon"}
    assert adaptive["schedule"]["kind"] == "linear"
    assert adaptive["training"]["loss"] == {"kind": "uniform"}
    assert sampling_settings(config, "adaptive") == {
        "points": 10_000,
        "sampler": {"kind": "ancestral", "variance": "fixed_small"},
        "spacing": {"kind": "trailing"},
        "prior": {"kind": "standard"},
        "steps": None,
    }
    assert adaptive["training"]["optimiser"] == {"kind": "adam", "weight_decay": 0.0}
    assert adaptive["training"]["clip_norm"] is None
    assert not adaptive["training"]["ema"]["warmup"]
    assert model_settings(config, "fixed")["weighting"]["weights"] == {"global": 0.5, "local": 0.5}
    assert model_settings(config, "improved")["weighting"]["hidden"] == [256, 128]


def test_the_released_protocol_is_what_the_release_ran():
    config = released()
    for name in ("fixed", "adaptive", "weight_analysis", "improved"):
        settings = model_settings(config, name)
        assert settings["branches"]["local"]["embedded_dimensions"] == 2
        assert settings["training"]["optimiser"] == {"kind": "adamw", "weight_decay": 0.01}
        assert settings["training"]["clip_norm"] == 0.5
        assert settings["training"]["ema"] == {"decay": 0.995, "every": 10, "warmup": True}
    assert model_settings(config, "fixed")["weighting"] == {
        "kind": "learned",
        "hidden": [256],
        "gate": "sigmoid",
        "negative_slope": 0.0,
        "inputs": "t",
    }
    assert model_settings(config, "adaptive")["weighting"]["negative_slope"] == 0.0
    assert model_settings(config, "weight_analysis")["weighting"]["negative_slope"] == 0.0
    assert model_settings(config, "improved")["weighting"]["negative_slope"] == 0.2


def test_a_variant_changes_single_settings_for_itself_alone():
    own = {"training": {"ema": {"decay": 0.9}}, "network": {"width": 64}}
    config = check(shipped(variants={"baseline": own}))
    changed, other = model_settings(config, "baseline"), model_settings(config, "fixed")
    assert changed["training"]["ema"] == {"decay": 0.9, "every": 10, "warmup": False}
    assert changed["training"]["steps"] == other["training"]["steps"]
    assert (changed["network"]["width"], other["network"]["width"]) == (64, 256)


def test_the_order_of_keys_changes_no_settings():
    def reverse(value):
        if not isinstance(value, dict):
            return value
        return {key: reverse(value[key]) for key in reversed(value)}

    config = shipped()
    one, two = check(config), check(reverse(config))
    for name in config["run"]["variants"]:
        assert repr(model_settings(one, name)) == repr(model_settings(two, name))


def test_an_integer_where_a_number_is_meant_changes_no_settings():
    one = check(shipped(training={"optimiser": {"weight_decay": 0}}))
    two = check(shipped(training={"optimiser": {"weight_decay": 0.0}}))
    assert repr(model_settings(one, "fixed")) == repr(model_settings(two, "fixed"))


def test_variants_share_their_random_numbers_unless_they_name_their_own():
    config = check(shipped())
    adaptive = stream_suffix(config, "adaptive", "dino")
    assert adaptive == stream_suffix(config, "baseline", "dino")
    assert adaptive != stream_suffix(config, "weight_analysis", "dino")
    assert adaptive != stream_suffix(config, "adaptive", "moons")


def test_batches_are_runs_of_the_seeds_in_order():
    assert batches([3, 1, 4, 5, 9], 2, {}.get) == [(3, 1), (4, 5), (9,)]


def test_a_new_seed_leaves_the_batches_of_the_trained_ones_alone():
    trained = {0: [0, 1], 1: [0, 1], 2: [2]}
    assert batches([0, 1, 2, 3, 4], 2, trained.get) == [(0, 1), (2,), (3, 4)]


def test_records_that_disagree_place_each_seed_once():
    assert batches([0, 1, 2], 2, {0: [0, 1], 1: [1, 2], 2: [1, 2]}.get) == [(0, 1), (2,)]


def test_a_seed_that_has_left_the_config_stays_in_its_batch():
    trained = {seed: [0, 1, 2] for seed in (0, 1, 2)}
    assert batches([0, 2], 4, trained.get) == [(0, 1, 2)]


def test_a_seed_that_has_left_with_its_results_or_was_trained_otherwise_leaves_its_batch():
    for record in (None, [1]):
        assert batches([0, 2], 4, {0: [0, 1, 2], 1: record, 2: [0, 1, 2]}.get) == [(0, 2)]


def test_a_record_that_does_not_name_its_own_seed_counts_as_none():
    assert batches([0, 1], 2, {0: [5], 1: [5]}.get) == [(0, 1)]


@given(st.lists(st.integers(0, 30), unique=True, min_size=1), st.integers(1, 5), st.data())
def test_batches_stay_as_they_are_while_a_run_fills_them_in(seeds, size, data):
    planned = batches(seeds, size, {}.get)
    done = data.draw(st.lists(st.sampled_from(planned), unique=True))
    trained = {seed: batch for batch in done for seed in batch}
    assert set(batches(seeds, size, trained.get)) == set(planned)


def test_a_copy_inherits_neither_label_nor_note_nor_stream():
    copy = {"like": "weight_analysis"}
    config = check(shipped(variants={"mine": copy}, run={"variants": ["mine"]}))
    mine = config["variants"]["mine"]
    assert (mine["label"], mine["note"], mine["stream"]) == ("mine", None, None)


def test_a_patch_changes_the_keys_that_it_names_at_every_depth():
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}
    change = {"a": {"c": {"f": 3}}, "e": [2], "g": {"h": {"i": 4}}}
    assert patch(base, change) == {
        "a": {"b": 1, "c": {"d": 2, "f": 3}},
        "e": [2],
        "g": {"h": {"i": 4}},
    }
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}


def test_null_takes_a_key_away():
    assert patch({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": None}}) == {"b": {"d": 3}}
    assert patch({}, {"a": {"b": None}}) == {"a": {}}


def test_another_kind_starts_from_its_own_defaults():
    linear = {"kind": "linear", "beta_start": 0.1, "timesteps": 50}
    assert patch(linear, {"kind": "cosine"}) == {"kind": "cosine", "timesteps": 50}
    assert patch(linear, {"kind": "linear"}) == linear


def test_a_name_stands_for_a_part_of_that_kind():
    linear = {"kind": "linear", "beta_start": 0.1, "timesteps": 50}
    assert patch(linear, "cosine") == {"kind": "cosine", "timesteps": 50}
    assert patch(linear, "linear") == linear
    assert patch("linear", {"kind": "cosine"}) == {"kind": "cosine"}


PLACES = {
    Schedule: lambda part: {"schedule": part},
    Prediction: lambda part: {"prediction": part},
    Prior: lambda part: {"sampling": {"prior": part}},
    Sampler: lambda part: {"sampling": {"sampler": part}},
    Spacing: lambda part: {"sampling": {"spacing": part}},
    LossWeighting: lambda part: {"training": {"loss": part}},
    Optimiser: lambda part: {"training": {"optimiser": part}},
    KnownDistribution: lambda part: {"datasets": {"dino": {"distribution": part}}},
}


@pytest.mark.parametrize(
    ("base", "kind"),
    [(base, kind) for base in PLACES for kind in kinds(base) if kind != "listed"],  # needs a list
)
def test_every_part_can_be_given_by_its_name_or_its_settings(base, kind):
    common = {} if base is Prediction else {"prediction": "velocity"}  # fits every schedule
    shown = shipped(run={"variants": ["baseline"]}, variants={"recommended": None}, **common)
    for copy in ("recommended_dual", "recommended_distilled", "recommended_whitened"):
        del shown["variants"][copy]
    shown["steps"]["variants"] = ["baseline"]
    by_name, by_settings = (
        check(merge([shown, PLACES[base](part)])) for part in (kind, {"kind": kind})
    )
    assert by_name == by_settings
    found = PLACES[base](None)
    while (key := next(iter(found), None)) is not None:
        by_name, found = by_name[key], found[key]
        if found is None:
            break
    assert by_name["kind"] == kind


def mine(**settings):
    """Settings of a variant that copies another and changes some of it."""
    config = check(shipped(variants={"mine": settings}))
    return config["variants"]["mine"]


def test_samples_of_the_optimal_denoiser_are_named_after_a_variant_that_has_one():
    other = {"like": "recommended", "sampling": {"sampler": "ddim"}}
    variants = {"white": other | {"normalisation": "whitened"}, "plain": other}
    assert same_process(check(shipped(variants=variants)), "plain") == "plain"


def test_a_copy_keeps_the_branches_that_it_does_not_name():
    changed = mine(like="adaptive", branches={"local": {"upscaled_dimensions": 64}})
    whole = {
        "upscaled_dimensions": None,
        "embedded_dimensions": None,
        "upscale_initialisation": "uniform",
    }
    assert changed["branches"] == {"global": whole, "local": whole | {"upscaled_dimensions": 64}}


def test_a_copy_keeps_the_settings_beside_those_that_it_names():
    changed = mine(like="recommended", training={"learning_rate": 3.0e-4})
    copied = mine(like="recommended")
    assert changed["training"].pop("learning_rate") == 3.0e-4
    assert copied["training"].pop("learning_rate") == 1.0e-3
    assert changed["training"] == copied["training"]
    assert changed["training"]["loss"]["kind"] == "log_normal"


def test_a_copy_drops_what_it_sets_to_null():
    changed = mine(like="adaptive", branches={"global": None}, weighting={"kind": "none"})
    assert list(changed["branches"]) == ["local"]


def test_null_in_a_variant_takes_the_common_setting_away():
    config = shipped(
        training={"clip_norm": 0.5}, variants={"fixed": {"training": {"clip_norm": None}}}
    )
    settings = check(config)
    assert model_settings(settings, "baseline")["training"]["clip_norm"] == 0.5
    assert model_settings(settings, "fixed")["training"]["clip_norm"] is None


def test_a_network_of_ones_own_can_copy_all_but_the_network():
    own = {"file": str(ROOT / "examples/fourier_network.py"), "class": "FourierNetwork"}
    no_network = {"branches": None, "weighting": None, "network": None}
    no_network["training"] = {"target": "drawn"}
    changed = mine(like="recommended", architecture=own, **no_network)
    assert changed["schedule"]["kind"] == "geometric"
    assert "network" not in changed


def found(file, *folders):
    """Path at which a data file is found, searching from the working directory."""
    config = shipped(datasets={"mine": {"file": file}}, run={"datasets": ["mine"]})
    return check(config, folders)["datasets"]["mine"]["file"]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Folders of the working directory, the configuration and the project."""
    made = [tmp_path / name for name in ("work", "mine", "project")]
    for folder in made:
        folder.mkdir()
    monkeypatch.chdir(made[0])
    return made


def test_a_file_is_found_in_the_first_of_the_folders_that_has_it(folders):
    work, mine, project = folders
    (project / "points.csv").touch()
    assert found("points.csv", *folders) == "../project/points.csv"
    (mine / "points.csv").touch()
    assert found("points.csv", *folders) == "../mine/points.csv"
    (work / "points.csv").touch()
    assert found("points.csv", *folders) == "points.csv"
    assert found(str(mine / "points.csv"), *folders) == str(mine / "points.csv")


def test_folders_that_were_searched_are_named(folders):
    with pytest.raises(ConfigurationError, match=r"no such file in .*work or .*mine or .*project"):
        found("points.csv", *folders)


def test_a_data_file_with_braces_in_its_name_is_refused_in_words(folders):
    (folders[0] / "{dataset}.csv").touch()
    with pytest.raises(ConfigurationError, match="takes braces for wildcards; rename the file"):
        found("{dataset}.csv", *folders)
