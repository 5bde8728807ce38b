"""Normalisations: how the units of a model follow from its training data."""

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import TypeAdapter

from dualscale.data.units import (
    Array,
    Mask,
    Units,
    own_units,
    quantile_units,
    standard_units,
    whitened_units,
)
from dualscale.parts import Choice, OneOf


class Normalisation(Choice):
    """Map from the data's units to the model's."""

    @abstractmethod
    def units(self, data: Array, flags: Mask | None = None) -> Units:
        """Return the units of a model that is trained on data (n, d).

        Args:
            flags: mask of the coordinates that are 0 or 1; None: there are none.
        """


class Own(Normalisation):
    """The data as they are."""

    kind: Literal["none"] = "none"

    def units(self, data: Array, flags: Mask | None = None) -> Units:
        return own_units(data.shape[1])


class Standard(Normalisation):
    """Mean 0 and variance 1."""

    kind: Literal["standard"] = "standard"

    def units(self, data: Array, flags: Mask | None = None) -> Units:
        return standard_units(data)


class Shared(Normalisation):
    """Mean 0, and one scale for all columns, with which their mean variance is 1: for images.

    Pixels that hardly vary keep to be small beside the others.
    """

    kind: Literal["shared"] = "shared"

    def units(self, data: Array, flags: Mask | None = None) -> Units:
        own = standard_units(data)
        scale = np.sqrt(np.square(own.scale[own.varying], dtype=np.float64).mean())
        return Units(own.shift, np.where(own.varying, scale, 0).astype(np.float32))


class Whitened(Normalisation):
    """Mean 0 and covariance I, along the principal axes of standardised columns.

    For data of many columns that lie near a subspace: noise, preconditioning and features then have
    the right scale along each axis.
    """

    kind: Literal["whitened"] = "whitened"

    def units(self, data: Array, flags: Mask | None = None) -> Units:
        return whitened_units(data)


class Quantile(Normalisation):
    """A standard normal distribution, by quantiles (TabDDPM; Kotelnikov et al. 2023, section 4).

    One quantile per 30 points, from 10 to 1000, between which the map is linear. Points that are
    drawn do not leave the range of the training data. Coordinates that are 0 or 1 get mean 0 and
    variance 1.
    """

    kind: Literal["quantile"] = "quantile"

    def units(self, data: Array, flags: Mask | None = None) -> Units:
        return quantile_units(data, max(min(len(data) // 30, 1000), 10), flags)


AnyNormalisation = Annotated[Normalisation, OneOf()]
NORMALISATION: TypeAdapter[Normalisation] = TypeAdapter(AnyNormalisation)
