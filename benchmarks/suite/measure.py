"""How the suite takes time: contenders in turns, the least of several, on the thread's own processor time.

Neighbors on the machine take the processor away and fill its caches: the first is not counted, the second only adds, so
that the least of turns that lie far apart is what the code itself takes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping

# Seconds that a contender runs at a time, at least.
TURN = 1e-3


def threads() -> int:
    """Worker threads for what is threaded: GRADSIM_BENCHMARK_THREADS, 2 where it is not set."""
    return int(os.environ.get("GRADSIM_BENCHMARK_THREADS") or 2)


def least(
    calls: Mapping[Hashable, Callable[[int], object]],
    rounds: int,
    turn: float = TURN,
    clock: Callable[[], float] = time.thread_time,
    warm: bool = True,
) -> dict[Hashable, float]:
    """Least seconds of one repetition of each `call(repetitions)`, all of them in turns.

    `warm` runs every call once before it is timed, so that nothing is compiled meanwhile.
    """

    def taken(call: Callable[[int], object], count: int) -> float:
        start = clock()
        call(count)
        return clock() - start

    counts, best = {}, {}
    for key, call in calls.items():
        if warm:
            call(1)
        count, seconds = 1, taken(call, 1)
        while seconds < turn:
            count = max(2 * count, min(64 * count, math.ceil(1.2 * turn * count / max(seconds, 1e-7))))
            seconds = taken(call, count)
        counts[key], best[key] = count, seconds / count
    for _ in range(rounds):
        for key, call in calls.items():
            best[key] = min(best[key], taken(call, counts[key]) / counts[key])
    return best


def missing() -> tuple[type[Exception], ...]:
    """What a commit raises that has not got a thing yet, or has it in another form: its numbers are n/a."""
    kinds: list[type[Exception]] = [ImportError, AttributeError, KeyError, TypeError, ValueError]
    try:
        from numba.core.errors import NumbaError

        from gradsim.errors import GradsimError
    except ImportError:
        return tuple(kinds)
    return (*kinds, NumbaError, GradsimError)


def made(makers: Mapping[Hashable, Callable[[], object]]) -> dict[Hashable, object]:
    """What each `make()` gives, without those that this commit is missing."""
    return dict(_made(makers))


def _made(makers: Mapping[Hashable, Callable[[], object]]) -> Iterator[tuple[Hashable, object]]:
    lacking = missing()
    for key, make in makers.items():
        try:
            yield key, make()
        except lacking:
            continue


def read(found: Mapping[Hashable, float], *key: Hashable) -> float:
    """A number of the setup cache; NaN, which asv shows as n/a, where this commit has none."""
    return found.get(key, math.nan)
