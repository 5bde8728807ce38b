"""Densities of points under a model, in the data's units."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from test_model import make, rewrite
from test_training import PAPER, make_model, run
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

import dualscale
import score
from dualscale.data.moments import moments_of
from dualscale.data.units import QuantileUnits, Units
from dualscale.model import SETTINGS, Model
from dualscale.sampling import changed
from dualscale.training.trainer import Trainer

SINGLE = {"branches": {"global": {}}, "weighting": "none"}
FINE = {"schedule": {"kind": "geometric", "timesteps": 200, "sigma_max": 20.0}}
CENTRES = torch.tensor([[-1.0, 0.5], [1.0, -0.5]])
STD = torch.tensor([[0.4, 0.7], [0.6, 0.3]])


class Optimal:
    """Optimal denoiser of a mixture of two Gaussians of equal weights in the model's units."""

    def __init__(self, model, centres=CENTRES, std=STD):
        self.alpha, self.sigma = model.levels.alpha.tolist(), model.levels.sigma.tolist()
        self.centres, self.std = centres, std

    def noise(self, x, t):
        """E[eps | x_t], which is -sigma times the score."""
        covariance = torch.diag_embed((self.alpha[t] * self.std) ** 2 + self.sigma[t] ** 2)
        parts = MultivariateNormal(self.alpha[t] * self.centres, covariance)
        known = MixtureSameFamily(Categorical(torch.ones(len(self.centres))), parts)
        density = known.log_prob(x[0]).sum()
        return -self.sigma[t] * torch.autograd.grad(density, x, create_graph=True)[0]


@pytest.fixture
def optimal(monkeypatch):
    """Function that gives a model with these units the optimal denoiser of a distribution."""

    def make_optimal(units, **distribution):
        seen = np.random.default_rng(0).normal(size=(1000, int(units.varying.sum())))
        settings = SETTINGS.validate_python(SINGLE | FINE)
        model = Model(settings, moments_of(torch.from_numpy(seen)), units=units)
        denoiser = Optimal(model, **distribution)
        monkeypatch.setattr(Model, "denoiser", property(lambda model: denoiser))
        return model

    return make_optimal


def units(shift, scale):
    return Units(np.array(shift, np.float32), np.array(scale, np.float32))


def exact(x, shift, scale):
    """Density of the mixture in the data's units."""
    scale = np.array(scale)
    return np.mean(
        [
            multivariate_normal(shift + scale * centre, np.diag((scale * std) ** 2)).pdf(x)
            for centre, std in zip(CENTRES.numpy(), STD.numpy(), strict=True)
        ],
        axis=0,
    )


def test_of_the_optimal_denoiser_is_the_datas_in_its_units(optimal):
    shift, scale = [100.0, -3.0], [50.0, 0.1]
    x = shift + scale * np.random.default_rng(1).normal(size=(40, 2))
    found = dualscale.log_density(optimal(units(shift, scale)), x)
    np.testing.assert_allclose(found, np.log(exact(x, shift, scale)), atol=0.03)


def test_a_constant_column_has_no_density_but_at_its_value(optimal):
    x = np.array([[0.3, 7.0, -0.2], [0.3, 7.5, -0.2]])
    on, off = dualscale.log_density(optimal(units([0, 7, 0], [1, 0, 1])), x)
    assert on == pytest.approx(np.log(exact(x[0, [0, 2]], 0, [1, 1])), abs=0.03)
    assert off == -np.inf


QUANTILES = np.array([[0, 10], [1, 12], [4, 20], [5, 30]])


def test_of_quantiles_is_even_between_them_and_nought_beyond(optimal):
    units = QuantileUnits(*np.array([[0, 0], [1, 1]], np.float32), QUANTILES.astype(np.float32))
    model = optimal(units, centres=torch.zeros(1, 2), std=torch.ones(1, 2))
    x = np.array([[0.5, 11.0], [2.0, 11.0], [4.5, 25.0], [-0.1, 11.0], [2.0, 30.5]])
    found = dualscale.log_density(model, x)
    third = 1 / 3  # of the probability between two quantiles
    expected = [third * third / 2, third / 3 * third / 2, third * third / 10]
    np.testing.assert_allclose(np.exp(found[:3]), expected, rtol=0.03)
    assert (found[3:] == -np.inf).all()


def test_equal_quantiles_have_no_density(optimal):
    repeated = np.array([[0, 0], [1, 2], [2, 2], [3, 3]], np.float32)
    model = optimal(QuantileUnits(*np.array([[0, 0], [1, 1]], np.float32), repeated))
    with pytest.raises(ValueError, match=r"column 1 has no density: .* equal, at 2; `norm"):
        dualscale.log_density(model, [[1.0, 1.0]])


@pytest.mark.parametrize("schedule", ["linear", "linear_path"])
def test_of_a_trained_model_integrates_to_one_in_the_datas_units(schedule):
    data = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    spec = SINGLE | {"network": {"width": 32, "embedding": 16, "highest_frequency": 5.0}}
    spec |= {"schedule": {"kind": schedule, "timesteps": 40}, "prediction": "velocity"}
    model = make_model(SETTINGS.validate_python(spec), torch.from_numpy(data))
    run(Trainer(model, torch.from_numpy(data), PAPER, ["0"]))
    model.units = units([5, -5], [10, 0.1])
    grid = np.linspace(-8, 8, 81)
    y = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    cell = (grid[1] - grid[0]) ** 2 * 10 * 0.1
    density = np.exp(dualscale.log_density(model, model.units.into_data(y)))
    assert density.sum() * cell == pytest.approx(1, abs=0.02)


@pytest.fixture
def path(tmp_path):
    model = make(normalisation="standard")
    model.save(tmp_path / "0.safetensors", model.backbone.flat, 0)
    return tmp_path / "0.safetensors"


def scored(path, points, *flags):
    output = path.with_name("densities.csv")
    score.main(score.parse([str(path), str(points), str(output), *flags]))
    return pd.read_csv(output)["log_density_nats"].to_numpy()


def test_score_writes_the_densities_of_a_files_rows(path, tmp_path, capsys):
    points = np.random.default_rng(0).normal(3, 1, (20, 2))
    pd.DataFrame(points, columns=["x", "y"]).assign(name="a").to_csv(
        tmp_path / "p.csv", index=False
    )
    expected = dualscale.log_density(dualscale.load_model(path), points)
    found = scored(path, tmp_path / "p.csv", "--columns", "x", "y")
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.save(tmp_path / "p.npy", points)
    score.main(score.parse([str(path), str(tmp_path / "p.npy")]))
    assert capsys.readouterr().out == (tmp_path / "densities.csv").read_text()


def test_score_starts_from_the_prior_of_the_models_variant_unless_told(path, tmp_path):
    np.save(tmp_path / "p.npy", np.full((1, 2), 3.0))
    standard = scored(path, tmp_path / "p.npy")
    matched = scored(path, tmp_path / "p.npy", "--prior", "moment_matched")
    rewrite(
        path,
        lambda about, tensors: about["settings"]["sampling"].update(
            prior={"kind": "moment_matched"}
        ),
    )
    assert scored(path, tmp_path / "p.npy") == matched != standard


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(2), "points have shape (2,): (n, 2), as the model's, is needed"),
        (np.zeros((3, 3)), "points have shape (3, 3): (n, 2), as the model's, is needed"),
        ([[0.0, 1.0], [np.nan, 1.0]], "points hold nan in row 2 of column 0"),
    ],
)
def test_points_that_do_not_fit_are_refused(points, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        dualscale.log_density(make(), points)


@pytest.mark.parametrize("sampler", ["cascaded", "consistency"])
def test_a_model_without_a_score_is_refused(sampler):
    model = make()
    sampling = changed(model.settings.sampling, {"sampler": sampler})
    model.settings = model.settings.model_copy(update={"sampling": sampling})
    with pytest.raises(ValueError, match=f"sampled with '{sampler}': there is no density"):
        dualscale.log_density(model, np.zeros((1, 2)))
