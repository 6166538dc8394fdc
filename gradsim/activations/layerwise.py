"""Activations that look at more than one number of a layer: the record, its array interface, and the decorator.

A function makes two loops over lane vectors for the trainer, forward and backward. A layer of n units takes n k
pre-activations; unit u takes those at u, n + u, 2 n + u, ... (for two: from the first and from the second half, as
PyTorch's glu splits them). The slope that is recorded of a pre-activation is that of its own unit's output.
"""

from __future__ import annotations

import copyreg
import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from gradsim.activations import arrays
from gradsim.activations.blocks import BACKWARD, Block
from gradsim.activations.registry import recipe, register
from gradsim.activations.spec import Activation, Parameter
from gradsim.errors import UsageError, short
from gradsim.lanes import LANES


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LayerwiseActivation(Activation):
    """An activation of a whole layer. `function(**shape parameters)` gives its two blocks, forward and backward.

    Attributes beside those of Activation:
        takes: pre-activations a unit, a number or the name of the parameter that is it.
        gives: outputs a unit.
    """

    takes: int | str = 1
    gives: int = 1

    kind = "layerwise"

    @property
    def preactivations(self) -> int:
        """How many pre-activations a unit takes."""
        return int(self.values[self.takes]) if isinstance(self.takes, str) else self.takes

    @property
    def outputs(self) -> int:
        """How many outputs a unit has."""
        return self.gives

    def block(self, dtype: np.dtype | type, output: str = "value_and_slope") -> Block:
        """The compiled block for a precision; forward ones give value and slope together."""
        shape = tuple((name, int(self.values[name])) for name in self.with_role("shape"))
        return _block(self.function, shape, np.dtype(dtype), output == "backward")

    def __call__(self, z: object, axis: int = -1, *, out: np.ndarray | None = None) -> np.ndarray:
        """The outputs of the layer whose pre-activations lie along `axis`."""
        return _along_axis(self, z, None, axis, out)

    def vjp(self, z: object, upstream: object, axis: int = -1, *, out: np.ndarray | None = None) -> np.ndarray:
        """dLoss/dz from `upstream`, dLoss/doutput: the vector-Jacobian product."""
        return _along_axis(self, z, upstream, axis, out)

    def _refuse(self, *_: object, **__: object) -> None:
        raise UsageError(f"{self.name} looks at more than one number and has no slope of its own; use vjp(z, upstream)")

    derivative = value_and_derivative = parameter_derivative = _refuse

    @property
    def scalar(self) -> Callable:
        """There is none: a single number is not enough."""
        return self._refuse()


copyreg.pickle(LayerwiseActivation, recipe)


@functools.cache
def _block(function: Callable, shape: tuple[tuple[str, int], ...], dtype: np.dtype, backward: bool) -> Block:
    forward_loop, backward_loop = function(**dict(shape))
    return Block(backward_loop, dtype, BACKWARD) if backward else Block(forward_loop, dtype)


# --- on arrays ------------------------------------------------------------------------------------


def _along_axis(act: LayerwiseActivation, z: object, upstream: object | None, axis: int, out: np.ndarray | None):
    """The outputs, or with `upstream` the vector-Jacobian product, of layers that lie along an axis."""
    if isinstance(z, np.ma.MaskedArray):
        raise UsageError(f"{act.name}: cannot take a masked array, for every number of a layer counts")
    given, z = z, arrays.as_floats(z, act.name)
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise UsageError(f"{act.name}: axis = {short(axis)}; must be a whole number")
    if not -z.ndim <= axis < z.ndim:
        raise UsageError(f"{act.name}: axis = {axis}, of an array of {z.ndim} dimensions")
    rows = np.moveaxis(z, axis, -1)
    units, left = divmod(rows.shape[-1], act.preactivations)
    if left or not units:
        allowed = f"a multiple of {act.preactivations}" if act.preactivations > 1 else "at least 1"
        raise UsageError(f"{act.name}: {rows.shape[-1]} pre-activations along axis {axis}; allowed: {allowed}")
    inputs, outputs = _by_lanes(rows), act.outputs * units
    h, slope = np.empty((len(inputs), outputs, inputs.shape[2]), z.dtype), np.empty_like(inputs)
    none = np.zeros(inputs.shape[2], z.dtype)
    act.block(z.dtype)(inputs, h, slope, none, rows=len(inputs), units=units)
    result, shape = h, (*rows.shape[:-1], outputs)
    if upstream is not None:
        above, wanted = arrays.as_floats(upstream, act.name), np.moveaxis(np.empty(shape, bool), -1, axis).shape
        if above.shape != wanted:
            raise UsageError(f"{act.name}: upstream has the shape {above.shape}; needed: {wanted}")
        above = _by_lanes(np.moveaxis(above.astype(z.dtype), axis, -1))
        result, shape = np.empty_like(inputs), rows.shape
        backward = act.block(z.dtype, "backward")
        backward(inputs, h, slope, above, result, none, none, rows=len(inputs), units=units)
    count = int(np.prod(shape[:-1]))
    result = np.moveaxis(np.moveaxis(result, 2, 1).reshape(-1, shape[-1])[:count].reshape(shape), -1, axis)
    if out is None:
        return arrays.dressed_alike(given, np.ascontiguousarray(result))
    arrays.check_out(out, result, act.name)
    out[...] = result
    return out


def _by_lanes(rows: np.ndarray) -> np.ndarray:
    """[..., numbers] -> [groups, numbers, lanes]: every row in a lane of its own, the last one repeated."""
    flat = rows.reshape(-1, rows.shape[-1])
    lanes = LANES[rows.dtype]
    places = np.minimum(np.arange(-(-len(flat) // lanes) * lanes), max(len(flat) - 1, 0))
    return np.ascontiguousarray(np.moveaxis(flat[places].reshape(-1, lanes, flat.shape[1]), 1, 2))


# --- the decorator --------------------------------------------------------------------------------


def layerwise(
    formula: str,
    *,
    takes: int | str = 1,
    gives: int = 1,
    aliases: tuple[str, ...] = (),
    parameters: Mapping[str, Parameter] | None = None,
    reference: str = "",
    **properties: object,
) -> Callable[[Callable], LayerwiseActivation]:
    """Decorator: a function that makes (forward, backward) loops becomes a LayerwiseActivation, by its name."""

    def enter(function: Callable) -> LayerwiseActivation:
        act = LayerwiseActivation(
            name=function.__name__,
            function=function,
            formula=formula,
            aliases=aliases,
            parameters=parameters or {},
            properties=properties,
            reference=reference,
            takes=takes,
            gives=gives,
        )
        register(act)
        return act

    return enter
