"""The machine's fused multiply-add peak, measured with registers of its own width: what speed is compared with.

Where the processor has no fused multiply-add it is that of a multiplication and an addition.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.lanes import aligned_empty
from gradsim.lanes.memory import element_pointer, vector_load, vector_store
from gradsim.lanes.vector import Lanes, llvm_call

# Independent chains: enough to hide the latency of two FMA units, few enough to stay in 16 registers.
CHAINS = 12


@jit.kernel
def _spin(memory, rounds):
    """`rounds` times 12 fused multiply-adds on registers, at least once; memory: factor, summand, sums, their total."""
    _multiply_adds(memory, rounds)


@intrinsic
def _multiply_adds(typingctx, memory, rounds):
    """The loop of `_spin`."""
    width = registers_lanes(np.dtype(str(memory.dtype)))

    def codegen(context, builder, sig, args):
        vector, word = Lanes(memory.dtype, width).llvm, ir.IntType(64)
        places = [ir.Constant(word, i * width) for i in range(CHAINS + 3)]
        places = [element_pointer(context, builder, memory, args[0], place) for place in places]
        x, y, *starts = (vector_load(builder, place, vector) for place in places[:-1])
        before, loop, done = builder.block, builder.append_basic_block("spin"), builder.append_basic_block("spun")
        builder.branch(loop)
        builder.position_at_end(loop)
        left, sums = builder.phi(word), [builder.phi(vector) for _ in starts]
        following = [llvm_call(builder, "fmuladd", value, x, y) for value in sums]
        still = builder.sub(left, ir.Constant(word, 1))
        for phi, first, last in zip([left, *sums], [args[1], *starts], [still, *following], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(last, loop)
        builder.cbranch(builder.icmp_signed(">", still, ir.Constant(word, 0)), loop, done)
        builder.position_at_end(done)
        total = following[0]
        for value in following[1:]:
            total = builder.fadd(total, value)
        vector_store(builder, total, places[-1])
        return context.get_dummy_value()

    return types.void(memory, types.int64), codegen


def registers_lanes(dtype: np.dtype) -> int:
    """How many numbers a register of the processor holds."""
    return jit.vector_registers().size // dtype.itemsize


def fma_peak(
    threads: int, dtype: str = "float32", seconds: float = 0.3, clock: Callable[[], float] = time.perf_counter
) -> float:
    """GFLOP/s of `threads` threads that do nothing but fused multiply-adds; the best of several rounds.

    With `time.thread_time` as clock it is that of the calling thread: what others take of its processor does not count.
    """
    kind = np.dtype(dtype)
    width = registers_lanes(kind)
    memories = [aligned_empty((CHAINS + 3) * width, kind) for _ in range(threads)]
    for memory in memories:
        # A fixed point of x -> 0.5 x + 1: values stay normal numbers.
        memory[:width], memory[width:] = 0.5, 1.0
    _spin(memories[0], 1)
    # Short rounds where a thread measures itself: one of them meets nobody.
    alone = clock is time.thread_time
    rounds, best = 1 << (16 if alone else 20), 0.0
    with ThreadPoolExecutor(threads) as pool:
        run = map if alone else pool.map
        end = time.perf_counter() + seconds
        while best == 0.0 or time.perf_counter() < end:
            start = clock()
            list(run(_spin, memories, [rounds] * threads))
            taken = clock() - start
            best = max(best, threads * rounds * CHAINS * width * 2 / taken / 1e9)
    return best
