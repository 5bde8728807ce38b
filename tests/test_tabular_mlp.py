"""TabDDPM's network."""

import torch
from torch.nn.functional import linear, silu

from dualscale.networks.systems.tabular_mlp import TabularMLP


def test_it_is_a_plain_mlp_on_x_plus_an_embedding_of_t():
    module = TabularMLP(3, 100, layers=[8, 6])
    p = dict(module.named_parameters())
    x, t = torch.randn(20, 3), torch.randint(0, 100, (20,))

    def layer(name, h):
        return linear(h, p[f"{name}.weight"], p[f"{name}.bias"])

    time = layer("time.2", silu(layer("time.0", module.embedding.times[t])))
    h = layer("first", x) + time
    for hidden in ("hidden.0", "hidden.2"):
        h = layer(hidden, h).relu()
    torch.testing.assert_close(module(x, t), layer("last", h))
