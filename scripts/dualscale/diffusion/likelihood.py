"""Exact log-density of a model's probability-flow ODE, discretised as its sampler does.

The flow is integrated in y = x / alpha over s = sigma / alpha, where dy/ds = eps_theta(x, t) (Song
et al. 2021, equation 13; DDIM's variables), by Heun's method from one timestep to the next. The
discrete map F from the lowest noise level to the highest defines a density by change of variables,
p(x) = prior(F(x)) |det dF/dx|, which integrates to one however coarse the steps are. It is the
density of the ODE sampler's samples, not of the ancestral sampler's.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from dualscale.diffusion.schedules import NoiseLevels, Values

Noise = Callable[[Tensor, int], Tensor]
"""Estimate of E[eps | x_t] from x_t (n, d) and a timestep, differentiable by autograd."""


def noise_and_jacobian(noise: Noise, y: Tensor, alpha: float, t: int) -> tuple[Tensor, Tensor]:
    """Return eps at x = alpha y, (n, d), and its Jacobian with respect to y, (n, d, d)."""
    y = y.detach().requires_grad_()
    eps = noise(alpha * y, t)
    rows = [
        torch.autograd.grad(eps[:, j].sum(), y, retain_graph=j + 1 < y.shape[1])[0]
        for j in range(y.shape[1])
    ]
    return eps.detach(), torch.stack(rows, dim=1)


def log_density(
    noise: Noise, levels: NoiseLevels, prior: tuple[Values, Values], x: Tensor
) -> Tensor:
    """Log-density in nats of the discretised flow at points x (n, d) at t = 0, (n,), on the CPU.

    Args:
        prior: mean (d,) and covariance (d, d) of the Gaussian at t = T - 1.
    """
    alpha, sigma = levels.alpha.tolist(), levels.sigma.tolist()
    s = [b / a for a, b in zip(alpha, sigma, strict=True)]
    d = x.shape[1]
    identity = torch.eye(d, dtype=x.dtype, device=x.device)
    y, jacobian = x / alpha[0], identity.expand(len(x), d, d) / alpha[0]
    for t in range(levels.timesteps - 1):
        h = s[t + 1] - s[t]
        eps, slope = noise_and_jacobian(noise, y, alpha[t], t)
        ahead, slope_ahead = noise_and_jacobian(noise, y + h * eps, alpha[t + 1], t + 1)
        y = y + h / 2 * (eps + ahead)
        step = identity + h / 2 * (slope + slope_ahead @ (identity + h * slope))
        jacobian = step @ jacobian
    z = alpha[-1] * y
    volume = torch.linalg.slogdet(alpha[-1] * jacobian).logabsdet
    mean, covariance = map(torch.from_numpy, prior)
    density: Tensor = volume.cpu() + MultivariateNormal(mean, covariance).log_prob(z.cpu().double())
    return density
