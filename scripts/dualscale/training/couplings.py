"""Couplings: which noise each point of a batch is perturbed with in training."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from dualscale.parts import Choice, OneOf

if TYPE_CHECKING:
    from torch import Tensor

Pair = Callable[["Tensor", "Tensor"], "Tensor"]
"""Noise of every point, from indices of points (…, n) and noise (…, n, d), all on the CPU."""


class Coupling(Choice):
    """Joint distribution of the points and the noise of a batch."""

    @abstractmethod
    def over(self, data: "Tensor") -> Pair:
        """Return the function that pairs points of the data (N, d) with noise, batch by batch."""


class Independent(Coupling):
    """Noise that is independent of the points, as in diffusion."""

    kind: Literal["independent"] = "independent"

    def over(self, data: "Tensor") -> Pair:
        return lambda points, noise: noise


class OptimalTransport(Coupling):
    """Noise that is matched with the points of its batch for the least sum of squared distances.

    Minibatch optimal transport straightens the paths of flow matching (Pooladian et al. 2023,
    section 3; Tong et al. 2024, section 3.3). Both marginals stay, but noise and points depend on
    each other: sample with an ODE.
    """

    kind: Literal["optimal_transport"] = "optimal_transport"

    def over(self, data: "Tensor") -> Pair:
        import torch  # here, since planning a workflow loads this module and not PyTorch
        from scipy.optimize import linear_sum_assignment

        on_cpu = data.cpu()

        def pair(points: "Tensor", noise: "Tensor") -> "Tensor":
            # |x - e|² = |x|² + |e|² - 2 x e, of which a matching changes the last term alone.
            costs = -np.matmul(on_cpu[points].numpy(), noise.mT.numpy())
            batches = costs.reshape(-1, *costs.shape[-2:])
            order = np.stack([linear_sum_assignment(cost)[1] for cost in batches])
            rows = torch.from_numpy(order).view(points.shape)
            return noise.take_along_dim(rows[..., None], dim=-2)

        return pair


AnyCoupling = Annotated[Coupling, OneOf()]
