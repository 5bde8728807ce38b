import numpy as np
import pytest
import torch
from test_backbone import VARIANTS

from dualscale.data.moments import moments_of
from dualscale.data.units import standard_units
from dualscale.diffusion.drawing import Sampling
from dualscale.diffusion.priors import MomentMatched
from dualscale.diffusion.samplers import DDIM
from dualscale.model import Model
from evaluate_model import further_samples, ode_kl

SAMPLING = Sampling(points=50, prior=MomentMatched(), sampler=DDIM(), steps=5)


@pytest.fixture
def standardised():
    """A model of a file's points: one column in the thousands, one near 1, one constant."""
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(500, 3)) * [1000, 1, 0] + [5000, 0, 7]).astype("f4")
    units = standard_units(data)
    moments = moments_of(torch.from_numpy(units.into_model(data)))
    model = Model(VARIANTS["learned"], moments, units=units)
    model.backbone.initialise(["0"])
    return model


def test_further_samples_are_in_the_datas_units(standardised):
    draws = further_samples(standardised, SAMPLING, 2, "0/mine")
    assert [draw.shape for draw in draws] == [(50, 3), (50, 3)]
    inside = standardised.units.into_model(np.concatenate(draws))
    np.testing.assert_allclose(inside.mean(axis=0), 0, atol=1)
    np.testing.assert_allclose(np.concatenate(draws)[:, 2], 7)
    assert 3000 < np.concatenate(draws)[:, 0].mean() < 7000


def test_an_exact_density_is_not_compared_with_a_model_in_other_units(standardised):
    known = {"x": np.zeros((100, 4, 2), "f4"), "log_density": np.zeros(4)}
    with pytest.raises(ValueError, match="the exact density is in the data's units"):
        ode_kl(standardised, known, MomentMatched())
