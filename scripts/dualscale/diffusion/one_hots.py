"""One-hot coordinates of categories that diffuse by discrete noise, beside numbers."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from dualscale.diffusion.categories import Discrete, uniform
from dualscale.diffusion.schedules import NoiseLevels


class OneHots:
    """Groups of coordinates, each of a category, among the d coordinates of points.

    Args:
        process: the noise.
        groups: coordinates of each group, in rising order, two or more.
        shift, scale: of all d coordinates, with which 0 and 1 become the model's units.

    Attributes:
        mask: of the coordinates in a group, (d,).
        kept: probability that a category is that of the data, at every timestep, (T,).
        terms: number of terms of a point's loss, one for each group and each other coordinate.
    """

    def __init__(
        self,
        process: Discrete,
        groups: Sequence[slice],
        shift: Tensor,
        scale: Tensor,
        levels: NoiseLevels,
    ):
        self.process, self.groups = process, groups
        self.shift, self.scale = shift, scale
        inside = sum(group.stop - group.start for group in groups)
        self.terms = len(shift) - inside + len(groups)
        self.mask = torch.zeros(len(shift), dtype=torch.bool, device=shift.device)
        for group in groups:
            self.mask[group] = True
        self.kept = torch.from_numpy(process.kept(levels)).float().to(shift.device)
        self.probabilities = [*process.kept(levels).tolist(), 1.0]  # the last is timestep -1

    def from_units(self, y: Tensor) -> Tensor:
        """Return points in the model's units (…, d) with the groups as probabilities."""
        return torch.where(self.mask, self.shift + self.scale * y, y)

    def flags(self, y: Tensor) -> Tensor:
        """Return points in the model's units (…, d) with the groups as 0 and 1, exactly."""
        return torch.where(self.mask, self.from_units(y).round(), y)

    def in_units(self, x: Tensor) -> Tensor:
        """Return points whose groups are probabilities, or 0 and 1, in the model's units."""
        return torch.where(self.mask, (x - self.shift) / self.scale, x)

    def perturbed(
        self, x: Tensor, noise: Tensor, kept: Tensor | float, before: float = 1.0
    ) -> Tensor:
        """Return points with some categories replaced, (…, n, d).

        Args:
            x: the groups 0 and 1, (…, n, d).
            noise: standard normal, (…, n, d). Of a group's, the order replaces categories, and the
                sum, which does not depend on the order, decides which.
            kept: probability of a category to be that of the data, for each point, (…, n, 1), or
                for all.
            before: that of x.
        """
        out = x.clone()
        stays = self.process.stays(self._replaced(x), self._chances(noise), kept, before)
        for group, stay in zip(self.groups, stays.unbind(dim=-1), strict=True):
            new = self.process.replacement(noise[..., group])
            out[..., group] = torch.where(stay[..., None], x[..., group], new)
        return out

    def _replaced(self, x: Tensor) -> Tensor:
        """Return which categories of points (…, n, d) may hide others, (…, n, G)."""
        return torch.stack([self.process.asked(x[..., group]) for group in self.groups], dim=-1)

    def _chances(self, noise: Tensor) -> Tensor:
        """Return a uniform number for every category, (…, n, G), of normal ones (…, n, d)."""
        sums = [noise[..., g].sum(dim=-1) / math.sqrt(g.stop - g.start) for g in self.groups]
        return uniform(torch.stack(sums, dim=-1))

    def among(self, seen: Tensor, clean: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
        """Return inputs of a network with perturbed categories in the place of its groups.

        Args:
            seen, clean, noise: inputs without them, points in the model's units, and standard
                normal numbers, (…, n, d).
            t: timesteps (…, n), or one for all.
        """
        return torch.where(
            self.mask, self.perturbed(self.flags(clean), noise, self.kept[t][..., None]), seen
        )

    def means(self, output: Tensor, seen: Tensor, t: Tensor | int) -> Tensor:
        """Return network outputs with the probabilities of its categories in every group.

        Args:
            output, seen: outputs and inputs of the network, (…, n, d).
            t: timesteps (…, n), or one for all.
        """
        out = output.clone()
        for group, logits in zip(self.groups, self._logits(output, seen, t), strict=True):
            out[..., group] = logits.softmax(dim=-1)
        return out

    def _logits(self, output: Tensor, seen: Tensor, t: Tensor | int) -> Iterator[Tensor]:
        """Iterate over the logits of every group, (…, n, K)."""
        kept = self.kept[t][..., None]
        for group in self.groups:
            yield output[..., group] + self.process.evidence(seen[..., group], kept)

    def _weights(self, seen: Tensor, weight: Tensor) -> Sequence[Tensor]:
        """Return the weight of every group in the loss of points (…, n, d), each (…, n).

        They add up to the number of groups, where any is asked for.

        Args:
            weight: of points, (…, n, 1), or of coordinates, (…, n, d): a group of which they are 0
                is not asked for.
        """
        asked = self._replaced(seen)
        if weight.shape[-1] > 1:
            starts = [weight[..., group.start] for group in self.groups]
            asked &= torch.stack(starts, dim=-1) != 0
        counted = asked.to(seen.dtype)
        count = counted.sum(dim=-1, keepdim=True).clamp(min=1)
        return (len(self.groups) * counted / count).unbind(dim=-1)

    def cross_entropy(
        self, output: Tensor, target: Tensor, seen: Tensor, t: Tensor, weight: Tensor
    ) -> Tensor:
        """Return the weighted sum of the groups' cross-entropies in nats, (…, n).

        Args:
            output, target, seen: outputs, data and inputs of the network, (…, n, d).
            t: timesteps, (…, n).
            weight: as of `_weights`.
        """
        total, weights = torch.zeros_like(output[..., 0]), self._weights(seen, weight)
        parts = zip(self.groups, self._logits(output, seen, t), weights, strict=True)
        for group, logits, weight in parts:
            found = logits.log_softmax(dim=-1) * target[..., group]
            total = total - weight * found.sum(dim=-1)
        return total

    def residuals(
        self, output: Tensor, target: Tensor, seen: Tensor, t: Tensor, weight: Tensor
    ) -> Tensor:
        """Return the derivative of `cross_entropy` by the output, (…, n, d)."""
        out = (self.means(output, seen, t) - target).masked_fill(~self.mask, 0)
        for group, each in zip(self.groups, self._weights(seen, weight), strict=True):
            out[..., group] *= each[..., None]
        return out

    def drawn(self, x: Tensor, means: Tensor, t: int, ahead: int, noise: Tensor) -> Tensor:
        """Return points with their categories drawn at another timestep.

        Args:
            x, means: points and their means, the groups as 0 and 1 and as probabilities, (…, d).
            t: timestep of x.
            ahead: the other; -1: the data.
            noise: standard normal, (…, d).
        """
        kept, other = self.probabilities[t], self.probabilities[ahead]
        if other <= kept:
            return x if other == kept else self.perturbed(x, noise, other, kept)
        out = x.clone()
        chosen = self.process.drawn(self._replaced(x), self._chances(noise), other)
        for group, here in zip(self.groups, chosen.unbind(dim=-1), strict=True):
            likely = self.process.posterior(x[..., group], means[..., group], kept, other)
            first, second = noise[..., group].unbind(dim=-1)[:2]
            # Their difference does not depend on the sum, by which the category was chosen.
            new = one_of(likely, uniform((first - second) / math.sqrt(2)))
            out[..., group] = torch.where(here[..., None], new, x[..., group])
        return out


def one_of(likely: Tensor, chance: Tensor) -> Tensor:
    """Return a category as one-hot, (…, K).

    Args:
        likely: probabilities, up to a factor, (…, K).
        chance: uniform on (0, 1), (…,).
    """
    edges = likely.cumsum(dim=-1)
    edges = edges / edges[..., -1:]
    below = (edges <= chance[..., None].clamp(max=1 - 2**-24)).to(likely.dtype)
    before = torch.cat([torch.ones_like(below[..., :1]), below[..., :-1]], dim=-1)
    return before - below


class Accompanied:
    """Denoiser of numbers for a sampler, with categories that go through the same timesteps.

    Whatever a sampler makes of the categories' coordinates is put aside: their state is kept here
    and moves to each timestep before the network sees it.

    Args:
        denoise: of points in the model's units.
        noise: standard normal tensors (S, n, d), of which each call takes one.
    """

    def __init__(self, denoise: Callable[..., Tensor], one_hots: OneHots, noise: Iterator[Tensor]):
        self.denoise, self.one_hots, self.noise = denoise, one_hots, noise
        self.last: tuple[Tensor, Tensor, int] | None = None  # state, means and their timestep

    def __call__(self, x: Tensor, t: int, **more: Any) -> Tensor:
        """Return E[x_0 | x_t] as the denoiser does."""
        x = self.at(t, x)
        x_0 = self.denoise(x, t, **more)
        self.last = self.one_hots.flags(x), self.one_hots.from_units(x_0), t
        return x_0

    def at(self, t: int, x: Tensor) -> Tensor:
        """Return points (S, n, d) with the categories at a timestep; -1: as in the data."""
        one_hots, noise = self.one_hots, next(self.noise)
        if self.last is None:
            state = one_hots.perturbed(torch.zeros_like(x), noise, 0.0)
        else:
            known, means, before = self.last
            state = one_hots.drawn(known, means, before, t, noise)
        return torch.where(one_hots.mask, one_hots.in_units(state), x)
