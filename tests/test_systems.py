"""Every system of the protocol is declared, at the size that the comparison asks for."""

from itertools import product

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT

import sample
from dualscale.config.check import check
from dualscale.config.jobs import has_network, model_settings
from dualscale.config.overrides import merge
from dualscale.data.moments import Moments
from dualscale.model import SETTINGS, Model
from dualscale.runtime.digests import digest_code
from dualscale.training.settings import Training
from dualscale.training.trainer import Trainer

BASELINE = 296_450
WITHIN = 0.02
SYSTEMS = ROOT / "scripts/dualscale/networks/systems"


def configured(folders=(ROOT,)):
    files = ["config.yaml", "workflow/protocols/systems.yaml"]
    return check(merge([yaml.safe_load((ROOT / file).read_text()) for file in files]), folders)


CONFIG = configured()
DECLARED = yaml.safe_load((ROOT / "workflow/protocols/systems.yaml").read_text())
RUN = DECLARED["run"]["variants"]
NETWORKS = [name for name in RUN if has_network(CONFIG, name)]
OWN = {name: v for name, v in CONFIG["variants"].items() if "architecture" in v}


def make(name, **changes):
    settings = {k: v for k, v in model_settings(CONFIG, name).items() if k != "training"}
    if changes:
        own = settings["architecture"]
        settings["architecture"] = own | {"settings": own["settings"] | changes}
    model = Model(SETTINGS.validate_python(settings), Moments(np.zeros(2), np.eye(2)))
    model.backbone.initialise(["0"])
    return model


def parameters(name):
    return make(name).backbone.parameters_per_model


def one_branch(name):
    return len(CONFIG["variants"][name].get("branches", ())) == 1


def test_every_system_that_is_declared_is_run():
    assert set(DECLARED["variants"]) <= set(RUN)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_system_has_as_many_parameters_as_the_baseline_or_as_a_branch_of_its_own_size(name):
    found = parameters(name)
    if abs(found / BASELINE - 1) > WITHIN:
        assert any(
            abs(found / parameters(other) - 1) <= WITHIN for other in RUN if one_branch(other)
        )
        narrow = {"adaptive": "adaptive_narrow"}.get(name, name.removesuffix("_wide"))
        assert one_branch(name) or abs(parameters(narrow) / BASELINE - 1) <= WITHIN


@pytest.mark.parametrize("name", OWN)
def test_a_step_of_training_lowers_the_loss_of_a_network(name):
    model = make(name)
    data = torch.randn(64, 2)
    settings = Training(steps=20, batch_size=64, learning_rate=1e-3)
    losses = torch.cat(
        [progress.losses for progress in Trainer(model, data, settings, ["0"]).run()]
    )
    assert losses[-5:].mean() < 0.98 * losses[:2].mean()


@pytest.mark.parametrize("name", OWN)
def test_the_file_of_a_network_is_found_from_another_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = configured([tmp_path, ROOT])["variants"][name]["architecture"]["file"]
    assert (tmp_path / found).resolve().is_relative_to(SYSTEMS)


def test_the_code_that_a_network_imports_is_part_of_its_digest(tmp_path):
    digests = set()
    for place, width in product("ab", (1, 2)):
        root = tmp_path / f"{place}{width}"
        folder = root / "dualscale/networks/systems"
        folder.mkdir(parents=True)
        for name in ("attention_weighting", "two_scales"):
            text = (SYSTEMS / f"{name}.py").read_text()
            changed = text.replace("width: Width = 256", f"width: Width = {width}")
            (folder / f"{name}.py").write_text(changed if name == "two_scales" else text)
        digests.add(digest_code(folder / "attention_weighting.py", root))
    assert len(digests) == 2


def test_weights_of_points_are_averaged_over_perturbed_points_at_each_timestep():
    model, points = (
        make("attention_weighting", width=8),
        np.random.default_rng(0).normal(size=(9, 2)),
    )
    points = points.astype(np.float32)
    found = sample.mean_weights(model, points)
    assert tuple(model.backbone.branches) == ("global", "local")
    noise = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    t = 70
    x = model.levels.alpha[t] * torch.from_numpy(points) + model.levels.sigma[t] * noise
    weights = model.backbone.modules[0].weights(x.float(), torch.full((9,), t))
    torch.testing.assert_close(found[t], weights.mean(dim=0))
    assert found[:, 0].std() > 0


def test_the_record_of_sampling_tells_the_depth_of_networks_in_which_it_varies():
    points = np.zeros((5, 2), np.float32)
    depth = sample.depths(make("mdeq", wide=8, narrow=8, hidden=8, most=4), points)["depth"]
    assert len(depth) == 100
    assert 1 <= min(depth) <= max(depth) <= 4
    assert sample.depths(make("tabddpm", layers=[8]), points) == {}
    assert sample.depths(make("baseline"), points) == {}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("attention_weighting", {"widht": 3}, "cannot be built: widht is an unknown setting"),
        ("attention_weighting", {"width": 0}, "cannot be built: width is 0: 1 or more is allowed"),
        ("graph_weighting", {"rounds": "2"}, "rounds is '2', a string: integer is allowed"),
        ("tmsa", {"heads": 3}, "heads is 3: a divisor of width, 64, is allowed"),
        ("tmsa", {"bands": 3}, "bands is 3: a divisor of 64 frequencies is allowed"),
        ("tmsa", {"features": {"embedding": 5}}, "features.embedding is 5: a multiple of 2 is"),
        ("grid_noise", {"asked": "all"}, "asked is 'all': one of drawn, added is allowed"),
        ("early_exit", {"tolerance": -1.0}, "tolerance is -1.0: 0 or more is allowed"),
        ("tabddpm", {"layers": []}, r"layers is \[\]: 1 or more items is allowed"),
    ],
)
def test_wrong_settings_of_a_network_are_one_line(name, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(name, **changes)
    assert "\n" not in str(caught.value)
