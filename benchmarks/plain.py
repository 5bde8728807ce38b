"""Plain PyTorch implementation of the paper: modules, a DataLoader and .item() in every step.

A baseline for the benchmarks that shares no code with the project.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset


class Sinusoids(nn.Module):
    """Sinusoidal embedding (n,) to (n, width): sines, then cosines."""

    def __init__(self, width=128, scale=1.0):
        super().__init__()
        self.scale = scale
        self.register_buffer("frequencies", torch.logspace(0, -4, width // 2))

    def forward(self, x):
        angle = self.scale * x[:, None] * self.frequencies
        return torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)


class Residual(nn.Module):
    def __init__(self, width=256):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + self.linear(torch.relu(x))


class Branch(nn.Module):
    def __init__(self, coordinates, embedding=128, width=256):
        super().__init__()
        self.inputs = nn.ModuleList(Sinusoids(embedding, 25.0) for _ in range(coordinates))
        self.network = nn.Sequential(
            nn.Linear(embedding * (coordinates + 1), width),
            *(Residual(width) for _ in range(3)),
            nn.ReLU(),
            nn.Linear(width, 2),
        )

    def forward(self, x, time):
        features = [embed(x[:, i]) for i, embed in enumerate(self.inputs)]
        return self.network(torch.cat([*features, time], dim=1))


class Baseline(nn.Module):
    def __init__(self):
        super().__init__()
        self.time, self.branch = Sinusoids(), Branch(2)

    def forward(self, x, t):
        return self.branch(x, self.time(t.float()))


class DualScale(nn.Module):
    """The paper's network; `hidden`: the gating network's widths, or None for equal weights."""

    def __init__(self, hidden):
        super().__init__()
        self.time, self.upscale = Sinusoids(), nn.Linear(2, 4)
        self.first, self.second = Branch(2), Branch(4)
        self.weighting = None
        if hidden is not None:
            widths, layers = [128, *hidden], []
            for inputs, outputs in pairwise(widths):
                layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
            self.weighting = nn.Sequential(*layers, nn.Linear(widths[-1], 2), nn.Softmax(dim=1))

    def forward(self, x, t):
        time = self.time(t.float())
        first, second = self.first(x, time), self.second(self.upscale(x), time)
        if self.weighting is None:
            return 0.5 * first + 0.5 * second
        weights = self.weighting(time)
        return weights[:, :1] * first + weights[:, 1:] * second


HIDDEN = {"fixed": None, "adaptive": [256], "weight_analysis": [256], "improved": [256, 128]}


def make_model(variant):
    return Baseline() if variant == "baseline" else DualScale(HIDDEN[variant])


def schedule(device):
    beta = torch.linspace(1e-4, 0.02, 100, device=device)
    return beta, torch.cumprod(1 - beta, dim=0)


def train(model, data, steps, device, batch_size=256):
    """Train with the paper's objective, rates annealed over 10,000 steps; return the EMA model."""
    loader = DataLoader(TensorDataset(data), batch_size=batch_size, shuffle=True)
    ema = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-4)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10_000)
    alpha_bar = schedule(device)[1]
    step, losses = 0, []
    while step < steps:
        for (batch,) in loader:
            if step == steps:
                break
            x_0 = batch.to(device)
            noise = torch.randn_like(x_0)
            t = torch.randint(0, 100, (len(x_0),), device=device)
            mixed = alpha_bar[t, None].sqrt() * x_0 + (1 - alpha_bar[t, None]).sqrt() * noise
            loss = functional.mse_loss(model(mixed, t), noise)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            annealing.step()
            if step % 10 == 0:
                ema.update_parameters(model)
            losses.append(loss.item())
            step += 1
    return ema.module


@torch.no_grad()
def sample(model, points, device):
    beta, alpha_bar = schedule(device)
    x = torch.randn(points, 2, device=device)
    for t in reversed(range(100)):
        noise = model(x, torch.full((points,), t, device=device))
        clean = (x - (1 - alpha_bar[t]).sqrt() * noise) / alpha_bar[t].sqrt()
        before = alpha_bar[t - 1] if t else torch.ones((), device=device)
        x = (before.sqrt() * beta[t] * clean + (1 - beta[t]).sqrt() * (1 - before) * x) / (
            1 - alpha_bar[t]
        )
        if t:
            variance = beta[t] * (1 - before) / (1 - alpha_bar[t])
            x = x + variance.sqrt() * torch.randn_like(x)
    return x
