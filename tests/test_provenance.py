"""Every record and every model says what settings made it, and whoever reads it compares."""

import json
import shutil

import pytest

from dualscale.runtime.digests import digest_settings
from dualscale.runtime.files import checksum_path
from execution.provenance import kept_digest, made_otherwise, require_planned

RUN = "adaptive/line/0"


def test_a_digest_depends_on_values_and_not_on_the_order_of_keys():
    assert digest_settings({"a": 1, "b": 2.0}) == digest_settings({"b": 2.0, "a": 1})
    assert digest_settings({"a": 1}) != digest_settings({"a": 2})
    assert digest_settings("ab", "c") != digest_settings("a", "bc")


def test_records_and_models_keep_the_digest_and_what_follows_depends_on_what_it_is_made_from(
    finished,
):
    results = finished.path / "results"
    kinds = ("training", "sampling", "divergences")
    digests = [kept_digest(results / kind / f"{RUN}.json") for kind in kinds]
    assert all(digests)
    assert len(set(digests)) == 3
    assert kept_digest(results / f"models/{RUN}.safetensors") == digests[0]


def test_a_file_of_other_settings_is_refused_by_name(tmp_path):
    record = tmp_path / "results/training/adaptive/line/0.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"settings_digest": "a"}))
    require_planned([record], {"training/adaptive/line": "a", "training/fixed/line": "b"})
    for other in ("{}", '{"settings_digest": "b"}', "[]", "not JSON"):
        record.write_text(other)
        with pytest.raises(ValueError, match=r"line/0\.json was not made with the settings"):
            require_planned([record], {"training/adaptive/line": "a"})
    require_planned([record], {"models/adaptive/line": "a"})


def test_a_table_of_runs_tells_what_was_made_otherwise(tmp_path):
    table = tmp_path / "adaptive.csv"
    table.write_text(
        "variant,dataset,seed,training_settings,sampling_settings\n"
        "adaptive,line,0,a,b\nadaptive,line,1,a,c\nadaptive,dino,0,x,y\n"
    )
    planned = {"training/adaptive/line": "a", "sampling/adaptive/line": "b"}
    assert list(made_otherwise(table, planned)) == [("sampling/adaptive/line/1.json", "b")]


def test_a_table_without_digests_tells_nothing(tmp_path):
    table = tmp_path / "adaptive.csv"
    table.write_text("variant,dataset,seed\nadaptive,line,0\n")
    assert list(made_otherwise(table, {"training/adaptive/line": "a"})) == []


def test_copied_results_of_other_settings_stop_the_next_planning_until_they_are_made_again(project):
    """Without Snakemake's own notes, which a copy of the results lacks."""
    shutil.rmtree(project.path / ".snakemake")
    assert project.waiting() == set()
    project.configure(variants={"adaptive": {"training": {"steps": 30}}})
    done = project.snakemake("--dry-run")
    said = (done.stdout + done.stderr).splitlines()
    message = next(line for line in said if "made with other settings than are planned" in line)
    assert done.returncode != 0
    assert message.startswith("results/divergences/adaptive/circle/0.json and 5 others")
    assert not [line for line in said if line.startswith("Traceback")]
    project.run(*message[message.index("--forcerun") :].split())
    log = (project.path / f"results/logs/train/{RUN}.log").read_text()
    assert "step 30 of 30" in log
    assert project.waiting() == set()


def test_a_model_of_other_settings_is_not_sampled(project):
    model = project.path / f"results/models/{RUN}.safetensors"
    other = project.path / "results/models/baseline/line/0.safetensors"
    for source, target in ((other, model), (checksum_path(other), checksum_path(model))):
        shutil.copyfile(source, target)
    done = project.snakemake("--forcerun", f"results/samples/{RUN}.npy")
    assert done.returncode != 0
    line = f"sample: results/models/{RUN}.safetensors was not made with the settings"
    assert line in done.stdout + done.stderr
