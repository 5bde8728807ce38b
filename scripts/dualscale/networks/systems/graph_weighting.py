"""Messages between branches: a weighting that the paper leaves to future work (section 7)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from dualscale.networks.settings import Width
from dualscale.networks.systems.settings import Count, checked
from dualscale.networks.systems.two_scales import TwoScales


class GraphWeighting(TwoScales):
    """Branches weighted by messages that they exchange (Gilmer et al. 2017, equations 1 to 3).

        s_b = W_o o_b + W_t e(t) + p_b,
        s_b <- s_b + ReLU(A s_b + C sum of s_c over the other branches c), `rounds` times,
        w = softmax_b(v · s_b),  F = sum_b w_b o_b,

    with o_b the branches' outputs and a learned p_b that tells them apart.

    Args:
        state_width: of s_b.
        rounds: of messages, each with weights of its own.
        settings: those of `TwoScales`.
    """

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        state_width: Width = 64,
        rounds: Count = 2,
        **settings: Any,
    ):
        super().__init__(dimensions, timesteps, **settings)
        self.output = nn.Linear(dimensions, state_width, bias=False)
        self.time = nn.Linear(self.embedding.size, state_width)
        bound = 1 / math.sqrt(dimensions)
        self.branch_states = nn.Parameter(torch.empty(len(self.branches), state_width))
        nn.init.uniform_(self.branch_states, -bound, bound)
        self.own = nn.ModuleList(nn.Linear(state_width, state_width) for _ in range(rounds))
        self.messages = nn.ModuleList(
            nn.Linear(state_width, state_width, bias=False) for _ in range(rounds)
        )
        self.score = nn.Linear(state_width, 1, bias=False)

    def weigh(self, outputs: Tensor, time: Tensor) -> Tensor:
        states = self.output(outputs) + self.time(time)[:, None] + self.branch_states
        for own, message in zip(self.own, self.messages, strict=True):
            others = states.sum(dim=1, keepdim=True) - states
            states = states + (own(states) + message(others)).relu()
        return self.score(states)[..., 0].softmax(dim=-1)
