"""Any file is either used or rejected in one line: no traceback, no hang."""

import copy
import json
import os
import pickle

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from safetensors.torch import save
from test_model import make

from dualscale.config.check import check
from dualscale.config.jobs import model_settings, sampling_settings
from dualscale.data.files import extensions, read_table
from dualscale.errors import ConfigurationError
from dualscale.model import load_model

settings.register_profile(
    "short",
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("long", settings.get_profile("short"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

SHIPPED = yaml.safe_load((ROOT / "config.yaml").read_text())


def paths_of(config, at=()):
    """Key paths of all values in a"""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from paths_of(value, (*at, key))


PATHS = sorted(paths_of(SHIPPED), key=str)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["../../etc", "a/b", ".", "..", "real", "baseline", "1e-3", "\n", "x" * 300, "{seed}"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES | st.just("DELETE")), min_size=1))
def test_a_bad_config_gets_one_line(changes):
    config = copy.deepcopy(SHIPPED)
    for (*above, last), value in changes:
        place = config
        try:
            for key in above:
                place = place[key]
            if value == "DELETE":
                del place[last]
            else:
                place[last] = value
        except (IndexError, KeyError, TypeError):
            continue  # removed by an earlier change
    try:
        checked = check(config)
    except ConfigurationError as error:
        assert "\n" not in str(error)
        assert 10 < len(str(error)) < 1500
        return
    for name in checked["run"]["variants"]:
        assert not {"/", ".."} & {name, name[:2]}
        assert json.dumps(model_settings(checked, name))
        assert json.dumps(sampling_settings(checked, name))


def bomb(levels):
    """List of 10^levels values in `levels` nested lists, as YAML aliases can make."""
    value = ["lol"] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


def loop():
    value = {}
    value["itself"] = value
    return value


@pytest.mark.parametrize("value", [bomb(12), loop()], ids=["bomb", "loop"])
def test_a_config_that_unfolds_without_end_is_refused(value):
    config = copy.deepcopy(SHIPPED)
    config["variants"]["mine"] = {"architecture": {"file": "x", "class": "X", "settings": value}}
    with pytest.raises(ConfigurationError, match="more than 100,000 values"):
        check(config)


CELLS = st.one_of(
    st.floats(allow_nan=True), st.text(max_size=6), st.just(""), st.integers(-(10**30), 10**30)
)
TABLES = st.lists(st.lists(CELLS, max_size=5), max_size=8)


@given(TABLES | st.binary(max_size=300), st.sampled_from(extensions()))
def test_a_bad_data_file_gets_one_line_that_names_it(tmp_path_factory, content, ending):
    path = tmp_path_factory.mktemp("data") / f"mine{ending}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        mark = "\t" if ending == ".tsv" else ","
        path.write_text("\n".join(mark.join(map(str, row)) for row in content))
    try:
        table, encoding = read_table(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        points = encoding.encode(table.cells, np.random.default_rng(0))
        assert np.isfinite(points).all()
        assert points.shape == (len(table.cells), len(encoding.flags))


class Payload:
    """Object that creates a file when unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("ending", [".npy", ".csv", ".parquet"])
def test_data_made_to_run_code_does_not(tmp_path, ending):
    path = tmp_path / f"mine{ending}"
    if ending == ".npy":
        np.save(path, np.array([Payload(tmp_path / "run")], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Payload(tmp_path / "run")))
    with pytest.raises(ValueError, match="mine"):
        read_table(path)
    assert not (tmp_path / "run").exists()


def test_a_model_made_to_run_code_does_not(tmp_path):
    path = tmp_path / "model.safetensors"
    torch.save({"w": Payload(tmp_path / "run")}, path)
    with pytest.raises(ValueError, match="is not a model"):
        load_model(path)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def model_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "0.safetensors"
    model = make()
    model.save(path, model.backbone.flat, 0)
    return path.read_bytes()


@given(st.data())
def test_a_damaged_model_is_loaded_or_refused_in_one_line(tmp_path_factory, model_bytes, data):
    content = bytearray(model_bytes)
    head = int.from_bytes(content[:8], "little") + 8
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, head - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), head, 9, 0]))]
    path = tmp_path_factory.mktemp("model") / "0.safetensors"
    path.write_bytes(content)
    try:
        load_model(path)
    except ValueError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("network", "width"), 10**7, "network.width is 10000000: 65536 or less"),
        (("network", "width"), 65_536, "its settings ask for"),
        (("schedule", "timesteps"), 10**6, "schedule.timesteps is 1000000: 100000 or less"),
        (("weighting", "hidden"), [10**7], "weighting.hidden.0 is 10000000: 65536 or less"),
        (("weighting", "hidden"), [65_536] * 16, "its settings ask for"),
    ],
)
def test_a_model_that_claims_to_be_huge_is_refused(tmp_path, model_bytes, where, value, message):
    path = tmp_path / "0.safetensors"
    path.write_bytes(model_bytes)
    about = json.loads(
        json.loads(model_bytes[8 : 8 + int.from_bytes(model_bytes[:8], "little")])["__metadata__"][
            "dualscale"
        ]
    )
    section, key = where
    about["settings"][section][key] = value
    path.write_bytes(save({"w": torch.zeros(1)}, metadata={"dualscale": json.dumps(about)}))
    with pytest.raises(ValueError, match=f"is not a model.*{message}"):
        load_model(path)


def test_columns_beyond_the_most_are_refused(tmp_path):
    path = tmp_path / "wide.csv"
    pd.DataFrame(np.zeros((3, 65))).add_prefix("c").to_csv(path, index=False)
    with pytest.raises(ValueError, match="at most 64 can be used"):
        read_table(path)
