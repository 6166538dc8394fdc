"""Elementary functions on lane vectors: nanoseconds a number, one thread, arrays that stay in the L1 cache.

`float32` and `float64` are full-width vectors of either, `pairs` are float64 lanes carried with twice the digits, as
activations with `extended` use them. Loading the arguments and storing the results is part of the time.
"""

from __future__ import annotations

from .entries import LANES as FUNCTIONS
from .measure import least, made, read

PRECISIONS = ("float32", "float64", "pairs")
NUMBERS = {"float32": 1024, "float64": 512, "pairs": 512}
ROUNDS = 5
COMPARED, LEAST_NORMAL = 1024, 2.0**-120


def _kernel(name: str, pairs: bool):
    """`kernel(x, y, w, out, times)`: the function over whole arrays, the larger of its results stored."""
    import gradsim.lanes
    from gradsim import jit
    from gradsim.lanes import lane_count, load, maximum, store

    function, takes = getattr(gradsim.lanes, name), FUNCTIONS[name][0]
    if pairs:
        from gradsim.lanes import extend, rounded

        enter, leave = extend, rounded
    else:

        @jit.formula
        def enter(x):
            return x

        @jit.formula
        def leave(x):
            return x

    @jit.formula
    def one(x, y, w):
        return function(enter(x))

    @jit.formula
    def two(x, y, w):
        return function(enter(x), enter(y))

    @jit.formula
    def three(x, y, w):
        return function(enter(x), enter(y), enter(w))

    @jit.formula
    def first_of_two(x, y, w):
        a, b = function(enter(x))
        return maximum(a, b)

    formula = first_of_two if name in ("exp_expm1", "sin_cos", "cos_sin_turns") else (one, two, three)[takes - 1]

    @jit.kernel
    def kernel(x, y, w, out, times):
        size = lane_count(x)
        for _ in range(times):
            for i in range(0, x.size, size):
                store(out, i, leave(formula(load(x, i), load(y, i), load(w, i))))

    return kernel


def contender(name: str, precision: str, count: int = 0):
    """`call(repetitions)`, and the array that it leaves its results in."""
    import numpy as np

    from gradsim.lanes import aligned_empty

    dtype = "float32" if precision == "float32" else "float64"
    _, low, high = FUNCTIONS[name]
    rng, size = np.random.default_rng(0), count or NUMBERS[precision]
    *inputs, out = (aligned_empty(size, dtype) for _ in range(4))
    for array in inputs:
        # The same numbers in all precisions.
        array[...] = rng.uniform(low, high, size).astype(np.float32)
    kernel = _kernel(name, precision == "pairs")
    kernel(*inputs, out, 1)
    return (lambda times: kernel(*inputs, out, times)), out


def ulps(name: str) -> float:
    """Most that float32 is off from float64 of the same inputs, in units of the last place.

    `erfcx_fit` fits another stretch in either precision: there is nothing to compare.
    """
    import numpy as np

    if name == "erfcx_fit":
        return 0.0

    single, exact = (contender(name, dtype, COMPARED)[1].astype(np.float64) for dtype in ("float32", "float64"))
    counted = np.abs(exact) > LEAST_NORMAL
    step = np.spacing(np.abs(exact[counted]).astype(np.float32)).astype(np.float64)
    return float((np.abs(single - exact)[counted] / step).max())


def setup_cache() -> dict[tuple, float]:
    """Nanoseconds and errors of all functions."""
    try:
        import gradsim.lanes  # noqa: F401
    except ImportError:
        return {}
    contenders = made({(n, p): lambda n=n, p=p: contender(n, p)[0] for n in FUNCTIONS for p in PRECISIONS})
    seconds = least(contenders, ROUNDS)
    found = {("ns", name, p): s / NUMBERS[p] * 1e9 for (name, p), s in seconds.items()}
    return found | {("ulps", name): e for name, e in made({n: lambda n=n: ulps(n) for n in FUNCTIONS}).items()}


setup_cache.timeout = 600


class Elementary:
    """Nanoseconds a number of every function of gradsim.lanes."""

    params = (list(FUNCTIONS), list(PRECISIONS))
    param_names = ("function", "precision")
    unit = "ns"

    def track_time(self, found, name: str, precision: str) -> float:
        return read(found, "ns", name, precision)


class Accuracy:
    """Float32 against float64: so that fast and wrong shows."""

    params = (list(FUNCTIONS),)
    param_names = ("function",)
    unit = "ulp"

    def track_float32(self, found, name: str) -> float:
        return read(found, "ulps", name)
