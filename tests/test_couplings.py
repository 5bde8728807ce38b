"""Minibatch optimal transport: the cheapest matching of every batch, whatever else is trained."""

from itertools import permutations

import pytest
import torch
from pydantic import ValidationError
from test_backbone import VARIANTS
from test_training import make_data, make_model, make_trainer, paper, run

from dualscale.diffusion.drawing import Drawing
from dualscale.diffusion.predictions import Flow
from dualscale.diffusion.samplers import DDIM
from dualscale.diffusion.schedules import LinearPath
from dualscale.training.couplings import OptimalTransport
from dualscale.training.loss import evaluation_loss

MATCHED = paper(steps=120, coupling={"kind": "optimal_transport"})


def test_noise_is_matched_for_the_least_sum_of_squared_distances_in_every_batch():
    data, noise = make_data(), torch.randn(2, 3, 5, 2)
    points = torch.randint(len(data), (2, 3, 5))
    matched = OptimalTransport().over(data)(points, noise)
    for batch in ((i, j) for i in range(2) for j in range(3)):
        x, given = data[points[batch]], noise[batch]
        every = [given[list(order)] for order in permutations(range(5))]
        costs = [(x - order).square().sum().item() for order in every]
        cost = (x - matched[batch]).square().sum().item()
        assert cost == pytest.approx(min(costs), rel=1e-5)
        assert any(torch.equal(matched[batch], order) for order in every)


def test_training_perturbs_points_with_matched_noise_at_the_timesteps_drawn():
    apart, matched = make_trainer(settings=paper()), make_trainer(settings=MATCHED)
    drawn, paired = apart._draw(0), matched._draw(0)
    assert torch.equal(drawn[0], paired[0])
    assert torch.equal(drawn[1], paired[1])
    expected = OptimalTransport().over(make_data())(drawn[0], drawn[2])
    assert torch.equal(paired[2], expected)
    assert not torch.equal(paired[2], drawn[2])


def test_models_of_a_stack_are_matched_as_they_are_alone():
    together = make_trainer(settings=MATCHED, streams=("a", "b"))._draw(100)
    for model, stream in enumerate("ab"):
        alone = make_trainer(settings=MATCHED, streams=(stream,))._draw(100)
        assert torch.equal(together[2][:, model], alone[2][:, 0])


def test_a_resumed_training_ends_with_the_same_bytes():
    whole, first, second = (make_trainer(settings=MATCHED) for _ in range(3))
    run(whole)
    next(first.run())
    second.restore({name: value.clone() for name, value in first.state().items()})
    list(second.run(100))
    assert torch.equal(second.ema, whole.ema)


def test_the_evaluation_loss_is_that_of_matched_noise():
    """A network that predicts 0 has the mean square of eps - x_0 as its loss."""
    flow = {"schedule": LinearPath(), "prediction": Flow()}
    model = make_model(VARIANTS["baseline"].model_copy(update=flow), make_data())
    model.backbone.flat.zero_()
    apart, matched = (
        evaluation_loss(model, make_data(), settings, ["0"]).item()
        for settings in (paper(), MATCHED)
    )
    assert apart == pytest.approx(2, rel=0.2)
    assert matched < 0.4


def test_opposite_noise_is_refused_beside_matched_noise():
    with pytest.raises(ValidationError, match=r"antithetic_fraction is 0.25: with coupling 'opt"):
        paper(antithetic_fraction=0.25, coupling={"kind": "optimal_transport"})


def test_ddim_takes_eulers_steps_along_the_path_of_flow_matching():
    levels = LinearPath(timesteps=8).levels()
    c = Flow().coefficients(levels, 1.0)
    x = start = torch.randn(1, 9, 2)

    def velocity(x, t):
        return torch.sin(x + t)

    for t in reversed(range(8)):
        x = x - velocity(x, t) / 8
    drawn = DDIM().run(
        lambda x, t: c.c_skip[t] * x + c.c_out[t] * velocity(x, t),
        Drawing(sampler=DDIM()).visited(levels),
        start,
        iter(()),
    )
    torch.testing.assert_close(drawn, x.to(drawn.dtype), rtol=1e-5, atol=1e-5)
