"""A multiscale deep equilibrium model (Bai et al. 2020): two scales at a common fixed point."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from dualscale.networks.settings import Width
from dualscale.networks.systems.embedding import Embedding
from dualscale.networks.systems.settings import PAPER, Count, Sinusoids, checked
from dualscale.parts import SMALLEST

Tolerance = Annotated[float, Field(gt=0, lt=1)]
Map = Callable[[Tensor], Tensor]
"""Function of states (n, D) to states (n, D), point by point."""
MEMORY = 5
"""Number of earlier iterates that the next one is made of."""
RIDGE = 1e-6
"""Added to the diagonal of residuals' products, relative to the largest."""


def fixed_point(f: Map, z: Tensor, most: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Solve z = f(z) for every point by Anderson acceleration (Walker & Ni 2011, equation 2.1).

    The next z is the combination of the last f(z) whose residuals f(z) - z, combined likewise, are
    least. A point whose |f(z) - z| / |f(z)| is within the tolerance stays as it is. On a CPU,
    iteration ends when all do; on a GPU, where asking would make the host wait, it goes on, and the
    result is the same.

    Args:
        z: initial states (n, D).
        most: largest number of evaluations of f.
        tolerance: of the relative residual.

    Returns:
        For every point the iterate with the smallest relative residual, (n, D), and the number of
        evaluations that it took to come within the tolerance, or `most`, (n,).
    """
    best, smallest = z, z.new_full((len(z), 1), torch.inf)
    needed = torch.zeros_like(smallest, dtype=torch.int64)
    images: list[Tensor] = []
    residuals: list[Tensor] = []
    for k in range(most):
        image = f(z)
        images, residuals = [*images[1 - MEMORY :], image], [*residuals[1 - MEMORY :], image - z]
        length = image.norm(dim=1, keepdim=True)
        relative = residuals[-1].norm(dim=1, keepdim=True) / (length + 1e-8)
        active = smallest > tolerance
        needed += active
        better = active & (relative < smallest)
        best, smallest = torch.where(better, z, best), torch.where(better, relative, smallest)
        if k == most - 1 or (not z.is_cuda and bool((smallest <= tolerance).all())):
            break
        shares = least_combination(torch.stack(residuals, dim=1))
        z = (shares[..., None] * torch.stack(images, dim=1)).sum(dim=1)
    return best, needed[:, 0]


def least_combination(vectors: Tensor) -> Tensor:
    """Factors (n, k), of sum 1, with which vectors (n, k, D) add up to the shortest vector.

    They are proportional to the solution of (V Vᵀ + ridge) a = 1, here by Gauss-Jordan elimination:
    library routines may make the host wait for a GPU.
    """
    products = vectors @ vectors.mT
    largest = products.diagonal(dim1=1, dim2=2).amax(dim=1)[:, None, None]
    ridge = RIDGE * torch.eye(vectors.shape[1], device=vectors.device, dtype=vectors.dtype)
    system = products / largest.clamp_min(SMALLEST) + ridge
    rows = torch.cat([system, torch.ones_like(system[..., :1])], dim=2)
    for i in range(vectors.shape[1]):
        row = rows[:, i : i + 1] / rows[:, i : i + 1, i : i + 1]
        rows = rows - rows[..., i : i + 1] * row
        rows[:, i : i + 1] = row
    return rows[..., -1] / rows[..., -1].sum(dim=1, keepdim=True)


class Implicit(torch.autograd.Function):
    """The value at a fixed point, with the gradient of the implicit function theorem.

    For z = f(z, θ), the gradient y with respect to f's value solves y = y ∂f/∂z + (given gradient).
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, pull_back: Map, most: int, tolerance: float) -> Tensor:
        """Return the value (n, D).

        Args:
            pull_back: y (n, D) to y ∂f/∂z (n, D).
            most, tolerance: of the linear fixed point.
        """
        ctx.solve = lambda grad: fixed_point(
            lambda y: pull_back(y) + grad, torch.zeros_like(grad), most, tolerance
        )[0]
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        return ctx.solve(grad), None, None, None


class Scale(nn.Module):
    """Residual block of one scale: to five times its width and back, with layer norms.

    h = LN(Linear(ReLU(LN(Linear(z)))) + injection),  LN(ReLU(z + h)).
    """

    def __init__(self, width: int, expansion: int = 5):
        super().__init__()
        inner = expansion * width
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        with torch.no_grad():
            self.down.weight.mul_(0.1)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in (inner, width, width))

    def forward(self, z: Tensor, injection: Tensor | float) -> Tensor:
        first, second, third = self.norms
        h = second(self.down(first(self.up(z)).relu()) + injection)
        return third((z + h).relu())


class DeepEquilibrium(nn.Module):
    """Network whose hidden state, of a wide and a narrow scale, is a fixed point.

    Each scale goes through its residual block, the wide one with the input's injection; then each
    takes up the other through a linear layer and a layer norm. Starts from 0.

    Args:
        dimensions: d.
        timesteps: T.
        wide, narrow: widths of the two scales.
        hidden: width of the layers before and after the fixed point.
        most, most_backward: largest number of evaluations of f, and of products with its Jacobian.
        tolerance: of the relative residual.
        tolerance_backward: of that of a gradient, in training; likelihoods need better ones.
        features: of the sinusoids.
    """

    @checked
    def __init__(
        self,
        dimensions: int,
        timesteps: int,
        wide: Width = 86,
        narrow: Width = 68,
        hidden: Width = 256,
        most: Count = 18,
        most_backward: Count = 20,
        tolerance: Tolerance = 0.01,
        tolerance_backward: Tolerance = 0.1,
        features: Sinusoids = PAPER,
    ):
        super().__init__()
        self.widths, self.most, self.tolerance = [wide, narrow], most, tolerance
        self.most_backward, self.tolerance_backward = most_backward, tolerance_backward
        self.embedding = Embedding(timesteps, features)
        inputs = (1 + dimensions) * self.embedding.size
        self.before = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, wide))
        self.scales = nn.ModuleList(Scale(width) for width in self.widths)
        self.others = nn.ModuleList([nn.Linear(narrow, wide), nn.Linear(wide, narrow)])
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in self.widths)
        self.after = nn.Sequential(
            nn.Linear(wide + narrow, hidden), nn.ReLU(), nn.Linear(hidden, dimensions)
        )

    def step(self, z: Tensor, injection: Tensor) -> Tensor:
        """The function f whose fixed point is sought, (n, D) to (n, D)."""
        parts = z.split(self.widths, dim=1)
        blocks = zip(self.scales, parts, (injection, 0.0), strict=True)
        wide, narrow = (scale(part, added) for scale, part, added in blocks)
        first, second = self.others
        fused = wide + first(narrow), narrow + second(wide)
        return torch.cat([norm(part) for norm, part in zip(self.norms, fused, strict=True)], dim=1)

    def injection(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the input to the wide scale from x (n, d) and t (n,), (n, its width)."""
        return self.before(self.embedding(x, t))

    @torch.no_grad()
    def solve(self, injection: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fixed point, (n, D), and the evaluations that it took, (n,)."""
        start = injection.new_zeros(len(injection), sum(self.widths))
        return fixed_point(lambda z: self.step(z, injection), start, self.most, self.tolerance)

    def depth(self, x: Tensor, t: Tensor) -> Tensor:
        """Evaluations of f that the fixed point of x (n, d) at timesteps t (n,) takes, (n,)."""
        return self.solve(self.injection(x, t))[1]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map x (n, d) and integer timesteps t (n,) in 0 … T-1 to (n, d)."""
        injection = self.injection(x, t)
        z = self.solve(injection)[0]
        if not torch.is_grad_enabled():
            return self.after(self.step(z, injection))
        z.requires_grad_()
        value = self.step(z, injection)

        def pull_back(y: Tensor) -> Tensor:
            return torch.autograd.grad(value, z, y, retain_graph=True)[0]

        tolerance = self.tolerance_backward if self.training else self.tolerance
        return self.after(Implicit.apply(value, pull_back, self.most_backward, tolerance))
