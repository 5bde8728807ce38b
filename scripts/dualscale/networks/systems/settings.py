"""Settings of the systems' classes, checked as those of parts are. Imports no PyTorch."""

from typing import Annotated

from pydantic import ConfigDict, Field, validate_call

from dualscale.networks.settings import Frequency
from dualscale.parts import Part

Count = Annotated[int, Field(ge=1, le=64)]
"""Number of layers, heads, blocks and the like."""
checked = validate_call(config=ConfigDict(strict=True, allow_inf_nan=False))
"""Decorator of a constructor that holds its arguments to their types and bounds."""


class Sinusoids(Part):
    """Sinusoids of t and of each coordinate, named as in the configuration's `network`."""

    embedding: int = Field(
        128, ge=4, le=65_536, multiple_of=2, description="Features of t and of each coordinate."
    )
    highest_frequency: Frequency = Field(25.0, description="Of the coordinates' features.")
    lowest_frequency: Frequency = Field(2.5e-3, description="Of the coordinates' features.")


PAPER = Sinusoids()
