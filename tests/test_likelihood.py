import math

import numpy as np
import torch
from test_backbone import make

from dualscale.diffusion.likelihood import log_density, noise_and_jacobian
from dualscale.diffusion.schedules import Linear

LEVELS = Linear().levels()
PRIOR = np.zeros(2), np.eye(2)


def gaussian_noise(width):
    """E[eps | x_t] for data from N(0, width² I)."""
    alpha, sigma = LEVELS.alpha.tolist(), LEVELS.sigma.tolist()
    return lambda x, t: sigma[t] * x / (alpha[t] ** 2 * width**2 + sigma[t] ** 2)


def test_of_gaussian_data_is_the_gaussian():
    # Unit variance is preserved at all noise levels, so the prior N(0, I) is exact.
    x = torch.randn(50, 2, dtype=torch.float64)
    expected = -0.5 * x.square().sum(1) - math.log(2 * math.pi)
    got = log_density(gaussian_noise(1.0), LEVELS, PRIOR, x)
    torch.testing.assert_close(got, expected, rtol=0, atol=0.02)


def test_integrates_to_one_for_a_network_that_knows_nothing():
    backbone = make("learned")
    grid = torch.linspace(-9, 9, 121)
    x = torch.cartesian_prod(grid, grid)
    density = log_density(lambda x, t: backbone(x[None], t)[0], LEVELS, PRIOR, x).exp()
    cell = float(grid[1] - grid[0]) ** 2
    assert abs(float(density.sum()) * cell - 1) < 0.01


def test_jacobian_is_that_of_finite_differences():
    def noise(x, t):
        return torch.stack([x[:, 0] ** 2 * x[:, 1], x[:, 1].sin() + x[:, 0]], dim=1)

    y = torch.randn(6, 2, dtype=torch.float64)
    jacobian = noise_and_jacobian(noise, y, 0.7, 0)[1]
    for j in range(2):
        step = 1e-6 * torch.eye(2, dtype=torch.float64)[j]
        slope = (noise(0.7 * (y + step), 0) - noise(0.7 * (y - step), 0)) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, j], slope, atol=1e-6)
