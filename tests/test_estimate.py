"""How long a run takes is estimated from its own steps before it begins."""

import re

import pytest
import yaml

import estimate

SHORT = {
    "run": {"variants": ["baseline", "mixture"], "datasets": ["dino", "line"], "seeds": [0, 1]},
    "variants": {"mixture": {"classical": "gaussian_mixture"}},
    "network": {"width": 8},
    "schedule": {"timesteps": 10},
    "sampling": {"points": 100},
}


@pytest.fixture
def short(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "start_a_job", lambda: None)
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(SHORT))
    return path


def test_only_models_that_are_missing_count(short, tmp_path, capsys):
    estimate.main([short], cores=2)
    assert re.fullmatch(
        r"4 models to train and sample: about \d+ min on 2 cores\n", capsys.readouterr().out
    )
    made = tmp_path / "results/models/baseline/dino/1.safetensors"
    made.parent.mkdir(parents=True)
    made.touch()
    estimate.main([short], cores=2)
    assert capsys.readouterr().out.startswith("3 models")


def test_the_time_is_that_of_all_steps_shared_by_the_cores(short, capsys, monkeypatch):
    monkeypatch.setattr(estimate, "seconds_a_model", lambda *_: 600.0)
    for cores, told in ((1, "40 min on 1 core"), (4, "10 min on 4 cores")):
        estimate.main([short], cores)
        assert f"about {told}\n" in capsys.readouterr().out
    assert estimate.in_words(5) == "1 min"
    assert estimate.in_words(2.2 * 3600) == "2 h"
