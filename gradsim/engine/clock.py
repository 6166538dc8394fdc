"""Where a training step's time goes: the trainer tells when a stage ends, and nobody listens unless asked to.

`Work.clock` is None in every campaign, and the marks are then nothing at all: the trainer is compiled without them.
`benchmarks/stages.py` hands in an array, and a second trainer, compiled for it, counts cycles by stage and layer.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# The stages of a step, in the order of a clock's columns; those of the whole network are kept under layer 0.
STAGES = ("other", "batch", "forward", "activation", "loss", "gradient", "deltas", "update")
OTHER, BATCH, FORWARD, ACTIVATION, LOSS, GRADIENT, DELTAS, UPDATE = range(len(STAGES))

_I64 = ir.IntType(64)


def new_clock(layers: int) -> np.ndarray:
    """A clock that has counted nothing: the time of the last mark, then cycles [layers, stages]."""
    return np.zeros(1 + layers * len(STAGES), np.int64)


def _now(builder):
    return builder.call(builder.module.declare_intrinsic("llvm.readcyclecounter", fnty=ir.FunctionType(_I64, [])), [])


@intrinsic
def cycles(typingctx):
    """The processor's time stamp."""
    return types.int64(), lambda context, builder, sig, args: _now(builder)


@intrinsic
def mark(typingctx, clock, stage, layer):
    """Add what has passed since the last mark to a stage of a layer; nothing where the clock is None."""

    def codegen(context, builder, sig, args):
        if isinstance(clock, types.Array):
            last = context.make_array(clock)(context, builder, args[0]).data
            place = builder.add(builder.mul(args[2], ir.Constant(_I64, len(STAGES))), args[1])
            sum_at = builder.gep(last, [builder.add(place, ir.Constant(_I64, 1))])
            now = _now(builder)
            passed = builder.sub(now, builder.load(last))
            builder.store(builder.add(builder.load(sum_at), passed), sum_at)
            builder.store(now, last)
        return context.get_dummy_value()

    return types.void(clock, types.intp, types.intp), codegen


@intrinsic
def begin(typingctx, clock):
    """From here on time is counted."""

    def codegen(context, builder, sig, args):
        if isinstance(clock, types.Array):
            builder.store(_now(builder), context.make_array(clock)(context, builder, args[0]).data)
        return context.get_dummy_value()

    return types.void(clock), codegen
