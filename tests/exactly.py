"""Measuring floats against exact numbers: errors in units in the last place, and inputs that reach every corner."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from mpmath import mp

DIGITS = 50


def exact(function: Callable, inputs: Iterable[float]) -> list:
    """`function` of the exact value of every input, to 50 digits."""
    with mp.workdps(DIGITS):
        return [function(mp.mpf(float(x))) for x in inputs]


def ulp_errors(got: np.ndarray, wanted: Iterable) -> np.ndarray:
    """abs(got - wanted) in units in the last place of the wanted number, in the precision of `got`.

    The unit of a subnormal number is the smallest number above 0. inf where one overflows and the other does not, or
    where what was got is NaN.
    """
    with mp.workdps(DIGITS):
        high, low, scale = np.array([_double_double(w) for w in wanted]).reshape(-1, 3).T
    with np.errstate(over="ignore", under="ignore"):
        nearest = (high / scale).astype(got.dtype)
    finite = np.isfinite(nearest)
    # Beyond half of the largest number the unit is the same, and np.spacing overflows.
    size = np.where(finite, np.minimum(np.abs(nearest), np.finfo(got.dtype).max / 2), 1)
    unit = np.spacing(size).astype(np.float64) * scale
    with np.errstate(invalid="ignore"):
        # got - high is exact where the two are close, and what high lacks is added after.
        error = np.abs((got.astype(np.float64) * scale - high) - low) / unit
    return np.where(finite, np.where(np.isfinite(got), error, np.inf), np.where(got == nearest, 0.0, np.inf))


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
