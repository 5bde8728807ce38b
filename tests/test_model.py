import copy
import json
import random
import time

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import save

from draw import main as draw
from draw import parse
from dualscale.data.moments import moments_of
from dualscale.data.normalisations import NORMALISATION
from dualscale.data.units import BLOCK, Units
from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.reverse_process import ReverseProcess
from dualscale.model import SETTINGS, Model, load_model

DATA = 3 + torch.randn(500, 2, generator=torch.Generator().manual_seed(0))


DUAL = {
    "branches": {"global": {}, "local": {"upscaled_dimensions": 4}},
    "weighting": {"kind": "learned", "hidden": [24, 12]},
    "network": {"width": 32, "embedding": 16},
}


def make(streams=("0",), normalisation="none", **changes):
    """Stack of dual-scale models, with some settings changed."""
    units = NORMALISATION.validate_python(normalisation).units(DATA.numpy())
    seen = torch.from_numpy(units.into_model(DATA.numpy()))
    settings = SETTINGS.validate_python(DUAL | changes)
    model = Model(settings, moments_of(seen), len(streams), units=units)
    model.backbone.initialise(streams)
    return model


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "0.safetensors"
    model = make(normalisation="standard")
    model.save(path, model.backbone.flat, 0)
    return path


def test_a_saved_model_comes_back_whole(tmp_path):
    stack = make(("a", "b"), normalisation="standard")
    stack.save(tmp_path / "m.safetensors", stack.backbone.flat, 1)
    loaded = load_model(tmp_path / "m.safetensors")
    for name, view in stack.backbone.views.items():
        torch.testing.assert_close(loaded.backbone.views[name], view.chunk(2)[1])
    assert loaded.settings == stack.settings
    np.testing.assert_array_equal(loaded.moments.mean, stack.moments.mean)
    np.testing.assert_array_equal(loaded.moments.covariance, stack.moments.covariance)
    np.testing.assert_array_equal(loaded.units.shift, stack.units.shift)
    np.testing.assert_array_equal(loaded.units.scale, stack.units.scale)


def test_a_model_of_quantiles_comes_back_and_draws_in_the_datas_units(tmp_path):
    model = make(normalisation="quantile")
    model.save(tmp_path / "m.safetensors", model.backbone.flat, 0)
    loaded = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.units.quantiles, model.units.quantiles)
    drawing = Drawing(steps=5)
    drawn, again = (each.sampler(drawing, 200, ["0"]).draw()[0] for each in (model, loaded))
    np.testing.assert_array_equal(drawn, again)
    least, most = DATA.numpy().min(axis=0), DATA.numpy().max(axis=0)
    assert (drawn >= least).all()
    assert (drawn <= most).all()
    assert drawn.std() > 0.1


def test_a_whitened_model_comes_back_and_draws_in_the_datas_units(tmp_path):
    path, model = tmp_path / "m.safetensors", make(normalisation="whitened")
    model.save(path, model.backbone.flat, 0)
    loaded, drawing = load_model(path), Drawing(steps=5)
    drawn, again = (each.sampler(drawing, 200, ["0"]).draw()[0] for each in (model, loaded))
    np.testing.assert_array_equal(drawn, again)
    plain = drawing, 200, ["0"], torch.device("cpu")
    own = ReverseProcess(model.denoiser, model.levels, model.moments, *plain).draw()[0]
    np.testing.assert_allclose(drawn, model.units.into_data(own), rtol=1e-5)


@pytest.mark.parametrize(
    ("axes", "said"),
    [([[1.0]], r"shape \(1, 1\)"), ([[1, 2], [2, 4]], "independent"), ([[1, 0], [0, None]], "NaN")],
)
def test_a_file_whose_axes_span_no_plane_is_refused(tmp_path, axes, said):
    path, model = tmp_path / "m.safetensors", make(normalisation="whitened")
    model.save(path, model.backbone.flat, 0)
    rewrite(path, lambda about, tensors: about | {"axes": axes})
    with pytest.raises(ValueError, match=said):
        load_model(path)


def test_a_saved_model_keeps_the_order_of_its_branches(tmp_path):
    model = make(branches={"zoom": {"upscaled_dimensions": 4}, "all": {}})
    model.save(tmp_path / "m.safetensors", model.backbone.flat, 0)
    x, t = torch.randn(1, 9, 2), torch.randint(0, 100, (1, 9))
    loaded = load_model(tmp_path / "m.safetensors")
    assert list(loaded.settings.branches) == ["zoom", "all"]
    torch.testing.assert_close(loaded.backbone(x, t), model.backbone(x, t))


def test_a_model_whose_units_leave_it_other_columns_is_refused():
    units = Units(np.zeros(2, np.float32), np.array([1, 0], np.float32))
    with pytest.raises(ValueError, match="1 columns vary, but the moments are of 2"):
        Model(SETTINGS.validate_python(DUAL), moments_of(DATA), units=units)


def test_points_are_drawn_into_a_file_the_same_ones_each_time(saved, tmp_path):
    for name in ("a.csv", "b.npy"):
        draw(parse([str(saved), str(tmp_path / name), "--points", "50", "--steps", "10"]))
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table.columns) == ["x0", "x1"]
    np.testing.assert_allclose(table, np.load(tmp_path / "b.npy"), rtol=1e-5)


MATCHED = {
    "prior": "moment_matched",
    "sampler": {"kind": "ancestral", "variance": "fixed_large"},
    "steps": 9,
}
STANDARD = {"prior": "standard", "sampler": "ancestral", "steps": None}


def rewrite(path, change):
    """Change what a model's file says of itself, or its tensors, in place."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["dualscale"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    changed = change(about, tensors)
    about = about if changed is None else changed
    text = about if isinstance(about, str) else json.dumps(about)
    path.write_bytes(save(tensors, metadata={"dualscale": text}))


def save_sampled(path, sampling):
    """Save a model whose file records this sampling; None: no sampling at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    model = make(**({} if sampling is None else {"sampling": sampling}))
    model.save(path, model.backbone.flat, 0)
    return path


def drawn(path, *flags):
    output = path.with_name("drawn.npy")
    draw(parse([str(path), str(output), "--points", "30", *flags]))
    return np.load(output)


def sampled(path, settings):
    """Points that the model at `path` yields with these settings."""
    model = load_model(path)
    drawing = Drawing.model_validate(settings)
    parts = model.denoiser, model.levels, model.moments, drawing, 30, ["0/draw"]
    return ReverseProcess(*parts, torch.device("cpu")).draw()[0]


@pytest.mark.parametrize("sampling", [MATCHED, STANDARD])
def test_points_are_drawn_as_the_models_variant_samples(tmp_path, sampling):
    path = save_sampled(tmp_path / "0.safetensors", sampling)
    np.testing.assert_array_equal(drawn(path), sampled(path, sampling))


def test_a_file_that_does_not_say_how_it_samples_is_drawn_as_the_paper_samples(tmp_path):
    path = save_sampled(tmp_path / "0.safetensors", None)
    np.testing.assert_array_equal(drawn(path), sampled(path, STANDARD))


@pytest.mark.parametrize(
    ("flags", "change"),
    [
        (["--prior", "standard"], {"prior": "standard"}),
        (["--steps", "4"], {"steps": 4}),
        (["--sampler", "ddim"], {"sampler": {"kind": "ddim"}}),
        (["--spacing", "geometric"], {"spacing": {"kind": "geometric"}}),
    ],
)
def test_a_flag_overrides_what_it_names_and_nothing_else(tmp_path, flags, change):
    path = save_sampled(tmp_path / "0.safetensors", MATCHED)
    np.testing.assert_array_equal(drawn(path, *flags), sampled(path, MATCHED | change))


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (3, "sampling is 3, an integer: mapping is allowed"),
        ({"start": "matched"}, "sampling has the unknown key 'start'"),
        (MATCHED | {"prior": "elsewhere"}, "sampling.prior is 'elsewhere': one of standard, "),
    ],
)
def test_a_file_that_samples_in_an_unknown_way_is_refused(tmp_path, sampling, message):
    path = save_sampled(tmp_path / "0.safetensors", None)
    rewrite(path, lambda about, tensors: about["settings"].update(sampling=sampling))
    with pytest.raises(ValueError, match=rf"0\.safetensors is not a model.*{message}"):
        drawn(path)


def test_a_solver_that_needs_data_at_every_step_is_refused_where_there_are_none(tmp_path):
    model = make(prediction="velocity", schedule="zero_terminal_snr")
    path = tmp_path / "0.safetensors"
    model.save(path, model.backbone.flat, 0)
    with pytest.raises(ValueError, match="--sampler is 'heun': it divides by alpha"):
        drawn(path, "--sampler", "heun")


@pytest.mark.parametrize("sampler", ["ancestral", "ddim", "dpm_solver", "sde_dpm_solver"])
def test_points_are_drawn_where_several_timesteps_have_no_signal(sampler):
    schedule = {"kind": "linear", "timesteps": 1000, "beta_start": 0.5, "beta_end": 0.9999}
    model = make(prediction="velocity", schedule=schedule)
    assert (model.levels.alpha == 0).sum() > 100, "they underflow"
    drawing = Drawing.model_validate({"sampler": sampler, "steps": 50})
    assert np.isfinite(model.sampler(drawing, 20, ["0"]).draw()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["points.xlsx"], "ends in '.xlsx': one of .csv, .tsv, .npy, .parquet is allowed"),
        (["points.cvs"], r"is allowed \(did you mean .csv\?\)"),
        (["points.csv", "--steps", "101"], "--steps is 101: 1 to 100, the model's, is allowed"),
        (["points.csv", "--points", "0"], "--points is 0: 1 or more"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(arguments, message, saved):
    with pytest.raises(ValueError, match=message):
        draw(parse([str(saved), *arguments]))


def test_a_model_whose_weights_are_nan_is_refused_in_one_line_and_nothing_is_written(tmp_path):
    model, path, output = make(), tmp_path / "0.safetensors", tmp_path / "x.csv"
    flat = model.backbone.flat.clone()
    flat[5] = torch.nan
    model.save(path, flat, 0)
    with pytest.raises(ValueError, match=r"0\.safetensors holds parameters that are NaN"):
        draw(parse([str(path), str(output)]))
    assert not output.exists()


def test_points_that_are_not_finite_are_refused_in_one_line_and_not_written(tmp_path):
    model, path, output = make(), tmp_path / "0.safetensors", tmp_path / "x.csv"
    model.save(path, torch.full_like(model.backbone.flat, 1e20), 0)
    with pytest.raises(ValueError, match="50 of 50 points drawn are NaN or infinite"):
        draw(parse([str(path), str(output), "--points", "50"]))
    assert not output.exists()


def test_other_files_are_no_models(tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3)}, other)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x80\x04pickle")
    for path in (other, broken):
        with pytest.raises(ValueError, match="is not a model of this project"):
            load_model(path)
    with pytest.raises(ValueError, match="there is no such file"):
        load_model(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("dimensions", [1, 2, 7])
def test_the_moments_of_the_papers_datasets_are_what_torch_computes_to_the_bit(dimensions):
    data = torch.randn(100_000, dimensions) * 3 - 1
    moments = moments_of(data)
    mean, covariance = map(torch.from_numpy, (moments.mean, moments.covariance))
    assert torch.equal(mean, data.double().mean(dim=0))
    assert torch.equal(covariance, torch.atleast_2d(torch.cov(data.double().T)))


def test_the_moments_of_a_large_dataset_are_summed_in_blocks(monkeypatch):
    data, double, seen = torch.randn(2 * BLOCK + 17, 3) + 5, torch.Tensor.double, []
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "double", lambda x: seen.append(len(x)) or double(x))
        moments = moments_of(data)
    assert max(seen) == BLOCK
    np.testing.assert_allclose(moments.mean, data.double().mean(dim=0))
    np.testing.assert_allclose(moments.covariance, torch.cov(data.double().T))


def put(*keys_and_value):
    """Return a change of a file that sets the value at these keys."""
    *keys, last, value = keys_and_value

    def change(about, tensors):
        for key in keys:
            about = about[key]
        about[last] = value

    return change


def quantiles(found):
    """Return a change of a file that gives quantiles to both columns."""

    def change(about, tensors):
        about |= {"quantiles": found, "scale": [1.0, 1.0]}

    return change


def nested(depth):
    return lambda about, tensors: json.dumps(about)[:-1] + f', "x": {"[" * depth}{"]" * depth}}}'


def one_value(about, tensors):
    tensors["hidden.0.bias"] = torch.zeros(1)


HUGE = {"kind": "learned", "hidden": [65_536] * 16, "gate": "softmax", "inputs": "x_and_t"}
MUTATIONS = {
    "settings null": (put("settings", None), "the configuration is None, null: mapping"),
    "settings a list": (put("settings", []), "mapping is allowed"),
    "sections null": (put("settings", "network", None), "network is None, null: mapping"),
    "about is null": (lambda about, tensors: "null", "TypeError"),
    "about is no JSON": (lambda about, tensors: "{", "JSONDecodeError"),
    "covariance of another shape": (put("covariance", [[1.0]]), "covariance (1, 1)"),
    "covariance ragged": (put("covariance", [[1.0], [1.0, 2.0]]), "ValueError"),
    "covariance indefinite": (put("covariance", [[1, 2], [2, 1]]), "negative eigenvalue -1"),
    "covariance not symmetric": (put("covariance", [[1, 0.5], [0, 1]]), "is not symmetric"),
    "missing settings": (lambda about, tensors: about.pop("settings") and None, "KeyError"),
    "missing mean": (lambda about, tensors: about.pop("mean") and None, "KeyError"),
    "missing weighting": (
        lambda about, tensors: about["settings"].pop("weighting") and None,
        "has no weighting: it is required",
    ),
    "unknown gate": (
        put("settings", "weighting", "gate", "softmaxx"),
        "weighting.gate is 'softmaxx': one of softmax, sigmoid is allowed (did you mean softmax?)",
    ),
    "unknown key": (put("settings", "k\ney" * 5000, 1), "has the unknown key 'k\\ney"),
    "bias of one value": (one_value, "hidden.0.bias has shape (1,), its settings ask for"),
    "no bias": (lambda about, tensors: tensors.__delitem__("hidden.0.bias"), "shape None"),
    "a tensor more": (
        lambda about, tensors: tensors.update(more=torch.zeros(1)),
        "more has shape (1,), its settings ask for None",
    ),
    "20,000 layers": (put("settings", "network", "hidden_layers", 20_000), "64 or less"),
    "two million timesteps": (
        put("settings", "schedule", "timesteps", 2_000_000),
        "schedule.timesteps is 2000000: 100000 or less is allowed",
    ),
    "an infinite number of timesteps": (
        lambda about, tensors: json.dumps(about).replace("100", "1e999"),
        "schedule.timesteps is inf",
    ),
    "settings that ask for 900 GB": (put("settings", "weighting", HUGE), "its settings ask for"),
    "mean NaN": (put("mean", 0, float("nan")), "mean or covariance are NaN or infinite"),
    "mean null": (put("mean", None), "ValueError"),
    "mean beyond any float": (put("mean", 0, 10**400), "OverflowError"),
    "mean empty": (put("mean", []), "the mean has shape (0,)"),
    "scale NaN": (put("scale", 0, float("nan")), "scale"),
    "scale infinite": (put("scale", 0, float("inf")), "scale"),
    "scale negative": (put("scale", 0, -1.0), "scale"),
    "scale zero": (put("scale", 0, 0.0), "1 columns vary, but the moments are of 2"),
    "scale of another length": (put("scale", [1.0]), "scale"),
    "scale a number": (put("scale", 1.0), "scale"),
    "shift NaN": (put("shift", 1, float("nan")), "shift"),
    "quantiles NaN": (quantiles([[0.0, float("nan")], [1.0, 1.0]]), "quantiles are NaN"),
    "quantiles falling": (quantiles([[0.0, 1.0], [1.0, 0.0]]), "or do not rise"),
    "quantiles of a column": (put("quantiles", [[0.0], [1.0]]), "quantiles have shape (2, 1)"),
    "shift of another length": (put("shift", [0.0, 0.0, 0.0]), "shift"),
    "deep nesting": (nested(100_000), "RecursionError"),
    "deep settings": (
        lambda about, tensors: json.dumps(about).replace(
            '"branches": {', '"branches": ' + '{"a": ' * 400 + "0" + "}" * 400 + ', "x": {', 1
        ),
        "has the unknown key 'x'",
    ),
    "an architecture": (
        put("settings", {"architecture": {"file": "a.py", "class": "A", "settings": {}}}),
        "name that file to run its code",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_description_is_refused_in_one_line_within_a_second(saved, name):
    change, message = MUTATIONS[name]
    rewrite(saved, change)
    began = time.perf_counter()
    with pytest.raises(ValueError) as refused:
        load_model(saved)
    assert time.perf_counter() - began < 1
    said = str(refused.value)
    assert said.startswith(str(saved))
    assert message in said
    assert "\n" not in said
    assert len(said) < 700


VALUES = [
    *[None, True, 0, 1, 2, -1, 3.5, 1e-30, 1e30, 1e300, float("nan"), float("inf"), 10**400],
    *["", "fixed", "cosine", "edm", "heun", "\n", "x" * 9999, [], {}, [1.0], {"kind": "none"}],
    *[{"kind": "karras"}, {"kind": "linear_path"}, [[1e38, 0], [0, 1e38]], 10**5, 64, 65_536],
    *["flow", "velocity", "sample", "moment_matched", "zero_terminal_snr", {"a": {}}],
]


def places(value, at=()):
    """Keys of all values in JSON."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield (*at, key)
        if isinstance(value[key], dict | list):
            yield from places(value[key], (*at, key))


def mutated(about, rng):
    """Copy with up to three values replaced, removed or added."""
    about = copy.deepcopy(about)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        *above, last = rng.choice(list(places(about)))
        place = about
        for key in above:
            place = place[key]
        deed = rng.choice(["replace", "replace", "remove", "add", "scale"])
        if deed == "remove":
            del place[last]
        elif deed == "add" and isinstance(place, dict):
            place[rng.choice(["kind", "x", "architecture", "steps"])] = rng.choice(VALUES)
        elif deed == "scale" and isinstance(place[last], int | float):
            place[last] *= rng.choice([-1, 1e-3, 2, 1e3, 1e37])
        else:
            place[last] = rng.choice(VALUES)
    return about


@pytest.mark.parametrize("seed", range(3))
def test_a_mutated_model_is_refused_in_one_line_or_draws_finite_points(saved, seed):
    rng, content, drew = random.Random(seed), saved.read_bytes(), 0
    for _ in range(100):
        rewrite(saved, lambda about, tensors: mutated(about, rng))
        try:
            model = load_model(saved)
            known = model.settings.sampling
            steps = min(known.steps or 9, model.levels.timesteps, 9)
            drawing = known.model_copy(update={"steps": steps})
            points = model.sampler(drawing, 20, ["0"]).draw()
        except ValueError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 700
        else:
            assert np.isfinite(points).all()
            drew += 1
        saved.write_bytes(content)
    assert drew > 4, "some mutations are harmless"
