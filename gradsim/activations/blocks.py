"""From a formula to compiled blocks: plain C functions over lane vectors, one set a precision.

A block is called by its address, so the trainer is compiled once for all activations and each layer may have its own.
It takes `(z, h, slope, parameters, rows, units, row_stride, unit_stride)`: arrays of lane vectors `[rows, units,
lanes]`, and the lanes of parameter j of the unit (r, u) at `parameters[r * row_stride + u * unit_stride + j]`. Strides
of 0 are *fixed* parameters, a unit stride *learned* ones, both *random* ones, drawn a sample and unit.

A backward block takes `(z, h, slope, upstream, delta, parameters, gradient, rows, units, row_stride, unit_stride)`:
from dLoss/dh, `upstream`, it writes dLoss/dz into `delta`, and adds dLoss/dparameter j of unit u to
`gradient[u * unit_stride + j]` for every learned parameter j.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.errors import UsageError, short
from gradsim.lanes import (
    FLOATS,
    LANES,
    as_lanes,
    call_address,
    extend,
    lane,
    lane_count,
    narrow,
    pointer,
    rounded,
    single,
    store,
    tuple_as_lanes,
    tuple_loader,
    widen,
)
from gradsim.lanes import load as load_lanes

FORWARD, BACKWARD = 4, 7  # pointers that a block takes, before four integers
# What a block of a pointwise formula may give; by a parameter's name, the derivative in it.
OUTPUTS = ("value", "value_and_slope", "backward")


class Block:
    """A compiled block: its address for the trainer, and a call over flat NumPy arrays."""

    def __init__(self, function: Callable, dtype: np.dtype, pointers: int = FORWARD):
        held = types.CPointer(FLOATS[dtype])
        signature = types.void(*[held] * pointers, *[types.int64] * 4)
        self._callback = jit.callback(function, signature)  # keeps the machine code alive
        self.address: int = self._callback.address
        self.lanes = LANES[dtype]
        kinds = [ctypes.c_void_p] * pointers + [ctypes.c_int64] * 4
        self.at = ctypes.CFUNCTYPE(None, *kinds)(self.address)

    def __call__(self, *arrays: np.ndarray, rows: int, units: int, row_stride: int = 0, unit_stride: int = 0) -> None:
        """Run over arrays of whole lane vectors, in the order that the block takes them."""
        addresses = [a.__array_interface__["data"][0] for a in arrays]
        self.at(*addresses, rows, units, row_stride, unit_stride)


# --- precision ------------------------------------------------------------------------------------


@jit.formula
def _same(x):
    return x


@jit.formula
def _as_given(result, like, x):
    return as_lanes(result, like)


def more_digits(x):
    """Lanes with more digits: float64 for float32, pairs of float64 for float64."""
    raise NotImplementedError("compiled code only")


@jit.device_overload(more_digits)
def _overload_more_digits(x):
    return (lambda x: widen(x)) if x.dtype == types.float32 else (lambda x: extend(x))


def rounded_once(result, like, x):
    """A result with more digits, or a number, rounded to the lanes of x."""
    raise NotImplementedError("compiled code only")


@jit.device_overload(rounded_once)
def _overload_rounded_once(result, like, x):
    if x.dtype == types.float32:
        return lambda result, like, x: narrow(as_lanes(result, like), x)
    return lambda result, like, x: rounded(as_lanes(result, like))


def _precision(extended: bool) -> tuple[Callable, Callable]:
    """How lanes x enter a formula, `like = enter(x)`, and how its results leave it, `leave(result, like, x)`."""
    return (more_digits, rounded_once) if extended else (_same, _as_given)


# --- pointwise ------------------------------------------------------------------------------------


@functools.cache
def compiled_formula(function: Callable) -> Callable:
    """The formula as a function that blocks call."""
    return jit.formula(function)


def in_one_line(owner: str, error: Exception) -> UsageError:
    """What the compiler says of a formula that it cannot take, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if not line.startswith("Failed in")), type(error).__name__)
    return UsageError(
        f"{owner}: its function cannot be compiled; it may use operators and the functions of gradsim.lanes, and "
        f"returns (value, slope, a derivative for each parameter): {short(told)}"
    )


@functools.cache
def pointwise_block(
    function: Callable,
    parameters: tuple[str, ...],
    dtype: np.dtype,
    output: str,
    extended: bool,
    learned: tuple[str, ...] = (),
) -> Block:
    """A block of a pointwise formula: "value", "value_and_slope", "backward" or a parameter's derivative."""
    formula = compiled_formula(function)
    enter, leave = _precision(extended)
    load_parameters = tuple_loader(len(parameters))
    if output == "backward":
        places = tuple(parameters.index(name) for name in learned)
        add_derivatives = _derivatives_adder(leave, places)
        return Block(_backward(formula, enter, load_parameters, leave, add_derivatives), dtype, BACKWARD)
    first = 0 if output in OUTPUTS else 2 + parameters.index(output)
    both = output == "value_and_slope"

    def activation_block(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for r in range(rows):
            for u in range(units):
                i = (r * units + u) * size
                x = load_lanes(z, i)
                like = enter(x)
                given = load_parameters(values, (r * row_stride + u * unit_stride) * size)
                result = formula(like, *tuple_as_lanes(given, like))
                store(h, i, leave(result[first], like, x))
                if both:
                    store(slope, i, leave(result[1], like, x))

    return Block(activation_block, dtype)


def _backward(
    formula: Callable, enter: Callable, load_parameters: Callable, leave: Callable, add_derivatives: Callable
) -> Callable:
    def backward_block(z, h, slope, upstream, delta, values, gradient, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for r in range(rows):
            for u in range(units):
                i = (r * units + u) * size
                x, above = load_lanes(z, i), load_lanes(upstream, i)
                like = enter(x)
                given = load_parameters(values, (r * row_stride + u * unit_stride) * size)
                result = formula(like, *tuple_as_lanes(given, like))
                store(delta, i, above * leave(result[1], like, x))
                add_derivatives(gradient, u * unit_stride * size, result, like, x, above)

    return backward_block


def _derivatives_adder(leave: Callable, places: tuple[int, ...]) -> Callable:
    """A compiled function that adds upstream * d/dparameter to the gradients, for the parameters at `places`."""

    @jit.formula
    def nothing(gradient, at, result, like, x, above):
        pass

    if not places:
        return nothing
    j, place, others = places[0], 2 + places[0], _derivatives_adder(leave, places[1:])

    @jit.formula
    def add(gradient, at, result, like, x, above):
        here = at + j * lane_count(gradient)
        store(gradient, here, load_lanes(gradient, here) + above * leave(result[place], like, x))
        others(gradient, at, result, like, x, above)

    return add


# --- for a user's own kernels, and for benchmarks -------------------------------------------------


@functools.cache
def scalar(function: Callable, extended: bool) -> Callable:
    """`scalar(z, *parameters) -> (value, slope)` for single floats, callable in compiled code."""
    formula = compiled_formula(function)
    enter, leave = _precision(extended)

    def scalar(z, *parameters):
        if jit.address_of_this_process() == 0:  # a user's own cache would serve an edited formula stale
            return z, z
        x = single(z)
        like = enter(x)
        result = formula(like, *tuple_as_lanes(parameters, like))
        return lane(leave(result[0], like, x), 0), lane(leave(result[1], like, x), 0)

    return njit(error_model="numpy", fastmath=set(jit.FORMULA_FASTMATH))(scalar)


@intrinsic
def _call(typingctx, address, z, h, slope, parameters, units):
    if not isinstance(z, types.CPointer):
        return None
    sig = types.void(types.int64, z, z, z, z, types.int64)

    def codegen(context, builder, sig, args):
        one, none = (ir.Constant(ir.IntType(64), n) for n in (1, 0))
        call_address(builder, args[0], [*args[1:5], one, args[5], none, none])
        return context.get_dummy_value()

    return sig, codegen


@jit.kernel
def call_block(address, z, h, slope, parameters, repetitions):
    """Call a forward block over whole arrays several times, as the trainer does: without Python in between."""
    for _ in range(repetitions):
        units = z.size // lane_count(z)
        _call(address, pointer(z, 0), pointer(h, 0), pointer(slope, 0), pointer(parameters, 0), units)
