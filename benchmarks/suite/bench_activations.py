"""Every activation: nanoseconds a number of its compiled blocks, called by address as the trainer does, one thread.

By name: value and slope in float32, of numbers that with their results stay in the L1 cache. By family: the mean over
its members, of value alone and of value and slope, in both precisions, in the L1 cache and in memory.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .entries import ACTIVATIONS, FAMILIES
from .measure import least, made, read

OUTPUTS = ("value", "value_and_slope")
DTYPES = ("float32", "float64")
# Bytes of inputs, values and slopes; rounds, and seconds of a turn: in memory one pass is a turn.
BYTES = {"L1": 24 << 10, "memory": 48 << 20}
ROUNDS = {"L1": 4, "memory": 0}
TURNS = {"L1": 3e-4, "memory": 0.0}
# Inputs of the comparison of precisions, and where a result has too few digits to count ulps of.
COMPARED, LEAST_NORMAL, MOST = 4096, 2.0**-120, 1e38


def _output(act, output: str) -> str:
    """Whole layers have no slope apart: their outputs go with what the backward pass needs."""
    return "value_and_slope" if act.kind == "layerwise" else output


def compile_blocks(names: tuple[str, ...]) -> None:
    """Compile blocks into the disk cache."""
    from gradsim.activations import get

    made({(n, d, o): lambda n=n, d=d, o=o: get(n).block(d, _output(get(n), o)) for n, d, o in _keys(names)})


def _keys(names: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return [(name, dtype, output) for name in names for dtype in DTYPES for output in OUTPUTS]


def compile_in_two_processes(names: tuple[str, ...]) -> None:
    """A commit's first run has a thousand blocks to compile: on two cores in half the time.

    Forked, because asv's way to this module is not on a new interpreter's path; nothing runs threads yet.
    """
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        list(pool.map(compile_blocks, [names[0::2], names[1::2]]))


def contender(name: str, dtype: str, output: str, arrays):
    """`call(repetitions)` of a block over whole arrays, and the numbers that it takes."""
    import numpy as np

    from gradsim.activations import get
    from gradsim.activations.blocks import call_block
    from gradsim.lanes import LANES

    act, lanes, (z, h, slope) = get(name), LANES[np.dtype(dtype)], arrays
    address = act.block(dtype, _output(act, output)).address
    parameters = np.repeat(act.parameter_vector().astype(dtype), lanes)
    takes, gives = getattr(act, "preactivations", 1), getattr(act, "outputs", 1)
    # call_block counts units by the size of z; of a layer they take several numbers and give several.
    units = z[: z.size // max(takes, gives) // lanes * lanes]
    return (lambda times: call_block(address, units, h, slope, parameters, times)), units.size * takes


def arrays_of(dtype: str, place: str):
    """Standard normal inputs, and room for values and slopes."""
    import numpy as np

    from gradsim.lanes import aligned_empty

    size = BYTES[place] // 3 // np.dtype(dtype).itemsize
    z, h, slope = (aligned_empty(size, dtype) for _ in range(3))
    z[...] = np.random.default_rng(0).standard_normal(size)
    h[...] = slope[...] = 0
    return z, h, slope


def nanoseconds(names: tuple[str, ...]) -> dict[tuple, float]:
    """{(name, output, dtype, place): nanoseconds a number}."""
    found = {}
    for place, rounds in ROUNDS.items():
        for dtype in DTYPES:
            arrays = arrays_of(dtype, place)

            def tried(key, dtype=dtype, place=place, arrays=arrays):
                call, numbers = contender(key[0], dtype, key[1], arrays)
                if place == "L1":
                    call(1)
                return call, numbers

            keys = [(n, o) for n in names for o in OUTPUTS if place == "L1" or (n, o, dtype, "L1") in found]
            contenders = made({key: lambda key=key, tried=tried: tried(key) for key in keys})
            calls = {key: call for key, (call, _) in contenders.items()}
            seconds = least(calls, rounds, TURNS[place], warm=False)
            found |= {(*key, dtype, place): s / contenders[key][1] * 1e9 for key, s in seconds.items()}
    return found


def ulps(name: str) -> float:
    """Most that float32 is off, value or slope, in units of the last place: against float64 of the same inputs, less
    what moving an input by one unit of its last place changes. NaN of layers, whose numbers move together."""
    import numpy as np

    from gradsim.activations import get

    act, rng = get(name), np.random.default_rng(0)
    act = get(name, **{key: float(np.float32(value)) for key, value in act.values.items()})
    if act.kind == "layerwise":
        return math.nan
    z = np.concatenate([rng.uniform(-8, 8, COMPARED // 2), rng.standard_normal(COMPARED // 2)]).astype(np.float32)
    near = [z, np.nextafter(z, np.float32(-np.inf)), np.nextafter(z, np.float32(np.inf))]
    singles, exacts = act.value_and_derivative(z), [act.value_and_derivative(x.astype(np.float64)) for x in near]
    worst = 0.0
    for single, exact, below, above in zip(singles, *exacts, strict=True):
        counted = np.isfinite(exact) & (np.abs(exact) > LEAST_NORMAL) & (np.abs(exact) < MOST)
        moves = np.maximum(np.abs(above - exact), np.abs(below - exact))[counted]
        step = np.spacing(np.abs(exact[counted]).astype(np.float32)).astype(np.float64)
        worst = max(worst, float(((np.abs(single - exact)[counted] - moves) / step).max(initial=0.0)))
    return worst


def setup_cache() -> dict[tuple, float]:
    """Everything of this module: the numbers of asv's cases by their keys."""
    try:
        compile_in_two_processes(ACTIVATIONS)
        import gradsim.activations.blocks  # noqa: F401
    except ImportError:
        return {}
    each = nanoseconds(ACTIVATIONS)
    found = {("name", name): each.get((name, "value_and_slope", "float32", "L1"), math.nan) for name in ACTIVATIONS}
    errors = made({name: lambda name=name: ulps(name) for name in ACTIVATIONS})
    for family, names in FAMILIES.items():
        for output, dtype, place in ((o, d, p) for o in OUTPUTS for d in DTYPES for p in ROUNDS):
            members = [each[key] for n in names if (key := (n, output, dtype, place)) in each]
            # A mean over fewer members than the family has is of something else.
            if len(members) == len(names):
                found["family", output, dtype, place, family] = sum(members) / len(members)
        told = [errors.get(name, math.inf) for name in names if not math.isnan(errors.get(name, math.inf))]
        if told and max(told) < math.inf:
            found["ulps", family] = max(told)
    return found


setup_cache.timeout = 900


class ByName:
    """Nanoseconds a number of value and slope together, float32, in the L1 cache."""

    params = (list(ACTIVATIONS),)
    param_names = ("activation",)
    unit = "ns"

    def track_value_and_slope(self, found, name: str) -> float:
        return read(found, "name", name)


class ByFamily:
    """Nanoseconds a number, the mean over the members of a family."""

    params = (list(FAMILIES), list(DTYPES), list(ROUNDS))
    param_names = ("family", "dtype", "arrays in")
    unit = "ns"

    def track_value(self, found, family: str, dtype: str, place: str) -> float:
        return read(found, "family", "value", dtype, place, family)

    def track_value_and_slope(self, found, family: str, dtype: str, place: str) -> float:
        return read(found, "family", "value_and_slope", dtype, place, family)


class Accuracy:
    """The worst of a family in float32, value or slope, against float64: so that fast and wrong shows."""

    params = (list(FAMILIES),)
    param_names = ("family",)
    unit = "ulp"

    def track_float32(self, found, family: str) -> float:
        return read(found, "ulps", family)
