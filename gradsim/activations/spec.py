"""The Activation record: one formula, what is known of it, and the ways to call it.

A formula is an ordinary function `f(z, *parameters)` that returns `(value, slope, d/dparameter...)`, sharing what they
share. `gradsim.activations.blocks` compiles it, once a precision, to blocks that the trainer calls by address;
`gradsim.activations.arrays` runs the same blocks over arrays, so what is tested is what trains.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
from numba.core.errors import NumbaError

from gradsim.activations import arrays, blocks
from gradsim.errors import UsageError, did_you_mean, short
from gradsim.parameters import Parameter as BaseParameter

Role = Literal["fixed", "learned", "random", "shape"]
ROLES = get_args(Role)


@dataclasses.dataclass(frozen=True)
class Parameter(BaseParameter):
    """One number in a formula: its default, its bounds, and how it lives in a network.

    `fixed` is given (and may be an axis of a grid); `learned` is trained, one a unit, from its value on; `random` is
    drawn from U(0, 1) for each sample, unit and step in training, and is its value in evaluation; `shape` is an integer
    that the shape of the network depends on.
    """

    role: Role = "fixed"

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise UsageError(f"a parameter's role is {short(self.role)}; allowed: {', '.join(ROLES)}")
        if self.role == "random" and not (self.low >= 0 and self.high <= 1):
            object.__setattr__(self, "low", 0.0)
            object.__setattr__(self, "high", 1.0)
        self.check("a Parameter", "default", self.default)

    def check(self, owner: str, name: str, value: object) -> float:
        """As of any parameter; one that shapes the network must be whole."""
        checked = super().check(owner, name, value)
        if self.role == "shape" and checked != round(checked):
            raise UsageError(f"{owner}: parameter {name!r} is {checked:g}; allowed: whole numbers")
        return checked


class Known:
    """A property of an activation: given, or given as a function of the parameters, or a default."""

    def __init__(self, default: object):
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, act: Activation | None, owner: type) -> object:
        if act is None:
            return self
        value = act.properties.get(self.name, self.default)
        return value(**act.values) if callable(value) else value


@dataclasses.dataclass(frozen=True, eq=False)
class Activation:
    """An activation function: its formula, what is known of it, and its compiled forms.

    Attributes:
        name, aliases: how it is called in campaigns.
        formula: LaTeX of the value in z and the parameters.
        parameters: name -> Parameter, in the order the function takes them.
        values: the parameters' present values.
        properties: what is known of it, see below; a value may be a function of the parameters.
        kind: "pointwise" (each unit by itself) or "layerwise" (looks at more than one number).
        extended: whether it is evaluated with more digits than its inputs have, and rounded once.
        reference: where it comes from.
        function: the Python function behind it.

    Properties:
        range: closure of the set of values.
        zero_centered: whether the outputs are centered on 0 where the inputs are: f(-z) = -f(z).
        monotonic: whether f never decreases.
        smoothness: k if f is k times continuously differentiable (inf for smooth, -1 for discontinuous).
        saturates: on which side the slope tends to 0: "none", "low", "high" or "both".
        kinks: points where the slope jumps.
        steepest: (max abs slope, a point where it is reached); searched for numerically where not given.
    """

    name: str
    function: Callable
    formula: str = ""
    aliases: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    values: Mapping[str, float] = dataclasses.field(default_factory=dict)
    properties: Mapping[str, object] = dataclasses.field(default_factory=dict)
    extended: bool = False
    reference: str = ""

    kind = "pointwise"
    # Of one unit: how many pre-activations it takes, how many outputs it has.
    preactivations = 1
    outputs = 1

    range = Known((-np.inf, np.inf))
    zero_centered = Known(False)
    monotonic = Known(False)
    smoothness = Known(np.inf)
    saturates = Known("none")
    kinks = Known(())
    steepest = Known(None)

    def __post_init__(self) -> None:
        for key in self.properties:
            if not isinstance(getattr(type(self), key, None), Known):
                raise UsageError(f"activation {self.name!r}: unknown property {key!r}{did_you_mean(key, KNOWN)}")
        for key in self.parameters:
            if key in blocks.OUTPUTS:  # what a block gives goes by these names, and by those of the parameters
                raise UsageError(f"activation {self.name!r}: no parameter can have the name {key!r}; give it another")
        roles = [p.role == "random" for p in self.parameters.values()]
        if roles != sorted(roles):
            raise UsageError(f"activation {self.name!r}: random parameters must be the last that the function takes")
        defaults = {name: p.default for name, p in self.parameters.items()}
        object.__setattr__(self, "values", defaults | dict(self.values))
        object.__setattr__(self, "__doc__", self.function.__doc__)

    # --- identity ---------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """The name with the parameters that differ from their defaults: what campaigns and reports print."""
        changed = {k: v for k, v in self.values.items() if v != self.parameters[k].default}
        return self.name + (f"({', '.join(f'{k}={v:g}' for k, v in changed.items())})" if changed else "")

    def __repr__(self) -> str:
        return f"<activation {self.label}>"

    def _repr_html_(self) -> str:
        from gradsim.notebook import activation_html

        return activation_html(self)

    def with_values(self, /, **values: object) -> Activation:
        """The same function with other parameter values, each checked against its bounds."""
        for key in values:
            self._check_parameter(key)
        owner = f"activation {self.name!r}"
        checked = {k: self.parameters[k].check(owner, k, v) for k, v in values.items()}
        return dataclasses.replace(self, values=dict(self.values) | checked)

    def _check_parameter(self, name: object) -> None:
        if not isinstance(name, str) or name not in self.parameters:
            hint = did_you_mean(str(name)[:100], self.parameters) if self.parameters else "; it takes none"
            raise UsageError(f"activation {self.name!r} has no parameter {short(name)}{hint}")

    def with_role(self, role: Role) -> tuple[str, ...]:
        """The names of the parameters that live in a network in this way."""
        return tuple(name for name, p in self.parameters.items() if p.role == role)

    @property
    def learned(self) -> tuple[str, ...]:
        """The parameters that are trained."""
        return self.with_role("learned")

    @property
    def random(self) -> tuple[str, ...]:
        """The parameters that are drawn in training."""
        return self.with_role("random")

    @property
    def has_backward(self) -> bool:
        """Whether going back takes more than a multiplication by the slopes."""
        return self.kind == "layerwise" or bool(self.learned)

    # --- steepness, which saturation is measured against ------------------------------------------

    @functools.cached_property
    def _steepest(self) -> tuple[float, float]:
        if self.steepest is not None:
            return self.steepest
        z = np.linspace(-30, 30, 60001)
        slope = np.abs(self.derivative(z))
        if np.isnan(slope).all():
            return np.inf, np.inf
        at = int(np.nanargmax(slope))
        return float(slope[at]), float(z[at])

    @property
    def max_slope(self) -> float:
        """The largest abs(f'(z)); inf where there is none."""
        return self._steepest[0]

    @property
    def steepest_at(self) -> float:
        """A point where the slope is steepest (inf where it is only approached): what divides low from high."""
        return self._steepest[1]

    # --- compiled forms ---------------------------------------------------------------------------

    def block(self, dtype: np.dtype | type, output: str = "value_and_slope") -> blocks.Block:
        """The compiled block for a precision; `output` is "value", "value_and_slope", "backward" or a parameter."""
        learned = self.learned if output == "backward" else ()
        parameters = tuple(self.parameters)
        try:
            return blocks.pointwise_block(self.function, parameters, np.dtype(dtype), output, self.extended, learned)
        except NumbaError as error:
            raise blocks.in_one_line(f"activation {self.name!r}", error) from None

    @functools.cached_property
    def scalar(self) -> Callable:
        """`scalar(z, *parameters) -> (value, slope)`, callable inside a user's own `@njit` function.

        z is a float32 or float64; every parameter has to be given, in the order of `parameters`.
        """
        return blocks.scalar(self.function, self.extended)

    def parameter_vector(self) -> np.ndarray:
        """The parameters' values in order, float64 [parameters]."""
        return np.array([self.values[name] for name in self.parameters])

    # --- arrays -----------------------------------------------------------------------------------

    def __call__(self, z: object, out: np.ndarray | None = None) -> np.ndarray:
        """f(z), elementwise, in the precision of z (integers in float64); into `out` where given."""
        return arrays.apply(self, z, "value", out)[0]

    def derivative(self, z: object, out: np.ndarray | None = None) -> np.ndarray:
        """f'(z), elementwise; at a kink the value that PyTorch takes."""
        return arrays.apply(self, z, "value_and_slope", out, result=1)[1]

    def value_and_derivative(self, z: object) -> tuple[np.ndarray, np.ndarray]:
        """(f(z), f'(z)), sharing the work."""
        return arrays.apply(self, z, "value_and_slope", None)

    def parameter_derivative(self, z: object, name: str, out: np.ndarray | None = None) -> np.ndarray:
        """df/dparameter at z, elementwise."""
        self._check_parameter(name)
        return arrays.apply(self, z, name, out)[0]


KNOWN = tuple(name for name, value in vars(Activation).items() if isinstance(value, Known))
