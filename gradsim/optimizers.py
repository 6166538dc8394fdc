"""Optimizers: one step for one tensor, on lane vectors; every number of theirs may differ by lane.

An optimizer is a compiled block that the trainer calls by address once a tensor and step:
`(weights, gradient, state, stride, count, numbers, step)` updates `count` lane vectors in place. `numbers` holds the
lanes of the learning rate, then of each parameter in order; state array j begins at `state + j * stride`, zeroed before
the first step; `step` counts from 0.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
from numba import types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.lanes import FLOATS, call_address, lane_count, load, store
from gradsim.parameters import Parameter


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optimizer: its update, its parameters beside the learning rate, how many state arrays it keeps."""

    name: str
    formula: str
    block_function: Callable
    states: int
    parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    reference: str = ""

    def block(self, dtype: np.dtype | type) -> object:
        """The compiled block for a precision; `.address` is what the trainer takes."""
        return _block(self.block_function, np.dtype(dtype))


@functools.cache
def _block(function: Callable, dtype: np.dtype) -> object:
    held = types.CPointer(FLOATS[dtype])
    signature = types.void(held, held, held, types.int64, types.int64, held, types.int64)
    return jit.callback(function, signature)


def _sgd(weights, gradient, state, stride, count, numbers, step):
    size = lane_count(weights)
    rate = load(numbers, 0)
    for i in range(0, count * size, size):
        store(weights, i, load(weights, i) - rate * load(gradient, i))


def _momentum(weights, gradient, state, stride, count, numbers, step):
    size = lane_count(weights)
    rate, beta = load(numbers, 0), load(numbers, size)
    for i in range(0, count * size, size):
        velocity = beta * load(state, i) + load(gradient, i)
        store(state, i, velocity)
        store(weights, i, load(weights, i) - rate * velocity)


@intrinsic
def call_optimizer(typingctx, address, weights, gradient, state, stride, count, numbers, step):
    """Call an optimizer's block by its address."""
    if not isinstance(weights, types.CPointer):
        return None
    word = types.int64
    sig = types.void(word, weights, weights, weights, word, word, weights, word)

    def codegen(context, builder, sig, args):
        call_address(builder, args[0], args[1:])
        return context.get_dummy_value()

    return sig, codegen


OPTIMIZERS = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer("sgd", r"W \leftarrow W - \eta g", _sgd, states=0, reference="Robbins & Monro 1951"),
        Optimizer(
            "momentum",
            r"v \leftarrow \beta v + g,\; W \leftarrow W - \eta v",
            _momentum,
            states=1,
            parameters={"beta": Parameter(0.9, 0.0, 1.0)},
            aliases=("heavy_ball", "sgd_momentum"),
            reference="Polyak 1964; PyTorch's form, without dampening",
        ),
    )
}
