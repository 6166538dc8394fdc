"""What an initializer is: its entry in the table, what it is told of a layer, and what it says of the layer's start.

A start is a recipe and no array: scales of common base numbers, which the engine draws, and at most one *method* that
the engine then applies to the whole matrix. What a network draws is therefore the same wherever it is drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gradsim.errors import UsageError, did_you_mean, short
from gradsim.parameters import Parameter

if TYPE_CHECKING:
    from gradsim.activations import Activation

# Standard deviation of a standard normal number that is cut off at two.
TRUNCATED_STD = 0.87962566103423978
AUTO = "auto"

# What the engine can do to a layer's base numbers; its place here is its number there.
METHODS = ("", "orthogonal", "identity", "sparse", "asymmetric", "lsuv", "data_dependent")
MOST_NUMBERS = 2  # that a method takes, a layer


@dataclasses.dataclass(frozen=True)
class Layer:
    """What an initializer may look at: fans, the activation that follows (None for the output), whether there are
    biases."""

    fan_in: int
    fan_out: int
    activation: Activation | None = None
    bias: bool = True


@dataclasses.dataclass(frozen=True)
class Scales:
    """Numbers `shift + normal * N(0, 1) + uniform * U(-1, 1) + truncated * N(0, 1 | abs < 2)`."""

    shift: float = 0.0
    normal: float = 0.0
    uniform: float = 0.0
    truncated: float = 0.0

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and variance, for the one random scale that an initializer has."""
        return self.shift, self.normal**2 + self.uniform**2 / 3 + (TRUNCATED_STD * self.truncated) ** 2


@dataclasses.dataclass(frozen=True)
class Start:
    """How a layer begins.

    Attributes:
        weights: scales of the base numbers that a method starts from, or, without one, of the weights themselves.
        biases: where the method defines them; None leaves them to the bias initializer.
        numbers: what the method takes, at most MOST_NUMBERS.
        moments: mean and variance of a weight under a method; None where the data decide.
    """

    weights: Scales
    biases: Scales | None = None
    numbers: tuple[float, ...] = ()
    moments: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Initializer:
    """An entry of the table: `start(layer, **parameters)` and what is known of it.

    Attributes:
        name, aliases: how it is called in campaigns.
        formula: LaTeX of the distribution of a weight.
        start: what it makes of a layer.
        parameters: name -> Parameter, Gain, Whole or Option.
        reference: where it comes from.
        method: of METHODS, what the engine does beyond scaling.
        own_biases: whether it draws the biases too, so that no bias initializer may be given.
        of_biases: whether it can be a bias initializer.
        of_activation: whether it always looks at the activation; any does whose gain is "auto".
        unmarked: parameters that are no part of a run's id at their defaults.
    """

    name: str
    formula: str
    start: Callable[..., Start]
    parameters: Mapping[str, Parameter | Option] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    reference: str = ""
    method: str = ""
    own_biases: bool = False
    of_biases: bool = True
    of_activation: bool = False
    unmarked: tuple[str, ...] = ("offset",)

    def looks_at_activation(self, values: Mapping[str, object]) -> bool:
        """Whether the activation matters at these parameter values."""
        return self.of_activation or values.get("gain") == AUTO

    def moments(self, layer: Layer, **parameters: object) -> tuple[float, float] | None:
        """Mean and variance of a weight of the layer; None where the data decide."""
        return self.moments_of(self.start(layer, **parameters))

    def moments_of(self, start: Start) -> tuple[float, float] | None:
        """Mean and variance of a weight of a start of its making; None where the data decide."""
        return start.moments if self.method else start.weights.moments

    def bias_moments_of(self, start: Start) -> tuple[float, float]:
        """Mean and variance of a bias, where it draws them itself; those of the weights in the asymmetric method, which
        puts its special number among both."""
        return start.moments if self.method == "asymmetric" else start.biases.moments


# --- parameters -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Gain(Parameter):
    """A factor of the standard deviation: a number, or "auto" for the variance-preserving gain of the activation."""

    low: float = 0.0
    high: float = 1e6

    def check(self, owner: str, name: str, value: object) -> float | str:
        if value == AUTO:
            return AUTO
        if isinstance(value, str):
            raise UsageError(
                f'{owner}: parameter {name!r} is {short(value)}; allowed: "{AUTO}", or {self.low:g} to {self.high:g}'
            )
        return super().check(owner, name, value)


@dataclasses.dataclass(frozen=True)
class Whole(Parameter):
    """A whole number."""

    def check(self, owner: str, name: str, value: object) -> float:
        checked = super().check(owner, name, value)
        if checked != round(checked):
            raise UsageError(f"{owner}: parameter {name!r} is {checked:g}; allowed: whole numbers")
        return checked


@dataclasses.dataclass(frozen=True)
class Option:
    """One of some words; `also` maps what other libraries call them."""

    default: str
    allowed: tuple[str, ...]
    also: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def check(self, owner: str, name: str, value: object) -> str:
        """The word; UsageError naming the owner, the parameter and what is allowed."""
        word = self.also.get(value, value) if isinstance(value, str) else value
        if word in self.allowed:
            return word
        hint = did_you_mean(value[:100] if isinstance(value, str) else "", self.allowed)
        raise UsageError(f"{owner}: parameter {name!r} is {short(value)}{hint}")


# --- gains ----------------------------------------------------------------------------------------


def gain_of(gain: float | str, layer: Layer) -> float:
    """The number behind a gain: "auto" is 1/sqrt(E f(z)^2), z standard normal, and 1 for the linear output.

    Raises GradsimError where the activation has no such gain.
    """
    if gain != AUTO:
        return gain
    if layer.activation is None:
        return 1.0
    from gradsim.theory import variance_map

    square = variance_map(layer.activation, 1.0, 1.0)
    if not 0 < square < math.inf:
        raise UsageError(f'gain = "auto": {layer.activation.label} has E f(z)^2 = {square:g}; give a number')
    return 1 / math.sqrt(square)
