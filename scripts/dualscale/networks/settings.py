"""Settings of networks: branches, their weighting and their size. Imports no PyTorch."""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dualscale.parts import SMALLEST, Choice, Name, OneOf, Part, matching

Frequency = Annotated[float, Field(gt=0, le=1e6)]
Width = Annotated[int, Field(ge=1, le=65_536)]


class Branch(Part):
    """MLP of features of t and of x, or of an up-projection of x (the paper's equations 3 to 5)."""

    upscaled_dimensions: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Outputs of the learned linear up-projection; null, the branch sees x itself.",
    )
    embedded_dimensions: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="How many of the upscaled dimensions the branch sees; null, all.",
    )

    upscale_initialisation: Literal["uniform", "orthogonal"] = Field(
        "uniform",
        description="Initial weights of the up-projection: uniform, PyTorch's default for linear "
        "layers; orthogonal, with equal singular values of the same root mean square.",
    )

    @model_validator(mode="after")
    def _sees_what_there_is(self) -> "Branch":
        up, seen = self.upscaled_dimensions, self.embedded_dimensions
        if seen is not None and (up is None or seen > up):
            raise ValueError(
                f"embedded_dimensions is {seen}: at most upscaled_dimensions, {up}, is allowed"
            )
        return self

    def coordinates(self, dimensions: int) -> int:
        """Return the number of coordinates that the branch embeds, for points of d dimensions."""
        return self.embedded_dimensions or self.upscaled_dimensions or dimensions


class Weighting(Choice):
    """Combination of the branches' outputs."""

    def require_fit(self, branches: dict[str, Branch]) -> None:
        """Raise a ValueError if these branches cannot be weighted in this way."""
        if len(branches) == 1:
            raise ValueError(
                f"weighting.kind is {self.kind!r}: there is one branch, "
                f"{next(iter(branches))}; two or more are needed, or kind none"
            )


class NoWeighting(Weighting):
    """A single branch."""

    kind: Literal["none"] = "none"

    def require_fit(self, branches: dict[str, Branch]) -> None:
        if len(branches) > 1:
            raise ValueError(
                f"weighting.kind is 'none': {len(branches)} branches need kind fixed or learned"
            )


class Fixed(Weighting):
    """Constant weights."""

    kind: Literal["fixed"] = "fixed"
    weights: dict[str, Annotated[float, Field(ge=-1000, le=1000)]] = Field(
        description="Weight of each branch."
    )

    def require_fit(self, branches: dict[str, Branch]) -> None:
        super().require_fit(branches)
        if set(self.weights) != set(branches):
            raise ValueError(
                f"weighting.weights names {sorted(self.weights)}: "
                f"one weight for each branch is needed, {sorted(branches)}"
            )
        if all(abs(weight) < SMALLEST for weight in self.weights.values()):
            raise ValueError(
                "weighting.weights are all 0: a weight other than 0 is needed for one branch"
            )


class Learned(Weighting):
    """Weights from a gating network (the paper's equations 6 and 7)."""

    kind: Literal["learned"] = "learned"
    hidden: list[Width] = Field(
        max_length=16, description="Widths of the gating network's hidden layers."
    )
    gate: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="Softmax over the branches, or one sigmoid for two."
    )
    negative_slope: float = Field(
        0.2, ge=0, le=1, description="Negative slope of the LeakyReLU; 0 makes it a ReLU."
    )
    inputs: Literal["t", "x_and_t"] = Field("t", description="Inputs of the gating network.")

    def require_fit(self, branches: dict[str, Branch]) -> None:
        super().require_fit(branches)
        if self.gate == "sigmoid" and len(branches) != 2:
            raise ValueError(
                f"weighting.gate is 'sigmoid': it weighs two branches, not {len(branches)}"
            )


AnyWeighting = Annotated[Weighting, OneOf()]


class Size(Part):
    """Size and features of every branch."""

    width: Width = Field(256, description="Width of the hidden layers.")
    hidden_layers: int = Field(3, ge=0, le=64, description="Number of residual hidden layers.")
    embedding: int = Field(
        128,
        ge=4,
        le=65_536,
        multiple_of=2,
        description="Features of the timestep and of each coordinate: half sines, half cosines.",
    )
    highest_frequency: Frequency = Field(
        25.0,
        description="Highest of the log-spaced frequencies of the input features, in radians per "
        "unit.",
    )
    lowest_frequency: Frequency = Field(2.5e-3, description="Lowest of the frequencies.")
    frequencies: Literal["fixed", "learned"] = Field(
        "fixed", description="Fixed or learned frequencies; learned ones start at the fixed ones."
    )
    damped: bool = Field(
        False,
        description="Attenuate features at noise levels that mask them (integrated encoding).",
    )

    @model_validator(mode="after")
    def _rising(self) -> "Size":
        low, high = self.lowest_frequency, self.highest_frequency
        if low >= high:
            raise ValueError(
                f"lowest_frequency is {low}: less than highest_frequency, {high}, is allowed"
            )
        return self


class DualScale(Part):
    """Network of branches at several scales."""

    branches: dict[Name, Branch] = Field(
        max_length=16, description="Branches by name. A copy drops one that it sets to null."
    )
    weighting: AnyWeighting = Field(description="How the branches' outputs are combined.")
    network: Size = Field(Size(), description="Size and features of every branch.")

    @model_validator(mode="after")
    def _weighting_fits(self) -> "DualScale":
        if not self.branches:
            raise ValueError("has no branches: give some, or copy a variant with like")
        self.weighting.require_fit(self.branches)
        return self

    def parameter_shapes(self, dimensions: int, given: int = 0) -> dict[str, tuple[int, ...]]:
        """Return name and shape of every parameter of one model, in the order of the buffer.

        Weights are (in, out) and biases (1, out), after a dimension K where every branch has one.

        Args:
            dimensions: d, of the points.
            given: a, how many of their coordinates can be given.
        """
        size, d, count = self.network, dimensions, len(self.branches)
        embedding, width = size.embedding, size.width
        shapes: dict[str, tuple[int, ...]] = {}
        for name, branch in self.branches.items():
            if up := branch.upscaled_dimensions:
                shapes |= {f"upscale.{name}.weight": (d, up), f"upscale.{name}.bias": (1, up)}
            if size.frequencies == "learned":
                shapes[f"frequencies.{name}"] = (1, embedding // 2)
            shapes[f"input.{name}.weight"] = (branch.coordinates(d) * embedding, width)
            if given:
                shapes[f"given.{name}.weight"] = (given * (embedding + 2), width)
        shapes["time.weight"] = (count, embedding, width)
        shapes["time.bias"] = (count, 1, width)
        for layer in range(size.hidden_layers):
            shapes[f"hidden.{layer}.weight"] = (count, width, width)
            shapes[f"hidden.{layer}.bias"] = (count, 1, width)
        shapes["output.weight"] = (count, width, d)
        shapes["output.bias"] = (count, 1, d)
        if isinstance(self.weighting, Learned):
            logits = 1 if self.weighting.gate == "sigmoid" else count
            seen = embedding * (1 + d if self.weighting.inputs == "x_and_t" else 1)
            widths = [seen, *self.weighting.hidden, logits]
            for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
                shapes[f"weighting.{layer}.weight"] = (fan_in, fan_out)
                shapes[f"weighting.{layer}.bias"] = (1, fan_out)
        # Large parameters first: their sizes are whole cache lines, so their views stay aligned.
        return dict(sorted(shapes.items(), key=lambda item: -math.prod(item[1])))

    def parameters(self, dimensions: int, given: int = 0) -> int:
        """Return the number of parameters of one model; arguments as of `parameter_shapes`."""
        return sum(map(math.prod, self.parameter_shapes(dimensions, given).values()))


class Architecture(Part):
    """A torch.nn.Module of your own, in place of branches, weighting and network."""

    file: Annotated[str, matching(r"\.py\Z", "a name that ends in .py")] = Field(
        description="The class's Python file."
    )
    name: Annotated[str, matching(r"^[A-Za-z_][A-Za-z0-9_]*\Z", "the name of a class")] = Field(
        alias="class", description="Name of the class in the file."
    )
    settings: dict[str, Any] = Field(
        {}, description="Arguments of the class, beside dimensions and timesteps."
    )
