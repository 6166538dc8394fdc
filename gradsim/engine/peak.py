"""The machine's fused multiply-add peak, measured with the engine's own lane vectors: what speed is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gradsim import jit
from gradsim.lanes import LANES, aligned_empty, fma, lane_count, load, store

# Independent chains: enough to hide the latency of two FMA units, few enough to stay in 16 registers.
CHAINS = 12


@jit.kernel
def _spin(memory, rounds):
    """`rounds` times 12 fused multiply-adds on registers."""
    size = lane_count(memory)
    x, y = load(memory, 0), load(memory, size)
    a, b, c, d, e, f = x, x, x, x, x, x
    g, h, i, j, k, m = y, y, y, y, y, y
    for _ in range(rounds):
        a, b, c, d = fma(a, x, y), fma(b, x, y), fma(c, x, y), fma(d, x, y)
        e, f, g, h = fma(e, x, y), fma(f, x, y), fma(g, x, y), fma(h, x, y)
        i, j, k, m = fma(i, x, y), fma(j, x, y), fma(k, x, y), fma(m, x, y)
    store(memory, 2 * size, a + b + c + d + e + f + g + h + i + j + k + m)


def fma_peak(
    threads: int, dtype: str = "float32", seconds: float = 0.3, clock: Callable[[], float] = time.perf_counter
) -> float:
    """GFLOP/s of `threads` threads that do nothing but fused multiply-adds; the best of several rounds.

    With `time.thread_time` as clock it is that of the calling thread: what others take of its processor does not count.
    """
    kind = np.dtype(dtype)
    memories = [aligned_empty(3 * LANES[kind], kind) for _ in range(threads)]
    for memory in memories:
        # A fixed point of x -> 0.5 x + 1: values stay normal numbers.
        memory[: LANES[kind]], memory[LANES[kind] :] = 0.5, 1.0
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
            best = max(best, threads * rounds * CHAINS * LANES[kind] * 2 / taken / 1e9)
    return best
