"""Layers that a timestep does not need are not run, and what is left out changes nothing else."""

import pytest
import torch

from dualscale.networks.systems.early_exit import EarlyExit

DEPTHS = torch.arange(100) % 4


def make(**settings):
    """A network of three hidden layers that leaves after 0, 1, 2, 3, 0, … of them at t = 0, 1, …"""
    module = EarlyExit(2, 100, width=8, features={"embedding": 8}, **settings).eval()
    module.excess.copy_((torch.arange(3) < DEPTHS[:, None]).float())
    return module


def some():
    return torch.randn(40, 2), torch.randint(0, 100, (40,))


def all_exits(module, x, t):
    """Outputs of all exits, (n, exits, d), one layer after another."""
    h = module.first(module.embedding(x, t))
    outputs = [module.exits[0](h.relu())]
    for layer, leave in zip(module.hidden, module.exits[1:], strict=True):
        h = h + layer.linear(h.relu())
        outputs.append(leave(h.relu()))
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("gpu", [False, True])
def test_a_point_takes_the_exit_of_its_timestep(gpu, monkeypatch):
    module, (x, t) = make(), some()
    expected = all_exits(module, x, t)[torch.arange(40), DEPTHS[t]]
    monkeypatch.setattr(torch.Tensor, "is_cuda", gpu)
    torch.testing.assert_close(module(x, t), expected)
    assert torch.equal(module.depth(x, t), DEPTHS[t])


@pytest.mark.parametrize("depth", range(4))
def test_layers_beyond_the_exit_are_not_run(depth):
    module, (x, _) = make(), some()
    ran = []
    for number, layer in enumerate([*module.hidden, *module.exits]):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    t = torch.full((40,), depth)
    expected = all_exits(module, x, t)[:, depth]
    ran.clear()
    torch.testing.assert_close(module(x, t), expected)
    assert ran == [*range(depth), 3 + depth]


def test_a_tolerance_of_zero_runs_all_layers_and_a_large_one_none():
    x, t = some()
    assert make(tolerance=0).depth(x, t).eq(3).all()
    assert make(tolerance=2).depth(x, t).eq(0).all()


def make_examples(x_0, t, noise):
    return 0.8 * x_0 + 0.6 * noise, noise


def test_all_exits_train_and_elsewhere_the_error_is_that_of_the_output():
    module, (x_0, t), noise = make(), some(), torch.randn(40, 2)
    x, target = make_examples(x_0, t, noise)
    errors = module.train().errors(x_0, t, noise, make_examples)
    torch.testing.assert_close(errors, all_exits(module, x, t) - target[:, None])
    module.eval()
    torch.testing.assert_close(module.errors(x_0, t, noise, make_examples), module(x, t) - target)


def test_what_leaving_adds_to_the_error_is_averaged_at_each_timestep():
    module, (x_0, _), noise = make().train(), some(), torch.randn(40, 2)
    x, _ = make_examples(x_0, None, noise)
    t = torch.arange(40) % 2
    for _ in range(100):
        module.errors(x_0, t, noise, make_examples)
    outputs = all_exits(module, x, t).detach()
    excess = (outputs[:, :3] - outputs[:, 3:]).square().mean(dim=2)
    for time in (0, 1):
        expected = excess[t == time].mean(dim=0)
        torch.testing.assert_close(module.excess[time], expected, rtol=0.01, atol=1e-4)
    assert torch.equal(module.excess[2:], make().excess[2:])
