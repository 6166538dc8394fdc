"""Losses: value and gradient at the network's outputs, on lane vectors.

A loss is a compiled block that the trainer calls by address with `(outputs, labels, targets, rows, units, divisor,
total)`. It turns the outputs `[rows, units, lanes]` into dLoss/doutputs in place and adds the loss, summed over rows,
to the float64 lanes `total`. The gradient is divided by `divisor`, the number of rows that the mean is over: a batch,
or a probe set that comes in pieces.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from numba import types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.lanes import FLOATS, call_address, exp, lane_count, load, load_wide, log, maximum, spread, store, widen


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss: its formula, what it can be asked to fit, the best constant prediction's loss, and its block."""

    name: str
    formula: str
    tasks: tuple[str, ...]
    block_function: Callable
    constant_loss: Callable[[np.ndarray, int], float]
    aliases: tuple[str, ...] = ()

    def block(self, dtype: np.dtype | type) -> object:
        """The compiled block for a precision; `.address` is what the trainer takes."""
        return _block(self.block_function, np.dtype(dtype))


@functools.cache
def _block(function: Callable, dtype: np.dtype) -> object:
    held, wide = types.CPointer(FLOATS[dtype]), types.CPointer(types.float64)
    labels = types.CPointer(types.int64)
    return jit.callback(function, types.void(held, labels, held, types.int64, types.int64, types.float64, wide))


def _softmax_cross_entropy(outputs, labels, targets, rows, units, divisor, total):
    size = lane_count(outputs)
    for row in range(rows):
        first = row * units * size
        top = load(outputs, first)
        for unit in range(1, units):
            top = maximum(top, load(outputs, first + unit * size))
        right = load(outputs, first + labels[row] * size)
        sum_of_exp = spread(0, outputs)
        for unit in range(units):
            at = first + unit * size
            e = exp(load(outputs, at) - top)
            store(outputs, at, e)
            sum_of_exp = sum_of_exp + e
        scale = 1 / (sum_of_exp * divisor)
        for unit in range(units):
            at = first + unit * size
            e = load(outputs, at)
            if unit == labels[row]:
                e = e - sum_of_exp
            store(outputs, at, e * scale)
        lost = log(sum_of_exp) + (top - right)
        store(total, 0, load_wide(total, 0, lost) + widen(lost))


def _mean_squared_error(outputs, labels, targets, rows, units, divisor, total):
    size = lane_count(outputs)
    scale = 2 / (divisor * units)
    for row in range(rows):
        lost = spread(0, outputs)
        for unit in range(units):
            at = (row * units + unit) * size
            error = load(outputs, at) - targets[row * units + unit]
            store(outputs, at, error * scale)
            lost = lost + error * error
        store(total, 0, load_wide(total, 0, lost) + widen(lost) / units)


def _entropy(y: np.ndarray, outputs: int) -> float:
    """The loss of predicting the class frequencies: their entropy."""
    p = np.bincount(y, minlength=outputs) / len(y)
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _variance(y: np.ndarray, outputs: int) -> float:
    """The loss of predicting the mean: the variance, averaged over outputs. Labels count as one-hot targets."""
    if y.ndim == 1:
        p = np.bincount(y, minlength=outputs) / len(y)
        return float((p * (1 - p)).mean())
    return float(y.var(axis=0).mean())


@intrinsic
def call_loss(typingctx, address, outputs, labels, targets, rows, units, divisor, total):
    """Call a loss's block by its address; labels, targets and total are arrays."""
    if not isinstance(outputs, types.CPointer):
        return None
    sig = types.void(types.int64, outputs, labels, targets, types.int64, types.int64, types.float64, total)

    def codegen(context, builder, sig, args):
        data = [context.make_array(sig.args[i])(context, builder, args[i]).data for i in (2, 3, 7)]
        values = [args[1], data[0], data[1], args[4], args[5], args[6], data[2]]
        call_address(builder, args[0], values)
        return context.get_dummy_value()

    return sig, codegen


LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "softmax_cross_entropy",
            r"-\log\left(e^{o_y} / \sum_c e^{o_c}\right)",
            ("classification",),
            _softmax_cross_entropy,
            _entropy,
            aliases=("cross_entropy",),
        ),
        Loss(
            "mean_squared_error",
            r"\frac{1}{C} \sum_c (o_c - y_c)^2",
            ("regression", "classification"),
            _mean_squared_error,
            _variance,
            aliases=("mse",),
        ),
    )
}
