"""Weightings that see the outputs of the branches: attention, and messages between them."""

import math

import pytest
import torch

from dualscale.networks.backbone import Backbone
from dualscale.networks.settings import DualScale
from dualscale.networks.systems.attention_weighting import AttentionWeighting
from dualscale.networks.systems.graph_weighting import GraphWeighting

SMALL = {"width": 8, "hidden_layers": 2, "features": {"embedding": 8}}
FIXED = DualScale.model_validate(
    {
        "branches": {"global": {}, "local": {"upscaled_dimensions": 4}},
        "weighting": {"kind": "fixed", "weights": {"global": 0.5, "local": 0.5}},
        "network": {"width": 8, "hidden_layers": 2, "embedding": 8},
    }
)


def make(kind, **settings):
    torch.manual_seed(0)
    return kind(2, 100, **SMALL, **settings)


def some():
    return torch.randn(30, 2), torch.randint(0, 100, (30,))


KINDS = pytest.mark.parametrize("kind", [AttentionWeighting, GraphWeighting])


@KINDS
@torch.no_grad()
def test_with_equal_weights_it_is_the_papers_network_of_two_branches(kind):
    module, backbone = make(kind), Backbone(FIXED, 2, 100)
    views = backbone.named_views(backbone.flat)
    views["upscale.local.weight"][0] = module.upscale.weight.T
    views["upscale.local.bias"][0] = module.upscale.bias
    for k, (name, branch) in enumerate(zip(FIXED.branches, module.branches, strict=True)):
        first, *hidden, _, last = branch
        seen = first.weight.shape[1] - 8
        views[f"input.{name}.weight"][0] = first.weight[:, :seen].T
        views["time.weight"][0, k], views["time.bias"][0, k] = first.weight[:, seen:].T, first.bias
        for i, layer in enumerate(hidden):
            views[f"hidden.{i}.weight"][0, k] = layer.linear.weight.T
            views[f"hidden.{i}.bias"][0, k] = layer.linear.bias
        views["output.weight"][0, k], views["output.bias"][0, k] = last.weight.T, last.bias
    module.weigh = lambda outputs, time: torch.full(outputs.shape[:2], 0.5)
    x, t = some()
    torch.testing.assert_close(module(x, t), backbone(x[None], t[None])[0])


@KINDS
def test_weights_sum_to_one_and_depend_on_the_time_and_on_the_outputs(kind):
    module, (x, t) = make(kind), some()
    weights = module.weights(x, t)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(30))
    outputs, time = module.outputs(x, t), module.embedding.time(t)
    expected = (module.weigh(outputs, time)[..., None] * outputs).sum(dim=1)
    torch.testing.assert_close(module(x, t), expected)
    assert not torch.allclose(module.weigh(outputs, module.embedding.time(99 - t)), weights)
    assert not torch.allclose(module.weigh(2 * outputs, time), weights)


def test_attention_is_the_softmax_of_a_query_of_t_with_keys_of_the_outputs():
    module, (x, t) = make(AttentionWeighting, attention_width=5), some()
    outputs, time = module.outputs(x, t), module.embedding.time(t)
    query = module.query(time)
    logits = [
        (query * (o @ module.key.weight.T + p)).sum(dim=1) / math.sqrt(5)
        for o, p in zip(outputs.unbind(dim=1), module.branch_keys, strict=True)
    ]
    expected = torch.stack(logits, dim=1).softmax(dim=1)
    torch.testing.assert_close(module.weights(x, t), expected)


def test_messages_carry_the_outputs_of_one_branch_to_the_other():
    module, (x, t) = make(GraphWeighting, state_width=6, rounds=1), some()
    outputs, time = module.outputs(x, t).detach().requires_grad_(), module.embedding.time(t)
    states = module.output(outputs) + module.time(time)[:, None] + module.branch_states
    first, second = states.unbind(dim=1)
    moved = first + (module.own[0](first) + module.messages[0](second)).relu()
    score = module.score(moved)[:, 0]
    received = torch.autograd.grad(score.sum(), outputs)[0][:, 1]
    assert received.abs().sum() > 0
    other = second + (module.own[0](second) + module.messages[0](first)).relu()
    expected = torch.stack([score, module.score(other)[:, 0]], dim=1).softmax(dim=1)
    torch.testing.assert_close(module.weigh(outputs, time), expected)


def test_branches_that_change_places_change_weights():
    module, (x, t) = make(GraphWeighting), some()
    outputs, time = module.outputs(x, t), module.embedding.time(t)
    weights = module.weigh(outputs, time)
    with torch.no_grad():
        module.branch_states.copy_(module.branch_states.flip(0))
    torch.testing.assert_close(module.weigh(outputs.flip(1), time), weights.flip(1))
