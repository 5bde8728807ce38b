"""Each layer's gradient by hand is that of autograd through its own forward pass."""

import pytest
import torch

from dualscale.networks.branches import Coordinates, FirstLayer, UpProjection
from dualscale.networks.features import (
    LookUp,
    Sinusoids,
    TimeTable,
    first_rows,
    make_features,
    sums_by_timestep,
)
from dualscale.networks.layers import (
    LeakyReLU,
    Linear,
    Parameters,
    ReLU,
    Residual,
    Sigmoid,
    Softmax,
)
from dualscale.networks.settings import Branch, Learned, Size
from dualscale.networks.weightings import ConstantWeights, GatingNetwork, Mixture

N, T, E, D, WIDTH, S = 7, 10, 8, 3, 6, 2
SIZE = Size(width=WIDTH, hidden_layers=1, embedding=E, highest_frequency=3.0)
LOCAL = Branch(upscaled_dimensions=5, embedded_dimensions=4)


def parameters_of(**shapes):
    """Random parameters, and zeros in the place of their gradients; "." is written as "__"."""
    named = {name.replace("__", "."): shape for name, shape in shapes.items()}
    values = {name: torch.randn(shape).requires_grad_() for name, shape in named.items()}
    gradients = {name: torch.zeros_like(value).detach() for name, value in values.items()}
    return Parameters(values), Parameters(values, gradients)


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def compare(plain, training, x, parameters=None, back="backward"):
    """Compare output, gradient of x and gradients of the parameters with autograd's.

    Args:
        plain, training: functions of x: of a layer without buffers, and of one that trains.
        x: floating-point input, or None.
    """
    forward, layer = training
    values = {} if parameters is None else dict(parameters.values)
    seen = None if x is None else x.clone().requires_grad_()
    expected = plain(seen)
    weight = torch.randn_like(expected)
    leaves = [*values.values(), *([seen] if back == "backward" else [])]
    wanted = torch.autograd.grad((expected * weight).sum(), leaves, allow_unused=True)
    with torch.no_grad():
        forward(None if x is None else torch.randn_like(x))  # leaves no trace
        close(forward(None if x is None else x.clone()).clone(), expected.detach())
        got = getattr(layer, back)(weight.clone())
    if back == "backward":
        close(got, wanted[-1])
    for name, want in zip(values, wanted, strict=False):
        found = parameters.gradients[name]
        close(found, torch.zeros_like(found) if want is None else want)


@pytest.mark.parametrize("name", ["leaky_relu", "relu_by_slope", "softmax", "sigmoid", "relu"])
def test_functions(name):
    make = {
        "leaky_relu": lambda train: LeakyReLU(0.2, train),
        "relu_by_slope": lambda train: LeakyReLU(0.0, train),
        "softmax": Softmax,
        "sigmoid": Sigmoid,
        "relu": lambda train: ReLU(torch.zeros(S, N, 4) if train else None),
    }[name]
    layer = make(True)
    x = torch.randn(S, N, 1 if name == "sigmoid" else 4)
    compare(make(False).forward, (layer.forward, layer), x)


@pytest.mark.parametrize("kind", [Linear, Residual])
def test_linear_layers(kind):
    plain, training = parameters_of(a__weight=(S, WIDTH, WIDTH), a__bias=(S, 1, WIDTH))
    layer = kind(training, "a", torch.zeros(S, N, WIDTH), torch.zeros(S, N, WIDTH))
    compare(kind(plain, "a").forward, (layer.forward, layer), torch.randn(S, N, WIDTH), training)


def test_up_projection_leaves_unseen_columns_alone():
    plain, training = parameters_of(a__weight=(S, D, 5), a__bias=(S, 1, 5))
    layer = UpProjection(training, "a", 4)
    compare(
        UpProjection(plain, "a", 4).forward,
        (layer.forward, layer),
        torch.randn(S, N, D),
        training,
        "learn",
    )
    assert (training.gradients["a.weight"][..., 4:] == 0).all()


def test_look_up():
    first, t = first_rows(S, 2, T, torch.device("cpu")), torch.randint(0, T, (S, N))
    layer, plain = LookUp(first, True), LookUp(first, False)
    tables = torch.randn(S * 2, T, WIDTH)
    compare(lambda x: plain.forward(x, t), (lambda x: layer.forward(x, t), layer), tables)
    found = plain.forward(tables, t)
    close(found[1, 0, 3], tables[2, t[1, 3]])


def test_sums_by_timestep_are_those_that_the_look_up_adds():
    t, grad = torch.randint(0, T, (S, N)), torch.randn(S, 2, N, WIDTH)
    layer = LookUp(first_rows(S, 2, T, torch.device("cpu")), True)
    layer.forward(torch.randn(S * 2, T, WIDTH), t)
    sums = sums_by_timestep(grad, t[:, None].expand(-1, 2, -1), T)
    close(sums.flatten(0, 1), layer.backward(grad))


def test_time_table():
    plain, training = parameters_of(time__weight=(S * 2, E, WIDTH), time__bias=(S * 2, 1, WIDTH))
    features, t = torch.randn(T, E), torch.randint(0, T, (S, N))
    layer = TimeTable(training, features, S, torch.zeros(S * 2 * N, WIDTH))
    reference = TimeTable(plain, features, S)
    compare(
        lambda _: reference.forward(t), (lambda _: layer.forward(t), layer), None, training, "learn"
    )


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("damped", [False, True])
def test_sinusoids(learned, damped):
    plain, training = parameters_of(f=(S, 1, E // 2))
    fixed, t = torch.rand(E // 2), torch.randint(0, T, (S, N))
    kept = torch.rand(T, E // 2)
    damping = torch.cat([kept, kept], dim=1) if damped else None
    out = torch.zeros(S, N, D, E)
    if learned:
        reference = Sinusoids(plain.values["f"], damping)
        layer = Sinusoids(plain.values["f"], damping, training.gradients["f"], out)
    else:
        reference, layer = Sinusoids(fixed, damping), Sinusoids(fixed, damping, None, out)
    compare(
        lambda x: reference.forward(x, t),
        (lambda x: layer.forward(x, t), layer),
        torch.randn(S, N, D),
        training if learned else None,
    )


def branch_parameters(frequencies=False, **others):
    learned = {"frequencies__local": (S, 1, E // 2)} if frequencies else {}
    return parameters_of(
        upscale__local__weight=(S, D, 5),
        upscale__local__bias=(S, 1, 5),
        input__local__weight=(S, 4 * E, WIDTH),
        **learned,
        **others,
    )


@pytest.mark.parametrize("frequencies", [False, True])
def test_coordinates_of_a_branch(frequencies):
    plain, training = branch_parameters(frequencies)
    features = make_features(SIZE, T, None, None)
    t, time = torch.randint(0, T, (S, N)), torch.randn(S, N, WIDTH)
    reference = Coordinates("local", LOCAL, plain, features, D)
    layer = Coordinates("local", LOCAL, training, features, D, N)
    compare(
        lambda x: reference.forward(x, t, time),
        (lambda x: layer.forward(x, t, time.clone()), layer),
        torch.randn(S, N, D),
        training,
        "learn",
    )


def test_first_layer():
    plain, training = branch_parameters(
        input__global__weight=(S, D * E, WIDTH),
        time__weight=(S * 2, E, WIDTH),
        time__bias=(S * 2, 1, WIDTH),
    )
    branches, features = {"global": Branch(), "local": LOCAL}, make_features(SIZE, T, None, None)
    t = torch.randint(0, T, (S, N))
    reference = FirstLayer(branches, plain, features, D, S)
    layer = FirstLayer(branches, training, features, D, S, torch.zeros(S * 2, N, WIDTH))
    compare(
        lambda x: reference.forward(x, t),
        (lambda x: layer.forward(x, t), layer),
        torch.randn(S, N, D),
        training,
        "learn",
    )


@pytest.mark.parametrize("inputs", ["t", "x_and_t"])
@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_gating_network(inputs, gate):
    settings = Learned(hidden=[5, 4], gate=gate, inputs=inputs)
    seen, logits = E * (1 + D if inputs == "x_and_t" else 1), 1 if gate == "sigmoid" else 2
    shapes = {}
    for i, (rows, columns) in enumerate([(seen, 5), (5, 4), (4, logits)]):
        shapes |= {f"weighting__{i}__weight": (S, rows, columns)}
        shapes |= {f"weighting__{i}__bias": (S, 1, columns)}
    plain, training = parameters_of(**shapes)
    features, t = make_features(SIZE, T, None, None), torch.randint(0, T, (S, N))
    reference = GatingNetwork(settings, plain, features, S)
    layer = GatingNetwork(settings, training, features, S)
    compare(
        lambda x: reference.forward(x, t),
        (lambda x: layer.forward(x, t), layer),
        torch.randn(S, N, D),
        training,
        "learn",
    )


def test_mixture():
    weights = ConstantWeights(torch.tensor([0.3, 0.7]), S, T)
    layer, reference = Mixture(weights, S, True), Mixture(weights, S, False)
    compare(
        lambda outputs: reference.forward(outputs, None, 0),
        (lambda outputs: layer.forward(outputs, None, 0), layer),
        torch.randn(S * 2, N, D),
    )


def test_a_plain_layer_keeps_nothing_of_its_input():
    plain, _ = parameters_of(a__weight=(S, D, D), a__bias=(S, 1, D))
    layer = Linear(plain, "a")
    layer.forward(torch.randn(S, N, D))
    assert not hasattr(layer, "x")
