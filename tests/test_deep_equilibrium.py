"""Fixed points by Anderson acceleration, with the gradient of the implicit function theorem."""

import pytest
import torch

from dualscale.networks.systems import deep_equilibrium
from dualscale.networks.systems.deep_equilibrium import (
    DeepEquilibrium,
    fixed_point,
    least_combination,
)

SMALL = {"wide": 12, "narrow": 8, "hidden": 16, "features": {"embedding": 16}}
EXACT = {"most": 60, "most_backward": 60, "tolerance": 1e-10, "tolerance_backward": 1e-10}


def contraction(d=5, n=7):
    """A linear map that shrinks distances, and its fixed points (n, d), in float64."""
    a, b = torch.randn(d, d, dtype=torch.float64), torch.randn(n, d, dtype=torch.float64)
    a *= 0.9 / torch.linalg.matrix_norm(a, 2)
    return (lambda z: z @ a.T + b), torch.linalg.solve(torch.eye(d) - a, b.T).T


def some(n=20):
    return torch.randn(n, 2), torch.randint(0, 100, (n,))


def test_the_fixed_point_of_a_linear_map_takes_two_evaluations_more_than_dimensions(monkeypatch):
    """Anderson acceleration is GMRES there (Walker & Ni 2011, theorem 2.2)."""
    monkeypatch.setattr(deep_equilibrium, "RIDGE", 1e-13)
    f, expected = contraction(d=4)
    found, needed = fixed_point(f, torch.zeros_like(expected), 30, 1e-10)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
    assert needed.max() <= 4 + 2


def test_factors_of_the_shortest_combination_are_those_of_least_squares():
    vectors = torch.randn(3, 4, 6, dtype=torch.float64)
    factors = least_combination(vectors)
    torch.testing.assert_close(factors.sum(dim=1), torch.ones(3, dtype=torch.float64))
    last = vectors[:, -1:]
    rest = torch.linalg.lstsq((last - vectors[:, :-1]).mT, last.mT).solution[..., 0]
    torch.testing.assert_close(factors[:, :-1], rest, rtol=1e-4, atol=1e-4)


def test_the_fixed_point_of_a_contraction_that_is_not_linear_is_found():
    torch.manual_seed(1)
    w = torch.randn(8, 8, dtype=torch.float64)
    w *= 0.8 / torch.linalg.matrix_norm(w, 2)
    b = torch.randn(7, 8, dtype=torch.float64)
    expected = torch.zeros_like(b)
    for _ in range(300):
        expected = torch.tanh(expected @ w.T + b)
    found, needed = fixed_point(lambda z: torch.tanh(z @ w.T + b), torch.zeros_like(b), 40, 1e-9)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    assert needed.max() < 40


def test_every_point_stops_by_itself_and_few_evaluations_are_counted_as_such():
    f, expected = contraction()
    start = torch.zeros_like(expected)
    start[0] = expected[0]
    found, needed = fixed_point(f, start, 30, 1e-6)
    assert needed[0] == 1
    assert (needed[1:] > 2).all()
    assert torch.equal(found[0], expected[0])
    assert (fixed_point(f, start, 30, 0.1)[1] <= needed).all()
    assert fixed_point(f, start, 3, 1e-6)[1].tolist() == [1] + 6 * [3]


def test_the_result_is_that_of_a_gpu_which_never_stops_early(monkeypatch):
    module, (x, t) = DeepEquilibrium(2, 100, **SMALL), some()
    early = module(x, t)
    evaluations = []
    step = module.step
    monkeypatch.setattr(module, "step", lambda *given: evaluations.append(1) or step(*given))
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    torch.testing.assert_close(module(x, t), early)
    assert len(evaluations) == module.most + 1


@pytest.mark.parametrize("name", ["before.0.weight", "scales.1.up.weight", "others.0.bias", "x"])
def test_the_implicit_gradient_is_that_of_finite_differences(name):
    module = DeepEquilibrium(2, 100, **SMALL, **EXACT).double()
    x, t = some()
    x = x.double().requires_grad_()
    seen = x if name == "x" else dict(module.named_parameters())[name]
    direction, h = torch.randn_like(seen), 1e-5

    def loss():
        return module(x, t).square().sum()

    slope = (torch.autograd.grad(loss(), seen)[0] * direction).sum().item()
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            seen += sign * h * direction
            ends.append(loss().item())
            seen -= sign * h * direction
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4)


def test_gradients_outside_training_are_those_of_the_tolerance_of_the_fixed_point():
    module = DeepEquilibrium(2, 100, **SMALL, **EXACT | {"tolerance_backward": 0.5}).double()
    x, t = some()
    x = x.double().requires_grad_()
    exact = DeepEquilibrium(2, 100, **SMALL, **EXACT).double()
    exact.load_state_dict(module.state_dict())
    models = (exact, True), (module, False), (module, True)
    expected, found, rough = (
        torch.autograd.grad(each.train(training)(x, t).sum(), x)[0] for each, training in models
    )
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(rough, expected, rtol=1e-3)


def test_the_output_belongs_to_a_fixed_point_of_both_scales():
    module = DeepEquilibrium(2, 100, **SMALL, **EXACT).double()
    x, t = some()
    injection = module.injection(x.double(), t)
    z = module.solve(injection)[0]
    torch.testing.assert_close(module.step(z, injection), z, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(module(x.double(), t), module.after(z), rtol=1e-6, atol=1e-6)


def test_the_depth_is_the_number_of_evaluations_that_each_point_takes():
    module, (x, t) = DeepEquilibrium(2, 100, **SMALL), some(200)
    needed = module.depth(x, t)
    assert needed.shape == (200,)
    assert 1 < needed.min() < needed.max() <= module.most
    torch.testing.assert_close(module.depth(x[:9], t[:9]), needed[:9])
