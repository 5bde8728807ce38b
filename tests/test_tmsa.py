"""Time-dependent self-attention over tokens of coordinate and frequency band."""

import pytest
import torch

from dualscale.networks.systems.tmsa import TMSA, TimeDependentAttention

SMALL = {"width": 8, "blocks": 2, "heads": 2, "features": {"embedding": 8}}


def some():
    return torch.randn(20, 2), torch.randint(0, 100, (20,))


def test_attention_is_multi_head_attention_with_a_bias_on_tokens_mixed_with_time():
    layer, x, time = TMSA(3, 8, 2), torch.randn(5, 3, 8), torch.randn(5, 8)
    torch.nn.init.normal_(layer.bias)
    mixed = x @ layer.space.weight.T + layer.space.bias + (time @ layer.time.weight.T)[:, None]
    q, k, v = (each.view(5, 3, 2, 4).transpose(1, 2) for each in mixed.split(8, dim=-1))
    attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=layer.bias)
    expected = layer.out(attended.transpose(1, 2).reshape(5, 3, 8))
    torch.testing.assert_close(layer(x, time), expected)


@pytest.mark.parametrize("part", [0, 2], ids=["queries", "values"])
def test_queries_alone_and_values_alone_depend_on_the_time(part):
    layer, x = TMSA(3, 8, 2), torch.randn(5, 3, 8)
    with torch.no_grad():
        rows = layer.time.weight.view(3, 8, 8)
        kept = rows[part].clone()
        rows.zero_()
        rows[part] = kept
    assert not torch.allclose(layer(x, torch.ones(5, 8)), layer(x, -torch.ones(5, 8)))


def test_a_token_is_of_one_coordinate_and_one_band_of_frequencies():
    module = TimeDependentAttention(2, 100, bands=2, **SMALL)
    x = torch.randn(20, 2)
    moved = x + torch.tensor([0.0, 1.0])
    same = (module.tokens(x) == module.tokens(moved)).all(dim=2).all(dim=0)
    assert same.tolist() == [True, True, False, False]
    module.embedding.frequencies[:2] = 0  # of four, the higher ones come first
    before, after = module.tokens(x), module.tokens(moved)
    assert (before == after).all(dim=2).all(dim=0).tolist() == [True, True, True, False]


def test_it_predicts_nothing_before_training_and_then_depends_on_t():
    module, (x, t) = TimeDependentAttention(2, 100, **SMALL), some()
    assert not module(x, t).any()
    torch.nn.init.normal_(module.last.weight)
    assert not torch.allclose(module(x, t), module(x, 99 - t))


def test_points_of_a_batch_do_not_attend_to_each_other():
    module, (x, t) = TimeDependentAttention(2, 100, **SMALL), some()
    torch.nn.init.normal_(module.last.weight)
    torch.testing.assert_close(module(x, t)[:7], module(x[:7], t[:7]))
