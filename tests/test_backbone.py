import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from dualscale.networks.backbone import Backbone
from dualscale.networks.features import Sinusoids
from dualscale.settings import BranchesModel

NETWORK = {"width": 32, "hidden_layers": 3, "embedding": 16}
GLOBAL = {}
LOCAL = {"upscaled_dimensions": 4}
NONE = {"kind": "none"}
LEARNED = {"kind": "learned", "hidden": [24, 12]}


def settings(branches, weighting, **network):
    return BranchesModel(branches=branches, weighting=weighting, network=NETWORK | network)


VARIANTS = {
    "baseline": settings({"global": GLOBAL}, NONE),
    "fixed": settings(
        {"global": GLOBAL, "local": LOCAL},
        {"kind": "fixed", "weights": {"local": 0.3, "global": 0.7}},
    ),
    "learned": settings({"global": GLOBAL, "local": LOCAL}, LEARNED),
    "released": settings(
        {"global": GLOBAL, "local": {"upscaled_dimensions": 4, "embedded_dimensions": 2}},
        LEARNED | {"hidden": [24], "gate": "sigmoid", "negative_slope": 0.0},
    ),
    "of_points": settings({"global": GLOBAL, "local": LOCAL}, LEARNED | {"inputs": "x_and_t"}),
    "learned_frequencies": settings(
        {"global": GLOBAL, "local": LOCAL}, LEARNED, frequencies="learned"
    ),
    "damped": settings({"global": GLOBAL, "local": LOCAL}, LEARNED, damped=True),
    "learned_frequencies_alone": settings({"global": GLOBAL}, NONE, frequencies="learned"),
}
each_variant = pytest.mark.parametrize("name", VARIANTS)


def spaced(size, scale=1.0):
    """Frequencies, from their definition."""
    half = size // 2
    return torch.tensor([scale * 10 ** (-4 * i / (half - 1)) for i in range(half)])


def embed(x, frequencies):
    """Sinusoidal embedding of one number per row, from its definition."""
    angles = [x * frequency for frequency in frequencies]
    return torch.stack([a.sin() for a in angles] + [a.cos() for a in angles], dim=-1)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + self.linear(torch.relu(x))


class Literal(nn.Module):
    """The networks as the paper's equations write them, one module per symbol."""

    def __init__(self, spec, backbone):
        super().__init__()
        network = spec.network
        self.spec, width, embedding = spec, network.width, network.embedding
        values = {n: v[0].detach() for n, v in backbone.named_views(backbone.flat).items()}
        self.branches, self.upscales = nn.ModuleDict(), nn.ModuleDict()
        self.frequencies, self.fixed = nn.ParameterDict(), spaced(embedding, 25.0)
        for index, (name, branch) in enumerate(spec.branches.items()):
            seen = 2
            if branch.upscaled_dimensions:
                self.upscales[name] = nn.Linear(2, branch.upscaled_dimensions)
                fill(self.upscales[name], values, f"upscale.{name}")
                seen = branch.embedded_dimensions or branch.upscaled_dimensions
            if network.frequencies == "learned":
                self.frequencies[name] = nn.Parameter(values[f"frequencies.{name}"][0].clone())
            first = nn.Linear(seen * embedding + embedding, width)
            with torch.no_grad():
                both = torch.cat([values[f"input.{name}.weight"], values["time.weight"][index]])
                first.weight.copy_(both.T)
                first.bias.copy_(values["time.bias"][index, 0])
            hidden = [Residual(width) for _ in range(3)]
            last = nn.Linear(width, 2)
            for layer, block in enumerate(hidden):
                fill(block.linear, values, f"hidden.{layer}", index)
            fill(last, values, "output", index)
            self.branches[name] = nn.Sequential(first, *hidden, nn.ReLU(), last)
        self.weighting = None
        if spec.weighting.kind == "learned":
            inputs = 3 if spec.weighting.inputs == "x_and_t" else 1
            widths = [inputs * embedding, *spec.weighting.hidden]
            widths.append(2 if spec.weighting.gate == "softmax" else 1)
            layers = []
            for layer, sizes in enumerate(pairwise(widths)):
                linear = nn.Linear(*sizes)
                fill(linear, values, f"weighting.{layer}")
                layers += [linear, nn.LeakyReLU(spec.weighting.negative_slope)]
            self.weighting = nn.Sequential(*layers[:-1])

    def forward(self, x, t):
        time = embed(t.to(x.dtype), spaced(self.spec.network.embedding))
        outputs = []
        for name, branch in self.branches.items():
            seen = x
            if name in self.upscales:
                seen = self.upscales[name](x)
                seen = seen[:, : self.spec.branches[name].embedded_dimensions]
            frequencies = self.frequencies.get(name, self.fixed)
            features = [embed(seen[:, i], frequencies) for i in range(seen.shape[1])]
            if self.spec.network.damped:
                kept = torch.exp(-0.5 * (NOISE[t][:, None] * self.fixed) ** 2).repeat(1, 2)
                features = [kept * feature for feature in features]
            outputs.append(branch(torch.cat([*features, time], dim=1)))
        kind = self.spec.weighting.kind
        if kind == "none":
            return outputs[0]
        if kind == "fixed":
            weights = self.spec.weighting.weights
            return sum(
                weights[name] * out for name, out in zip(self.branches, outputs, strict=True)
            )
        inputs = [time]
        if self.spec.weighting.inputs == "x_and_t":
            inputs += [embed(x[:, i], self.fixed) for i in range(2)]
        logits = self.weighting(torch.cat(inputs, dim=1))
        if self.spec.weighting.gate == "sigmoid":
            gate = torch.sigmoid(logits)
            return gate * outputs[0] + (1 - gate) * outputs[1]
        weights = torch.softmax(logits, dim=1)
        return sum(weights[:, i : i + 1] * out for i, out in enumerate(outputs))


def fill(linear, values, name, index=...):
    with torch.no_grad():
        linear.weight.copy_(values[f"{name}.weight"][index].T)
        linear.bias.copy_(values[f"{name}.bias"][index][0])


NOISE = torch.linspace(0, 2, 100)


def make(name, models=1, streams=("0",)):
    backbone = Backbone(VARIANTS[name], 2, 100, models, noise=NOISE)
    backbone.initialise(streams)
    return backbone


@each_variant
def test_predicts_what_the_equations_say(name):
    backbone = make(name)
    x, t = torch.randn(50, 2), torch.randint(0, 100, (50,))
    literal = Literal(VARIANTS[name], backbone)
    torch.testing.assert_close(backbone(x[None], t[None])[0], literal(x, t), rtol=1e-4, atol=1e-5)


@each_variant
def test_has_the_parameters_that_the_equations_need(name):
    backbone = make(name)
    literal = Literal(VARIANTS[name], backbone)
    assert backbone.parameters_per_model == sum(p.numel() for p in literal.parameters())


@each_variant
def test_gradients_are_those_of_the_equations(name):
    backbone = make(name)
    x, t = torch.randn(50, 2), torch.randint(0, 100, (50,))
    literal = Literal(VARIANTS[name], backbone)
    literal(x, t).square().mean().backward()
    ours = torch.autograd.grad(backbone(x[None], t[None]).square().mean(), backbone.views.values())
    # Sums of squares do not depend on the parameters' layout.
    expected = sum(p.grad.square().sum() for p in literal.parameters())
    torch.testing.assert_close(sum(g.square().sum() for g in ours), expected, rtol=1e-4, atol=0)


@each_variant
def test_one_timestep_for_all_points_is_a_timestep_a_point(name):
    backbone = make(name)
    x = torch.randn(1, 30, 2)
    apart = backbone(x, torch.full((1, 30), 7))
    torch.testing.assert_close(backbone(x, 7), apart, rtol=1e-4, atol=1e-5)


@each_variant
def test_a_stack_predicts_what_its_models_predict_alone(name):
    stack = make(name, 3, ("a", "b", "c"))
    x, t = torch.randn(3, 20, 2), torch.randint(0, 100, (3, 20))
    together = stack(x, t)
    for model, stream in enumerate("abc"):
        alone = make(name, 1, (stream,))
        one = alone(x[model : model + 1], t[model : model + 1])[0]
        torch.testing.assert_close(together[model], one, rtol=1e-4, atol=1e-5)


def test_variants_start_their_common_branch_from_the_same_values():
    one, two = make("baseline").views, make("learned").views
    torch.testing.assert_close(one["input.global.weight"], two["input.global.weight"])
    torch.testing.assert_close(one["hidden.1.weight"], two["hidden.1.weight"][:1])


def test_initial_values_fill_pytorchs_default_range():
    views = make("learned").views
    for branch, (name, coordinates) in enumerate({"global": 2, "local": 4}.items()):
        bound = 1 / math.sqrt(coordinates * 16 + 16)
        for value in (views[f"input.{name}.weight"], views["time.weight"][branch]):
            assert 0.95 * bound < value.abs().max() <= bound
            assert value.mean().abs() < 0.1 * bound


def test_weights_of_the_branches_sum_to_one_at_every_timestep():
    for name in ("fixed", "learned", "released"):
        weights = make(name).branch_weights()
        assert weights.shape == (1, 100, 2)
        torch.testing.assert_close(weights.sum(-1), torch.ones(1, 100))


def test_damped_features_are_those_of_the_mean_over_the_noise():
    backbone = make("damped")
    noise = NOISE[7] * torch.randn(100_000)
    x = torch.tensor([0.3, -1.1])
    samples = (x[:, None] + noise)[..., None] * backbone.features.frequencies
    expected = torch.cat([samples.sin().mean(1), samples.cos().mean(1)], dim=-1)
    layer = Sinusoids(backbone.features.frequencies, backbone.features.damping)
    damped = layer.forward(x.view(1, 2, 1), 7)
    torch.testing.assert_close(damped[0], expected, atol=0.02, rtol=0)
