"""Units in which metrics compare the points of a file: one standardised number per column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualscale.data.encoding import Encoding
from dualscale.data.units import Array, Units, standard_units
from dualscale.runtime.digests import digest_settings
from dualscale.runtime.streams import stream_seed


@dataclass(frozen=True)
class TableUnits:
    """Units of tables, whose points are decoded first, so that only what a table shows is compared.

    Args:
        encoding: of the table's columns.
        spread: units of the columns, whose equal cells are spread by noise.
    """

    encoding: Encoding
    spread: Units

    @property
    def coordinates(self) -> int:
        """Number of coordinates of a point in the data's units."""
        return len(self.encoding.flags)

    def into_model(self, x: Array) -> Array:
        """Convert points (n, d), (n, columns) without the constant columns."""
        return self.spread.into_model(spread_points(self.encoding, x))


MetricUnits = Units | TableUnits


def metric_units(training: Array, encoding: Encoding) -> MetricUnits:
    """Return the units in which metrics compare points of a file: standardised.

    Args:
        training: (n, d).
    """
    if encoding.plain:
        return standard_units(training)
    return TableUnits(encoding, standard_units(spread_points(encoding, training)))


def spread_points(encoding: Encoding, points: Array) -> Array:
    """Return points (n, d) spread by noise of their own, (n, columns)."""
    rng = np.random.default_rng(stream_seed(digest_settings(points), "spread"))
    return encoding.spread(points, rng)


def stored_units(units: MetricUnits) -> dict[str, Any]:
    """Return units as arrays, for an npz file."""
    if isinstance(units, Units):
        return {"shift": units.shift, "scale": units.scale}
    encoding = np.array(units.encoding.model_dump_json())
    return {**stored_units(units.spread), "encoding": encoding}


def loaded_units(file: Mapping[str, Array]) -> MetricUnits:
    """Return the units that an npz file holds."""
    units = Units(file["shift"], file["scale"])
    if "encoding" not in file:
        return units
    return TableUnits(Encoding.model_validate_json(str(file["encoding"])), units)
