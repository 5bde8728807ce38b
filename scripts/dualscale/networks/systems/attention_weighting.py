"""Attention over the branches: a weighting that the paper leaves to future work (section 7)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from dualscale.networks.settings import Width
from dualscale.networks.systems.settings import checked
from dualscale.networks.systems.two_scales import TwoScales


class AttentionWeighting(TwoScales):
    """Branches weighted by one query of t over their outputs o_b (Vaswani et al. 2017, equation 1).

        q = W_q e(t),  k_b = W_k o_b + p_b,  w = softmax_b(q · k_b / sqrt(h)),  F = sum_b w_b o_b,

    with a learned p_b that tells the branches apart. The outputs themselves are the values.

    Args:
        attention_width: h.
        settings: those of `TwoScales`.
    """

    @checked
    def __init__(
        self, dimensions: int, timesteps: int, attention_width: Width = 256, **settings: Any
    ):
        super().__init__(dimensions, timesteps, **settings)
        self.query = nn.Linear(self.embedding.size, attention_width)
        self.key = nn.Linear(dimensions, attention_width, bias=False)
        bound = 1 / math.sqrt(dimensions)
        self.branch_keys = nn.Parameter(torch.empty(len(self.branches), attention_width))
        nn.init.uniform_(self.branch_keys, -bound, bound)

    def weigh(self, outputs: Tensor, time: Tensor) -> Tensor:
        keys = self.key(outputs) + self.branch_keys
        logits = (keys * self.query(time)[:, None]).sum(dim=-1) / math.sqrt(keys.shape[-1])
        return logits.softmax(dim=-1)
