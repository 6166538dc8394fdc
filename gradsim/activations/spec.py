"""The Activation record, and the way from one formula to its compiled kernels.

A formula is an ordinary function `f(z, *parameters)` that returns `(value, slope, d/dparameter...)`, sharing what they
share. From it are made, lazily and once a precision:

* blocks for the trainer: plain C functions over lane vectors, called by address, so the trainer is compiled once for
  all activations and each layer may have its own;
* the array interface `act(x)`, `act.derivative(x)`, ... which runs the same blocks, so what is tested is what trains;
* `act.scalar(z)` for a user's own `@njit` code: the same formula on lanes of one.

The address of a block takes `(z, h, slope, parameters, rows, units, row_stride, unit_stride)`: arrays of lane vectors
`[rows, units, lanes]`, and the lanes of parameter j of the pre-activation (r, u) at
`parameters[r * row_stride + u * unit_stride + j]`. Strides of 0 are *fixed* parameters, a unit stride *learned* ones,
both *random* ones, drawn a sample and unit.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numba import njit, types

from gradsim import jit
from gradsim.errors import UsageError, did_you_mean
from gradsim.lanes import FLOATS, LANES, as_lanes, lane, lane_count, single, store, tuple_as_lanes, tuple_loader
from gradsim.lanes import load as load_lanes
from gradsim.parameters import Parameter as BaseParameter

Kind = Literal["pointwise", "layerwise"]
Role = Literal["fixed", "learned", "random"]


@dataclasses.dataclass(frozen=True)
class Parameter(BaseParameter):
    """One number in a formula: its default, its bounds, and how it lives in a network.

    `fixed` is given (and may be an axis of a grid), `learned` is trained a unit from `default` on, `random` is drawn
    uniformly from `spread` for each sample and unit in training and is `default` in evaluation.
    """

    role: Role = "fixed"
    spread: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Activation:
    """An activation function: its formula, what is known of it, and its compiled forms.

    Attributes:
        name, aliases: how it is called in campaigns.
        formula: LaTeX of the value in z and the parameters.
        parameters: name -> Parameter, in the order the function takes them.
        values: the parameters' present values.
        range: closure of the set of values.
        zero_centered: whether the outputs are centered on 0 where the inputs are: f(-z) = -f(z).
        monotonic: whether f never decreases.
        smoothness: k if f is k times continuously differentiable (inf for smooth, -1 for discontinuous).
        saturates: on which side the slope tends to 0: "none", "low", "high" or "both".
        kinks: points where the slope jumps.
        steepest: (max abs slope, a point where it is reached), or a function of the parameters that gives it.
        kind: "pointwise" (each unit by itself) or "layerwise" (looks at more than one number).
        preactivations: how many pre-activations a unit takes: 1 but for layerwise kinds such as maxout.
        reference: where it comes from.
        function: the Python function behind it.
    """

    name: str
    function: Callable
    formula: str = ""
    aliases: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    values: Mapping[str, float] = dataclasses.field(default_factory=dict)
    range: tuple[float, float] = (-np.inf, np.inf)
    zero_centered: bool = False
    monotonic: bool = False
    smoothness: float = np.inf
    saturates: Literal["none", "low", "high", "both"] = "none"
    kinks: tuple[float, ...] = ()
    steepest: tuple[float, float] | Callable[..., tuple[float, float]] | None = None
    kind: Kind = "pointwise"
    preactivations: int = 1
    reference: str = ""

    def __post_init__(self) -> None:
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

    def with_values(self, **values: object) -> Activation:
        """The same function with other parameter values, each checked against its bounds."""
        for key in values:
            if key not in self.parameters:
                hint = did_you_mean(key, self.parameters) if self.parameters else "; it takes none"
                raise UsageError(f"activation {self.name!r} has no parameter {key!r}{hint}")
        owner = f"activation {self.name!r}"
        checked = {k: self.parameters[k].check(owner, k, v) for k, v in values.items()}
        return dataclasses.replace(self, values=dict(self.values) | checked)

    # --- steepness, which saturation is measured against ------------------------------------------

    @functools.cached_property
    def _steepest(self) -> tuple[float, float]:
        if callable(self.steepest):
            return self.steepest(**self.values)
        if self.steepest is not None:
            return self.steepest
        z = np.linspace(-30, 30, 60001)
        slope = np.abs(self.derivative(z))
        at = int(np.nanargmax(slope))
        return float(slope[at]), float(z[at])

    @property
    def max_slope(self) -> float:
        """The largest abs(f'(z))."""
        return self._steepest[0]

    @property
    def steepest_at(self) -> float:
        """A point where the slope is steepest (inf where it is only approached): what divides low from high."""
        return self._steepest[1]

    # --- compiled forms ---------------------------------------------------------------------------

    def block(self, dtype: np.dtype | type, output: str = "value_and_slope") -> _Block:
        """The compiled block for a precision; `output` is "value", "value_and_slope" or a parameter's name."""
        return _block(self.function, tuple(self.parameters), np.dtype(dtype), output)

    @functools.cached_property
    def scalar(self) -> Callable:
        """`scalar(z, *parameters) -> (value, slope)`, callable inside a user's own `@njit` function.

        z is a float32 or float64; every parameter has to be given, in the order of `parameters`.
        """
        return _scalar(self.function)

    def parameter_vector(self) -> np.ndarray:
        """The parameters' values in order, float64 [parameters]."""
        return np.array([self.values[name] for name in self.parameters])

    # --- arrays -----------------------------------------------------------------------------------

    def __call__(self, z: object, out: np.ndarray | None = None) -> np.ndarray:
        """f(z), elementwise, in the precision of z (integers in float64); into `out` where given."""
        return self._apply(z, "value", out)[0]

    def derivative(self, z: object, out: np.ndarray | None = None) -> np.ndarray:
        """f'(z), elementwise; at a kink the value that PyTorch takes."""
        return self._apply(z, "value_and_slope", out, result=1)[1]

    def value_and_derivative(self, z: object) -> tuple[np.ndarray, np.ndarray]:
        """(f(z), f'(z)), sharing the work."""
        return self._apply(z, "value_and_slope", None)

    def parameter_derivative(self, z: object, name: str, out: np.ndarray | None = None) -> np.ndarray:
        """df/dparameter at z, elementwise."""
        if name not in self.parameters:
            hint = did_you_mean(name, self.parameters) if self.parameters else "; it takes none"
            raise UsageError(f"activation {self.name!r} has no parameter {name!r}{hint}")
        return self._apply(z, name, out)[0]

    def _apply(self, z: object, output: str, out: np.ndarray | None, result: int = 0):
        array = _as_floats(z, self.name)
        if out is not None and (
            not isinstance(out, np.ndarray)
            or out.shape != array.shape
            or out.dtype != array.dtype
            or not out.flags.writeable
        ):
            raise UsageError(
                f"{self.name}: out must be a writeable {array.dtype} array of shape {array.shape}, got "
                + (f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__)
            )
        source = np.asarray(array, order="C")
        if out is not None and out is not z and np.may_share_memory(source, out):
            source = source.copy()
        outputs = [np.empty_like(source), np.empty_like(source)]
        if out is not None and out.flags.c_contiguous:
            outputs[result] = out
        block = self.block(array.dtype, output)
        parameters = np.repeat(self.parameter_vector().astype(array.dtype), LANES[array.dtype])
        block.over_array(source.reshape(-1), outputs[0].reshape(-1), outputs[1].reshape(-1), parameters)
        if out is not None and outputs[result] is not out:
            out[...] = outputs[result]
            outputs[result] = out
        return tuple(outputs)


def _as_floats(z: object, name: str) -> np.ndarray:
    array = np.asarray(z)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size in (4, 8):
        return array.astype(f"f{size}", copy=False)  # in the machine's byte order
    if kind in "iub" or array.dtype == np.float16:
        return array.astype(np.float64)
    raise UsageError(f"{name}: cannot take an array of {array.dtype}; allowed: real numbers")


class _Block:
    """A compiled block: its address for the trainer, and a call over flat NumPy arrays."""

    def __init__(self, callback: object, lanes: int):
        self._callback = callback  # keeps the machine code alive
        self.address: int = callback.address
        self._lanes = lanes
        pointers, sizes = [ctypes.c_void_p] * 4, [ctypes.c_int64] * 4
        self._call = ctypes.CFUNCTYPE(None, *pointers, *sizes)(self.address)

    def over_array(self, z: np.ndarray, h: np.ndarray, slope: np.ndarray, parameters: np.ndarray) -> None:
        """All of z in whole vectors; the rest, too short for one, through a padded copy."""
        whole = z.size - z.size % self._lanes
        self._run(z, h, slope, parameters, whole)
        if whole < z.size:
            rest = z.size - whole
            padded = np.zeros((3, self._lanes), z.dtype)
            padded[0, :rest] = z[whole:]
            self._run(*padded, parameters, self._lanes)
            h[whole:], slope[whole:] = padded[1, :rest], padded[2, :rest]

    def _run(self, z, h, slope, parameters, size) -> None:
        if size:
            arrays = (z, h, slope, parameters)
            self._call(*[a.ctypes.data for a in arrays], 1, size // self._lanes, 0, 0)


@functools.cache
def _block(function: Callable, parameters: tuple[str, ...], dtype: np.dtype, output: str) -> _Block:
    formula = _formula(function)
    load_parameters = tuple_loader(len(parameters))
    first = 0 if output in ("value", "value_and_slope") else 2 + parameters.index(output)
    both = output == "value_and_slope"

    def activation_block(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for r in range(rows):
            for u in range(units):
                i = (r * units + u) * size
                x = load_lanes(z, i)
                result = formula(x, *load_parameters(values, (r * row_stride + u * unit_stride) * size))
                store(h, i, as_lanes(result[first], x))
                if both:
                    store(slope, i, as_lanes(result[1], x))

    held = types.CPointer(FLOATS[dtype])
    signature = types.void(held, held, held, held, *[types.int64] * 4)
    return _Block(jit.callback(activation_block, signature), LANES[dtype])


@functools.cache
def _formula(function: Callable) -> Callable:
    return jit.formula(function)


@functools.cache
def _scalar(function: Callable) -> Callable:
    formula = _formula(function)

    def scalar(z, *parameters):
        x = single(z)
        result = formula(x, *tuple_as_lanes(parameters, x))
        return lane(as_lanes(result[0], x), 0), lane(as_lanes(result[1], x), 0)

    return njit(error_model="numpy", fastmath=set(jit.FORMULA_FASTMATH))(scalar)
