"""Categories: how the one-hot coordinates of a table's categories are perturbed and drawn."""

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from dualscale.diffusion.schedules import NoiseLevels, Values
from dualscale.diffusion.spacings import Visited
from dualscale.parts import Choice, OneOf

if TYPE_CHECKING:
    from torch import Tensor

CERTAIN = -1e4  # logit of what is out of the question
LEAST = 1e-12  # probability, where float32 rounds that of a change to 0


class Categories(Choice):
    """Treatment of categories, each a group of K coordinates of which one is 1 and the others 0."""


class Gaussian(Categories):
    """Gaussian noise on the coordinates, as on numbers; the largest one decides in the end."""

    kind: Literal["gaussian"] = "gaussian"


class Discrete(Categories):
    """Discrete noise: a category stays what it is with some probability, or else is replaced.

    The network's outputs, with the `evidence` of what the category has become, are logits of the K
    categories, trained by the cross-entropy of the one in the data (Austin et al. 2021, section
    3.4). A `state` is one-hot, or 0 everywhere.
    """

    def require_start(self, levels: Visited) -> None:
        """Raise a ValueError unless sampling starts at the last timestep, where nothing is kept."""
        last = levels.trained.timesteps - 1
        if levels.t[0] != last:
            raise ValueError(
                f"categories is {self.kind!r}: sampling.spacing must start at the last timestep, "
                f"{last}, not at {levels.t[0]}; leave out its sigma_max"
            )

    @abstractmethod
    def kept(self, levels: NoiseLevels) -> Values:
        """Return the probability that a category is still that of the data, (T,)."""

    @abstractmethod
    def stays(
        self, replaced: "Tensor", chances: "Tensor", kept: "Tensor | float", before: float
    ) -> "Tensor":
        """Return which of the G categories of points stay where the noise rises, (…, n, G).

        Args:
            replaced: which `asked` finds, (…, n, G).
            chances: uniform numbers on (0, 1), (…, n, G).
            kept, before: probability to be that of the data, at the higher level, (…, n, 1) or one
                for all, and at the lower one.
        """

    @abstractmethod
    def drawn(self, replaced: "Tensor", chances: "Tensor", ahead: float) -> "Tensor":
        """Return which of the G categories of points are drawn where it falls, (…, n, G).

        Args:
            replaced, chances: as for `stays`.
            ahead: probability to be that of the data, at the lower level.
        """

    @abstractmethod
    def replacement(self, noise: "Tensor") -> "Tensor":
        """Return states in place of those not kept, from standard normal noise, both (…, K)."""

    @abstractmethod
    def evidence(self, state: "Tensor", kept: "Tensor | float") -> "Tensor":
        """Return the logarithm of q(state | category in the data), up to a constant, (…, K).

        Args:
            state: (…, K).
            kept: at its level, (…, 1) or one for all.
        """

    @abstractmethod
    def asked(self, state: "Tensor") -> "Tensor":
        """Return whether a state (…, K) may hide another category in the data, (…,).

        Only for these the loss asks.
        """

    @abstractmethod
    def posterior(self, state: "Tensor", means: "Tensor", kept: float, ahead: float) -> "Tensor":
        """Return the probabilities of the categories that are drawn at a lower level, (…, K).

        Args:
            state: (…, K).
            means: probabilities of the categories in the data, given all states, (…, K).
            kept: at the state's level.
            ahead: kept, at the lower level.
        """


class Absorbing(Discrete):
    """Mask categories (Austin et al. 2021, appendix A.2.2): a masked one is 0 everywhere.

    At timestep t of T a share of (t + 1) / T of each point's categories is masked, rounded, in
    random order, so that no two are drawn in one step of enough; one that is drawn stays. The loss
    is the mean over the masked ones, as of order-agnostic autoregressive models (Hoogeboom et al.
    2022).
    """

    kind: Literal["absorbing"] = "absorbing"

    def kept(self, levels: NoiseLevels) -> Values:
        return 1 - np.arange(1, levels.timesteps + 1) / levels.timesteps

    def stays(
        self, replaced: "Tensor", chances: "Tensor", kept: "Tensor | float", before: float
    ) -> "Tensor":
        last = chances + replaced  # after all others
        return ~replaced & (ranks(last) < self._known(replaced, kept))

    def drawn(self, replaced: "Tensor", chances: "Tensor", ahead: float) -> "Tensor":
        count = replaced.shape[-1]
        more = self._known(replaced, ahead) - (count - replaced.sum(dim=-1, keepdim=True))
        return replaced & (ranks(chances + ~replaced) < more)

    def _known(self, replaced: "Tensor", kept: "Tensor | float") -> "Tensor | float":
        """Number of categories that are not masked."""
        return (kept * replaced.shape[-1] + 0.5) // 1

    def replacement(self, noise: "Tensor") -> "Tensor":
        return noise.new_zeros(noise.shape)

    def evidence(self, state: "Tensor", kept: "Tensor | float") -> "Tensor":
        known = ~self.asked(state)[..., None]
        return CERTAIN * known * (1 - state)

    def asked(self, state: "Tensor") -> "Tensor":
        return state.sum(dim=-1) == 0

    def posterior(self, state: "Tensor", means: "Tensor", kept: float, ahead: float) -> "Tensor":
        return means


class Multinomial(Discrete):
    """Replace categories by ones of uniform probability (TabDDPM; Hoogeboom et al. 2021).

    At noise level (alpha, sigma) a category is kept with probability alpha² / (alpha² + sigma²).
    The reverse step sums over the categories in the data (Austin et al. 2021, equation 4); since
    the network's outputs come without the evidence, that is Hoogeboom et al.'s equation 13.
    """

    kind: Literal["multinomial"] = "multinomial"

    def kept(self, levels: NoiseLevels) -> Values:
        return levels.alpha**2 / (levels.alpha**2 + levels.sigma**2)

    def stays(
        self, replaced: "Tensor", chances: "Tensor", kept: "Tensor | float", before: float
    ) -> "Tensor":
        return chances < kept / before

    def drawn(self, replaced: "Tensor", chances: "Tensor", ahead: float) -> "Tensor":
        return replaced

    def replacement(self, noise: "Tensor") -> "Tensor":
        place = noise.argmax(dim=-1, keepdim=True)
        return noise.new_zeros(noise.shape).scatter_(-1, place, 1.0)

    def evidence(self, state: "Tensor", kept: "Tensor | float") -> "Tensor":
        return (kept * state + (1 - kept) / state.shape[-1]).clamp(min=LEAST).log()

    def asked(self, state: "Tensor") -> "Tensor":
        return state[..., 0] >= 0

    def posterior(self, state: "Tensor", means: "Tensor", kept: float, ahead: float) -> "Tensor":
        count = state.shape[-1]
        step = kept / ahead
        onto = step * state + (1 - step) / count  # q(state | category at the lower level)
        ratio = means / self.evidence(state, kept).exp()
        before = ahead * ratio + (1 - ahead) / count * ratio.sum(dim=-1, keepdim=True)
        found = onto * before
        return found / found.sum(dim=-1, keepdim=True)


AnyCategories = Annotated[Categories, OneOf()]


def ranks(values: "Tensor") -> "Tensor":
    """Return the place of each number among those of its row, in rising order from 0, (…, n, G)."""
    return values.argsort(dim=-1).argsort(dim=-1)


def uniform(normal: "Tensor") -> "Tensor":
    """Return uniform numbers on (0, 1) from standard normal ones."""
    return (normal / math.sqrt(2)).erf() / 2 + 0.5
