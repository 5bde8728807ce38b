import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from test_backbone import GLOBAL, LEARNED, LOCAL, VARIANTS, settings

from draw import main as draw
from draw import parse
from dualscale.data.moments import moments_of
from dualscale.data.units import BLOCK, Units, own_units, standard_units
from dualscale.diffusion.sampling import Sampler
from dualscale.model import Model, load_model
from dualscale.parts import BETAS

DATA = 3 + torch.randn(500, 2, generator=torch.Generator().manual_seed(0))


def make(spec, streams=("0",), standardise=False):
    units = standard_units(DATA.numpy()) if standardise else own_units(2)
    seen = torch.from_numpy(units.into_model(DATA.numpy()))
    model = Model(spec, moments_of(seen), len(streams), units=units)
    model.backbone.initialise(streams)
    return model


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "0.safetensors"
    model = make(VARIANTS["learned"], standardise=True)
    model.save(path, model.backbone.flat, 0)
    return path


def test_a_saved_model_comes_back_whole(tmp_path):
    stack = make(VARIANTS["learned"], ("a", "b"), standardise=True)
    stack.save(tmp_path / "m.safetensors", stack.backbone.flat, 1)
    loaded = load_model(tmp_path / "m.safetensors")
    for name, view in stack.backbone.views.items():
        torch.testing.assert_close(loaded.backbone.views[name], view.chunk(2)[1])
    assert loaded.settings == stack.settings
    torch.testing.assert_close(loaded.moments.covariance, stack.moments.covariance)
    np.testing.assert_array_equal(loaded.units.shift, stack.units.shift)
    np.testing.assert_array_equal(loaded.units.scale, stack.units.scale)


def test_a_saved_model_keeps_the_order_of_its_branches(tmp_path):
    model = make(settings({"zoom": LOCAL, "all": GLOBAL}, LEARNED))
    model.save(tmp_path / "m.safetensors", model.backbone.flat, 0)
    x, t = torch.randn(1, 9, 2), torch.randint(0, 100, (1, 9))
    loaded = load_model(tmp_path / "m.safetensors")
    torch.testing.assert_close(loaded.backbone(x, t), model.backbone(x, t))


def test_a_model_whose_units_leave_it_other_columns_is_refused():
    units = Units(np.zeros(2, np.float32), np.array([1, 0], np.float32))
    with pytest.raises(ValueError, match="1 columns vary, moments of 2"):
        Model(VARIANTS["learned"], moments_of(DATA), units=units)


def test_points_are_drawn_into_a_file_the_same_ones_each_time(saved, tmp_path):
    for name in ("a.csv", "b.npy"):
        draw(parse([str(saved), str(tmp_path / name), "--points", "50", "--steps", "10"]))
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table.columns) == ["x0", "x1"]
    np.testing.assert_allclose(table, np.load(tmp_path / "b.npy"), rtol=1e-5)


MATCHED = {"start": "matched", "sampler": {"kind": "ancestral", "variance": "forward"}, "steps": 9}
STANDARD = {"start": "standard", "sampler": {"kind": "ancestral"}, "steps": None}


def save_sampled(path, sampling):
    """Save a model whose file records this sampling; None: no sampling at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = {} if sampling is None else {"sampling": sampling}
    model = make(VARIANTS["learned"] | chosen)
    model.save(path, model.backbone.flat, 0)
    return path


def drawn(path, *flags):
    output = path.with_name("drawn.npy")
    draw(parse([str(path), str(output), "--points", "30", *flags]))
    return np.load(output)


def sampled(path, settings):
    """Points that the model at `path` yields with these settings."""
    model = load_model(path)
    settings = settings | {"sampler": {"variance": "posterior"} | settings["sampler"]}
    if settings["sampler"]["kind"] != "ancestral":
        settings["sampler"].pop("variance")
    parts = model.denoiser, model.schedule, model.moments, settings, 30, ["0/draw"]
    return Sampler(*parts, torch.device("cpu")).draw()[0].numpy()


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
        (["--start", "standard"], {"start": "standard"}),
        (["--steps", "4"], {"steps": 4}),
        (["--sampler", "ddim"], {"sampler": {"kind": "ddim"}}),
    ],
)
def test_a_flag_overrides_what_it_names_and_nothing_else(tmp_path, flags, change):
    path = save_sampled(tmp_path / "0.safetensors", MATCHED)
    np.testing.assert_array_equal(drawn(path, *flags), sampled(path, MATCHED | change))


@pytest.mark.parametrize("sampling", [3, {"start": "matched"}, MATCHED | {"start": "elsewhere"}])
def test_a_file_that_samples_in_an_unknown_way_is_refused(tmp_path, sampling):
    path = save_sampled(tmp_path / "0.safetensors", sampling)
    with pytest.raises(ValueError, match=r"0\.safetensors samples in a way that is unknown"):
        drawn(path)


def test_a_solver_that_needs_data_at_every_step_is_refused_where_there_are_none(tmp_path):
    spec = VARIANTS["learned"] | {"prediction": "velocity"}
    spec |= {"schedule": {"kind": "zero_terminal_snr", **BETAS, "timesteps": 100}}
    model, path = make(spec), tmp_path / "0.safetensors"
    model.save(path, model.backbone.flat, 0)
    with pytest.raises(ValueError, match="--sampler is heun: it divides by alpha"):
        drawn(path, "--sampler", "heun")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["points.xlsx"], "ends in '.xlsx': .csv, .tsv, .npy, .parquet are written"),
        (["points.csv", "--steps", "101"], "--steps is 101: 1 to 100, the model's, is allowed"),
        (["points.csv", "--points", "0"], "--points is 0: 1 or more"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(arguments, message, saved):
    with pytest.raises(ValueError, match=message):
        draw(parse([str(saved), *arguments]))


def test_a_model_whose_weights_are_nan_is_refused_in_one_line_and_nothing_is_written(tmp_path):
    model, path, output = make(VARIANTS["learned"]), tmp_path / "0.safetensors", tmp_path / "x.csv"
    flat = model.backbone.flat.clone()
    flat[5] = torch.nan
    model.save(path, flat, 0)
    with pytest.raises(ValueError, match=r"0\.safetensors holds weights that are NaN"):
        draw(parse([str(path), str(output)]))
    assert not output.exists()


def test_points_that_are_not_finite_are_refused_in_one_line_and_not_written(tmp_path):
    model, path, output = make(VARIANTS["learned"]), tmp_path / "0.safetensors", tmp_path / "x.csv"
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
    assert torch.equal(moments.mean, data.double().mean(dim=0))
    assert torch.equal(moments.covariance, torch.atleast_2d(torch.cov(data.double().T)))


def test_the_moments_of_a_large_dataset_are_summed_in_blocks(monkeypatch):
    data, double, seen = torch.randn(2 * BLOCK + 17, 3) + 5, torch.Tensor.double, []
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "double", lambda x: seen.append(len(x)) or double(x))
        moments = moments_of(data)
    assert max(seen) == BLOCK
    torch.testing.assert_close(moments.mean, data.double().mean(dim=0))
    torch.testing.assert_close(moments.covariance, torch.cov(data.double().T))
