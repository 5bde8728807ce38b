"""Search among settings of a variant, on seeds that do not report."""

import math

import pandas as pd
import pytest
import yaml
from conftest import ROOT, TINY, copy_project, copy_run
from pydantic import TypeAdapter
from test_configuration import shipped

from dualscale.config.check import check
from dualscale.config.jobs import stream_suffix
from dualscale.config.variants import AnyVariant
from dualscale.errors import ConfigurationError
from judge_round import judge
from tabulate_sweep import how_to_run, last_rounds

VARIANT = TypeAdapter(AnyVariant)
CHOICES = {"training.learning_rate": [5.0e-4, 1.0e-3, 2.0e-3], "network.width": [224, 256, 288]}


def swept(**changes):
    """The checked configuration with a sweep around the recommended variant."""
    return check(shipped(sweep={"choices": CHOICES} | changes))


def candidates(**changes):
    return list(swept(**changes)["candidates"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seeds": [100, 0]},
            "sweep.seeds has 0, which run.seeds has, too: settings are tuned on seeds that do not",
        ),
        (
            {"choices": {"training.learning_rate": [-1.0]}},
            "sweep.choices.training.learning_rate is -1.0: 1e-10 or more is allowed",
        ),
        (
            {"choices": {"training.learning_rat": [1.0]}},
            "sweep.choices.training has the unknown key 'learning_rat' (did you mean learning_r",
        ),
        (
            {"choices": {"network..width": [1]}},
            "sweep.choices has the name 'network..width': a key such as training.learning_rate is",
        ),
        (
            {"choices": {"stream": ["mine"]}},
            "sweep.choices has the key 'stream': keys that change the model are allowed",
        ),
        (
            {"choices": {"network.width": list(range(1, 502))}},
            "sweep.choices has 501 combinations: 500 or fewer are allowed; sweep.candidates draws",
        ),
        (
            {"choices": {"network.width": [256]}},
            "sweep.choices has only values that recommended has: add others",
        ),
        (
            {"variant": "recomended"},
            "sweep.variant names 'recomended', which is not defined: baseline, ",
        ),
        (
            {"datasets": ["dyno"]},
            "sweep.datasets names 'dyno', which is not defined: circle, dino, line, moons (did",
        ),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigurationError) as refused:
        check(shipped(sweep={"choices": {"network.width": [8]}, **changes}))
    assert str(refused.value).startswith(message)


def test_a_classical_variant_is_not_swept():
    mixture = {"classical": "gaussian_mixture"}
    with pytest.raises(ConfigurationError, match=r"^sweep.variant is 'mixture', classical: a net"):
        check(
            shipped(variants={"mixture": mixture}, sweep={"variant": "mixture", "choices": CHOICES})
        )


def test_images_judge_no_sweep():
    with pytest.raises(ConfigurationError, match=r"^sweep.datasets has 'digits', images: points"):
        check(
            shipped(
                datasets={"digits": {"images": "digits"}},
                sweep={"datasets": ["digits"], "choices": CHOICES},
            )
        )


def test_without_choices_any_seed_reports():
    assert check(shipped(run={"seeds": [100]}))["candidates"] == {}


@pytest.mark.parametrize("seed", range(5))
def test_the_unchanged_variant_is_always_a_candidate(seed):
    found = candidates(candidates=2, seed=seed)
    assert len(found) == 2
    assert found[0] == "recommended"


def test_a_choice_of_the_variants_own_values_adds_no_candidate():
    assert len(candidates()) == 9  # 3 x 3, the unchanged variant among them
    assert len(candidates(choices={"network.width": [224, 288]})) == 3


def test_the_same_configuration_gives_the_same_candidates():
    turned = dict(reversed(CHOICES.items()))
    assert candidates(candidates=5) == candidates(candidates=5, choices=turned)


def test_more_candidates_are_those_before_and_some_more():
    assert candidates(candidates=7)[:4] == candidates(candidates=4)


def test_a_candidate_keeps_its_name_when_another_choice_joins():
    more = {**CHOICES, "training.ema.decay": [0.995, 0.99]}
    assert set(candidates()) < set(candidates(choices=more))


def test_a_value_that_is_a_mapping_changes_its_keys_together():
    pairs = [{"embedding": 64, "width": 283}, {"embedding": 256, "width": 211}]
    config = swept(choices={"network": pairs})
    networks = [config["variants"][name]["network"] for name in config["candidates"]]
    sizes = {(network["embedding"], network["width"]) for network in networks}
    assert sizes == {(128, 256), (64, 283), (256, 211)}


def test_candidates_share_the_random_numbers_of_the_variant():
    config = swept(variant="weight_analysis")
    suffixes = {stream_suffix(config, name, "dino") for name in config["candidates"]}
    assert suffixes == {"dino/weight_analysis"}


def test_rounds_grow_by_the_factor_and_the_ema_with_them():
    config = swept(halving={"rounds": 3, "factor": 10})
    trainings = [
        config["variants"][name]["training"] for name in config["candidates"]["recommended"]
    ]
    assert [training["steps"] for training in trainings] == [100, 1000, 10_000]
    kept = [training["ema"]["decay"] ** training["steps"] for training in trainings]
    assert kept == pytest.approx([0.995**10_000] * 3)


def round_of(**distances):
    """Runs of candidates on one dataset whose floor is 0.1 bits, by signed distance from it."""
    return pd.DataFrame(
        [
            {
                "candidate": name,
                "dataset": "dino",
                "seed": 100,
                "kl_bits": 0.1 + bits,
                "parameters": 9,
                "train_seconds": 1.0,
            }
            for name, bits in distances.items()
        ]
    )


def kept(runs, factor, unchanged="first"):
    table = judge(runs, pd.Series({"dino": 0.1}), factor, unchanged)
    return list(table.loc[table["kept"], "candidate"])


def test_those_nearest_to_the_floor_go_on():
    runs = round_of(first=0.1, far=0.5, near=0.2, nearest=0.05, farthest=0.9)
    assert kept(runs, 3) == ["nearest", "first"]


def test_a_kl_below_the_floor_counts_like_one_above():
    assert kept(round_of(first=0.2, narrow=-0.3), None) == ["first"]


def test_seeds_on_either_side_of_the_floor_do_not_make_up_for_each_other():
    scattered = pd.concat([round_of(scattered=0.3), round_of(scattered=-0.3).assign(seed=101)])
    assert kept(pd.concat([scattered, round_of(first=0.2)]), None) == ["first"]


def test_the_unchanged_variant_goes_on_whatever_its_distance():
    assert kept(round_of(first=0.9, a=0.1, b=0.2), 3) == ["a", "first"]


def test_the_last_round_keeps_the_best_alone():
    assert kept(round_of(first=0.3, a=0.1, b=0.2), None) == ["a"]


def test_an_undefined_kl_is_never_the_best():
    assert kept(round_of(broken=math.nan, first=0.9), None) == ["first"]


TRIED = {"first": {"network.width": 8}, "a": {"network.width": 9}, "b": {"network.width": 7}}


def test_the_table_holds_all_candidates_with_the_round_where_each_left():
    floor = pd.Series({"dino": 0.1})
    rounds = [
        judge(round_of(first=0.3, a=0.2, b=0.9), floor, 3, "first").assign(round=1),
        judge(round_of(first=0.01, a=0.02), floor, None, "first").assign(round=2),
    ]
    table = last_rounds(pd.concat(rounds), TRIED)
    columns = ["candidate", "network.width", "round", "best"]
    assert table[columns].to_numpy().tolist() == [
        ["first", 8, 2, True],
        ["a", 9, 2, False],
        ["b", 7, 1, False],
    ]


def test_the_tables_note_makes_the_best_candidate_a_variant():
    config = swept(choices={"training.loss": ["min_snr"]})
    (name,) = set(config["candidates"]) - {"recommended"}
    note = how_to_run("recommended", {"training.loss.kind": "min_snr", "training.clip_norm": 1e-5})
    tuned = check(shipped(**yaml.safe_load(note.partition(": ")[2])))["variants"]["tuned"]
    assert tuned["training"]["clip_norm"] == 1e-5
    assert tuned["training"]["loss"] == config["variants"][name]["training"]["loss"]


PROTOCOL = yaml.safe_load((ROOT / "workflow/protocols/sweep.yaml").read_text())


def test_the_protocols_networks_are_of_the_size_that_it_says():
    config = check(shipped(**PROTOCOL))
    variants = (config["variants"][name] for name in config["candidates"])
    models = [VARIANT.validate_python(settings) for settings in variants]
    sizes = {sum(map(math.prod, model.parameter_shapes(2).values())) for model in models}
    assert (min(sizes), max(sizes)) == (296_303, 296_879)


def test_the_protocol_costs_nine_to_twelve_full_trainings_per_dataset_and_seed():
    sweep = check(shipped(**PROTOCOL))["sweep"]

    def cost(beside):
        """Full trainings, with so many that go on beside the best: the unchanged variant, or 0."""
        total, count, factor = 0.0, sweep["candidates"], sweep["halving"]["factor"]
        for left in reversed(range(sweep["halving"]["rounds"])):
            total += count / factor**left
            count = math.ceil(count / factor) + beside
        return total

    assert cost(0) == 9
    assert 11 < cost(1) < 12


SWEEP = {
    "variant": "baseline",
    "datasets": ["circle"],
    "seeds": [100],
    "choices": {"training.learning_rate": [1.0e-3, 3.0e-3]},
    "halving": {"rounds": 2, "factor": 2},
}


@pytest.fixture(scope="module")
def finished_sweep(tmp_path_factory):
    """A finished tiny sweep of three candidates in two rounds; read-only."""
    project = copy_project(ROOT, tmp_path_factory.mktemp("sweep") / "project")
    project.configure(**TINY)
    project.configure(sweep=SWEEP)
    project.run("sweep")
    return project


def read(project, name):
    return pd.read_csv(project.path / f"results/sweep/{name}.csv")


def test_a_sweep_trains_all_shortly_and_the_best_at_length(finished_sweep):
    first, last = (read(finished_sweep, f"rounds/{number}") for number in (1, 2))
    assert (len(first), set(first["steps"]), set(last["steps"])) == (3, {10}, {20})
    assert set(last["candidate"]) == set(first.loc[first["kept"], "candidate"])
    table = read(finished_sweep, "sweep")
    assert set(table["candidate"]) == set(first["candidate"])
    assert table["best"].tolist() == [True, *[False] * (len(table) - 1)]
    of_samples = table[["off_support_share", "coverage"]]
    assert of_samples.notna().all(axis=1).tolist() == (table["round"] == 2).tolist()


def test_a_sweep_has_its_page_and_its_figure(finished_sweep):
    folder = finished_sweep.path / "results/sweep"
    assert "distance from the floor" in (folder / "sweep.md").read_text()
    assert (folder / "figure10.png").stat().st_size > 5000


def test_a_finished_sweep_runs_nothing(finished_sweep):
    assert finished_sweep.waiting("sweep") == set()


def test_seeds_of_a_sweep_train_in_stacks_of_their_own(finished_sweep, tmp_path):
    project = copy_run(finished_sweep, tmp_path / "project")
    project.configure(run={"seeds_per_job": 2}, sweep={"seeds": [200, 201]})
    trained = {job for job in project.waiting("sweep") if job.startswith("Train baseline_10")}
    assert trained == {"Train baseline_10_steps on circle, seeds 200, 201"}


def test_more_candidates_train_only_the_new_ones(finished_sweep, tmp_path):
    project = copy_run(finished_sweep, tmp_path / "project")
    known = set(read(project, "rounds/1")["candidate"])
    project.configure(sweep={"choices": {"training.learning_rate": [1.0e-3, 3.0e-3, 5.0e-3]}})
    trained = {job.split()[1] for job in project.waiting("sweep") if job.startswith("Train")}
    assert len(trained) == 1
    assert not {name.removesuffix("_10_steps") for name in trained} & known


def test_a_sweep_without_choices_says_what_to_add(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    done = project.snakemake("--dry-run", "sweep")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("sweep.choices is empty: list values to try, ")
