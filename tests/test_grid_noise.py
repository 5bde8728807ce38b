"""Grid-based noise adaptation: factors on the noise, one for each timestep and cell."""

import pytest
import torch

from dualscale.networks.systems.grid_noise import GridNoise


def make(asked="drawn", grids=(5, 20)):
    """A network with factors that differ from each other."""
    module = GridNoise(2, 100, asked, list(grids), width=8, features={"embedding": 8})
    for grid in module.grids:
        torch.nn.init.uniform_(grid, 0.5, 1.5)
    return module


def make_examples(x_0, t, noise):
    return 0.8 * x_0 + 0.6 * noise, noise


def some():
    return torch.randn(40, 2), torch.randint(0, 100, (40,)), torch.randn(40, 2)


@pytest.mark.parametrize(
    ("x", "coarse", "fine"),
    [
        ((-1.0, -1.0), (0, 0), (0, 0)),
        ((-0.39, 0.99), (1, 4), (6, 19)),
        ((0.0, 0.05), (2, 2), (10, 10)),
        ((1.0, 7.0), (4, 4), (19, 19)),
        ((-3.0, 0.39), (0, 3), (0, 13)),
    ],
)
def test_a_factor_is_the_product_of_those_of_the_cells_that_hold_the_point(x, coarse, fine):
    module = make()
    expected = module.grids[0][(7, *coarse)] * module.grids[1][(7, *fine)]
    found = module.factors(torch.tensor([x]), torch.tensor([7]))
    torch.testing.assert_close(found, expected.view(1, 1))


@pytest.mark.parametrize("asked", ["drawn", "added"])
def test_noise_is_multiplied_by_the_factor_at_x_0_which_the_network_sees(asked):
    module, (x_0, t, noise) = make(asked), some()
    factors = module.factors(x_0, t)
    output = module.predict(0.8 * x_0 + 0.6 * factors * noise, t, factors)
    target = factors * noise if asked == "added" else noise
    errors = module.errors(x_0, t, noise, make_examples)
    torch.testing.assert_close(errors, output - target)


def test_where_x_0_is_not_known_the_factor_is_that_of_the_input():
    module, (x, t, _) = make(), some()
    torch.testing.assert_close(module(x, t), module.predict(x, t, module.factors(x, t)))


def test_factors_of_one_change_nothing_and_both_losses_are_one():
    x_0, t, noise = some()
    found = []
    for asked in ("drawn", "added"):
        torch.manual_seed(0)
        module = GridNoise(2, 100, asked, [5], width=8, features={"embedding": 8})
        x, target = make_examples(x_0, t, noise)
        torch.testing.assert_close(
            module.errors(x_0, t, noise, make_examples), module(x, t) - target
        )
        found.append(module.errors(x_0, t, noise, make_examples))
    assert torch.equal(*found)


def test_the_noise_asked_for_is_a_constant_to_the_gradient_of_the_factors():
    """A network that ignores its input gives them none."""
    module, (x_0, t, noise) = make("added"), some()
    torch.nn.init.zeros_(module.network[-1].weight)
    loss = module.errors(x_0, t, noise, make_examples).square().mean()
    assert not any(each.any() for each in torch.autograd.grad(loss, list(module.grids)))


def test_grids_are_refused_in_many_dimensions():
    with pytest.raises(ValueError, match="a grid over 4 dimensions: 3 or less are allowed"):
        GridNoise(4, 100, "drawn", [5])
