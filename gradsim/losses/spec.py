"""What a loss is: its record, its compiled block, and the call by address that kernels make.

A loss is a compiled block that the trainer calls by address with `(outputs, labels, targets, numbers, rows, units,
divisor, total)`. It turns the outputs `[rows, units, lanes]` into dLoss/doutputs in place and adds the loss, summed
over rows, to the float64 lanes `total`. `numbers` holds the lanes of each parameter in order. The gradient is divided
by `divisor`, the number of rows that the mean is over: a batch, or a probe set that comes in pieces.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
from numba import types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.lanes import FLOATS, call_address
from gradsim.lanes.memory import element_pointer
from gradsim.parameters import Parameter


def _zero(y: np.ndarray, outputs: int, **parameters: float) -> float:
    """The least loss of most: a right prediction costs nothing."""
    return 0.0


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss: its formula, what it can be asked to fit, what constant predictions cost, and its block.

    Attributes:
        tasks: "classification", "regression" or both.
        best_constant: (y, outputs, **parameters) -> the mean loss of the constant outputs that make it smallest.
        least: (y, outputs, **parameters) -> the mean loss below which no prediction can come, sample by sample.
        on_targets: whether it compares numbers with numbers, labels standing as one-hot rows; else it takes labels.
        target_range: what the targets must lie within, or None.
        squares: whether outputs are predictions of the targets, so that R2 can be told from their squared errors.
    """

    name: str
    formula: str
    tasks: tuple[str, ...]
    block_function: Callable
    best_constant: Callable[..., float]
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    least: Callable[..., float] = _zero
    on_targets: bool = True
    target_range: tuple[float, float] | None = None
    squares: bool = True
    aliases: tuple[str, ...] = ()
    reference: str = ""

    def block(self, dtype: np.dtype | type) -> object:
        """The compiled block for a precision; `.address` is what the trainer takes."""
        return _block(self.block_function, np.dtype(dtype))

    @property
    def defaults(self) -> dict[str, float]:
        """The parameters' defaults, by name."""
        return {name: p.default for name, p in self.parameters.items()}

    def constant_loss(self, y: np.ndarray, outputs: int, **parameters: float) -> float:
        """The mean loss of the best constant prediction; y int [n] labels or float [n, outputs]."""
        return self.best_constant(y, outputs, **self.defaults | parameters)

    def least_loss(self, y: np.ndarray, outputs: int, **parameters: float) -> float:
        """The mean loss below which no prediction can come; 0 but for smoothed labels and targets between 0 and 1."""
        return self.least(y, outputs, **self.defaults | parameters)


@functools.cache
def _block(function: Callable, dtype: np.dtype) -> object:
    held, wide, word = types.CPointer(FLOATS[dtype]), types.CPointer(types.float64), types.int64
    labels = types.CPointer(word)
    return jit.callback(function, types.void(held, labels, held, held, word, word, types.float64, wide))


@intrinsic
def call_loss(typingctx, address, outputs, labels, targets, numbers, rows, units, divisor, total):
    """Call a loss's block by its address; labels, targets, numbers and total are arrays or pointers."""
    if not isinstance(outputs, types.CPointer):
        return None
    word = types.int64
    sig = types.void(word, outputs, labels, targets, numbers, word, word, types.float64, total)

    def codegen(context, builder, sig, args):
        first = context.get_constant(word, 0)
        data = {i: element_pointer(context, builder, sig.args[i], args[i], first) for i in (2, 3, 4, 8)}
        call_address(builder, args[0], [data.get(i, args[i]) for i in range(1, 9)])
        return context.get_dummy_value()

    return sig, codegen
