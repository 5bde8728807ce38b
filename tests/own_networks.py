"""User-defined networks for the tests, with random draws and buffers."""

import torch
from torch import Tensor, nn


class Plain(nn.Module):
    """Network with one hidden layer; subclasses add what they are named after."""

    def __init__(self, dimensions: int, timesteps: int, width: int = 16, seed: int = 0):
        super().__init__()
        self.timesteps = timesteps
        self.first = nn.Linear(dimensions + 1, width)
        self.last = nn.Linear(width, dimensions)

    def hidden(self, h: Tensor) -> Tensor:
        return h

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        time = t[:, None] / self.timesteps
        return self.last(self.hidden(self.first(torch.cat([x, time], dim=1)).relu()))


class Dropout(Plain):
    def __init__(self, dimensions: int, timesteps: int, **settings: int):
        super().__init__(dimensions, timesteps, **settings)
        self.dropout = nn.Dropout(0.3)

    def hidden(self, h: Tensor) -> Tensor:
        return self.dropout(h)


class AlwaysDropout(Plain):
    """Network with dropout in evaluation mode too."""

    def hidden(self, h: Tensor) -> Tensor:
        return nn.functional.dropout(h, 0.3)


class Normalised(Plain):
    def __init__(self, dimensions: int, timesteps: int, **settings: int):
        super().__init__(dimensions, timesteps, **settings)
        self.norm = nn.BatchNorm1d(self.first.out_features)

    def hidden(self, h: Tensor) -> Tensor:
        return self.norm(h)


class Counting(Plain):
    """Network that counts its training steps, as integer and float; its mask holds infinities."""

    steps: Tensor
    steps_as_floats: Tensor
    mask: Tensor

    def __init__(self, dimensions: int, timesteps: int):
        super().__init__(dimensions, timesteps)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("steps_as_floats", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def hidden(self, h: Tensor) -> Tensor:
        if self.training:
            self.steps += 1
            self.steps_as_floats = self.steps_as_floats + 1
        return h


class Twofold(Plain):
    """Network that trains on its errors and again on their double."""

    def errors(self, x_0, t, noise, make):
        x, target = make(x_0, t, noise)
        errors = self(x, t) - target
        return torch.stack([errors, 2 * errors], dim=1)


class Reading(Plain):
    """Network whose host reads a number from the device."""

    def hidden(self, h: Tensor) -> Tensor:
        return h if h.abs().max() < 1e6 else h.clamp(-1e6, 1e6)
