"""Measuring floats against exact numbers: errors in units in the last place, and inputs that reach every corner."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from mpmath import mp

DIGITS = 50
# Results below the normal numbers have fewer digits: they may be this many of the smallest steps away. In z exp(z) the
# exponential is off by half a step at z = -745, the product by 373.
TINY_STEPS = 1024


def exact(function: Callable, inputs: Iterable[float]) -> list:
    """`function` of the exact value of every input, to 50 digits."""
    with mp.workdps(DIGITS):
        return [function(mp.mpf(float(x))) for x in inputs]


def ulp_errors(got: np.ndarray, wanted: Iterable) -> np.ndarray:
    """abs(got - wanted) in units in the last place of the wanted number, in the precision of `got`.

    The unit of a subnormal number is the smallest number above 0. inf where one overflows and the other does not, or
    where one is NaN and the other is not.
    """
    with mp.workdps(DIGITS):
        high, low, scale = np.array([_double_double(w) for w in wanted]).reshape(-1, 3).T
    with np.errstate(over="ignore", under="ignore"):
        nearest = (high / scale).astype(got.dtype)
    finite = np.isfinite(nearest)
    # Beyond half of the largest number the unit is the same, and np.spacing overflows.
    size = np.where(finite, np.minimum(np.abs(nearest), np.finfo(got.dtype).max / 2), 1)
    unit = np.spacing(size).astype(np.float64) * scale
    with np.errstate(invalid="ignore", over="ignore"):
        # got - high is exact where the two are close, and what high lacks is added after.
        error = np.abs((got.astype(np.float64) * scale - high) - low) / unit
    same = (got == nearest) | (np.isnan(got) & np.isnan(nearest))
    return np.where(finite, np.where(np.isfinite(got), error, np.inf), np.where(same, 0.0, np.inf))


def _double_double(number) -> tuple[float, float, float]:
    """(high, low, scale): number * scale = high + low to twice float64's digits; tiny numbers need the scale."""
    high, scale = float(number), 1.0
    if 0 < abs(high) < 1e-200 or (high == 0 and number != 0):
        scale = 2.0**400
        number = number * scale
        high = float(number)
    return high, float(number - high) if math.isfinite(high) else 0.0, scale


def normal_results(wanted: Iterable, dtype: np.dtype | type) -> np.ndarray:
    """Where the wanted numbers are normal numbers of the precision: neither subnormal nor beyond the largest."""
    limits = np.finfo(dtype)
    sizes = np.array([abs(float(w)) for w in wanted])
    return (sizes >= float(limits.smallest_normal)) & (sizes <= float(limits.max))


def excess(
    got: np.ndarray, x: np.ndarray, wanted: Sequence, formula: Callable, bar: float = 4, kinks: Sequence[float] = ()
) -> np.ndarray:
    """Error in ulp of `got` = f(x) beyond what moving the input by one ulp explains.

    `formula(z)` is the exact f at a float z. It is asked only where the error is above `bar`, and not for neighbors on
    or beyond a kink: the branch is never in doubt.
    """
    return beyond(got, wanted, lambda i: _moved(x[i], wanted[i], formula, kinks), bar)


def beyond(
    got: np.ndarray, wanted: Sequence, explained: Callable[[int], mp.mpf], bar: float, smallest: float | None = None
) -> np.ndarray:
    """Error in ulp of `got` less `explained(i)`, the absolute error that result number i may have.

    Results too small for a normal number count as 0 when they are within TINY_STEPS, results near the largest number
    when they are right or inf; else as inf. `smallest`, where given, is the size below which results
    have lost digits, whatever these are: products with a factor that is too small.
    """
    limits = np.finfo(got.dtype)
    error, sizes = ulp_errors(got, wanted), np.array([abs(float(w)) for w in wanted])
    if smallest is not None:
        error[(sizes < smallest) & (np.abs(got) < 2 * smallest)] = 0
    tiny = sizes < float(limits.smallest_normal)
    top = (sizes > float(limits.max)) & (sizes < 2 * float(limits.max))
    error[top] = np.where(np.abs(got[top]) > limits.max / 2, 0, np.inf)
    allowed = np.where(tiny, TINY_STEPS, bar)
    for i in np.flatnonzero((error > allowed) & np.isfinite(error)):
        unit = np.spacing(np.minimum(np.abs(got.dtype.type(float(wanted[i]))), limits.max / 2))
        with mp.workdps(DIGITS):
            error[i] = max(0.0, error[i] - float(explained(i) / mp.mpf(float(unit))))
    error[tiny] = np.where(error[tiny] <= TINY_STEPS, 0, np.inf)
    return error


def _moved(x: np.floating, wanted: mp.mpf, formula: Callable, kinks: Sequence[float]) -> mp.mpf:
    """How far f moves when x moves by one ulp."""
    moved = [mp.zero]
    for end in (-np.inf, np.inf):
        with np.errstate(over="ignore"):
            neighbor = np.nextafter(x, x.dtype.type(end))
        low, high = sorted((float(x), float(neighbor)))
        if np.isfinite([low, high]).all() and not any(low <= kink <= high for kink in kinks):
            moved.append(abs(formula(float(neighbor)) - wanted))
    return max(m for m in moved if m == m)


# --- inputs -------------------------------------------------------------------------------


def around(points: Iterable[float], dtype: np.dtype | type, reach: int = 3) -> np.ndarray:
    """Every point in the precision, with its `reach` neighbors on both sides."""
    found = []
    for point in points:
        for direction in (-np.inf, np.inf):
            x = np.asarray(point, dtype)
            for _ in range(reach + 1):
                found.append(x)
                x = np.nextafter(x, np.asarray(direction, dtype))
    return np.unique(np.array(found, dtype))


def spread_inputs(
    dtype: np.dtype | type, count: int, points: Sequence[float] = (), seed: int = 0, specials: bool = True
) -> np.ndarray:
    """About `count` floats to try a function at, sorted: dense near 0 and around `points`, both signs.

    Half of them are uniform over what activations are made for, a fifth is spread over all binary exponents from the
    smallest subnormal to the largest number, the rest crowds around the points and 0. With `specials` also -0, NaN,
    +-inf, the ends of the normal and subnormal numbers, and small whole numbers with their neighbors.
    """
    random, limits = np.random.default_rng([seed, np.dtype(dtype).itemsize]), np.finfo(dtype)
    largest, smallest = float(limits.max), float(limits.smallest_subnormal)
    edge = -math.log(float(limits.smallest_normal))

    def logarithmic(low, high, share):
        size = np.exp2(random.uniform(math.log2(low), math.log2(high), int(count * share)))
        return size * random.choice([-1, 1], size.size)

    uniform = [random.uniform(-r, r, int(count * s)) for r, s in ((1.5, 0.1), (6, 0.2), (20, 0.12), (edge, 0.1))]
    parts = [*uniform, logarithmic(1e-8, 1e3, 0.14), logarithmic(smallest, largest, 0.2)]
    crowded = points or [0.0]
    parts += [p + max(1, abs(p)) * logarithmic(float(limits.eps), 1, 0.14 / len(crowded)) for p in crowded]
    if specials:
        ends = [float(limits.smallest_normal), smallest, largest, largest / 2, edge]
        parts += [
            around([0, 0.5, 1, 2, 3, 6, *points], dtype),
            -around([0.5, 1, 2, 3, 6], dtype),
            ends,
            np.negative(ends),
        ]
    with np.errstate(over="ignore"):
        x = np.clip(np.concatenate(parts), -largest, largest).astype(dtype)
    x = np.unique(x)
    return np.concatenate([x, np.array([-0.0, np.nan, -np.inf, np.inf], dtype)]) if specials else x
