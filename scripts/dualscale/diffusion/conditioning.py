"""Settings of conditioning: which columns can be given, and how often they are in training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dualscale.parts import Once, Part

Share = Annotated[float, Field(ge=0, le=1)]


class Conditioning(Part):
    """Training with some columns given, so that the others can be drawn conditionally on them.

    In a share of the examples some of these columns, each number of them equally often, are given:
    they enter the network without noise, and have no loss. In another share they are hidden: they
    do not enter it, as guidance needs (Ho and Salimans 2022, algorithm 1). The remaining examples
    are those of training without conditioning.
    """

    columns: Annotated[list[str], Once, Field(min_length=1)] | Literal["all"] = Field(
        description="Names of the columns that can be given, or all; those of a known distribution "
        "are x0, x1, …",
    )
    given: Share = Field(0.5, description="Share of examples in which some are given.")
    hidden: Share = Field(
        0.1, description="Share of examples in which some are hidden; 0, without guidance."
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> "Conditioning":
        if self.given + self.hidden > 1:
            raise ValueError(
                f"given is {self.given:g}: at most 1 - hidden, {1 - self.hidden:g}, is allowed"
            )
        return self
