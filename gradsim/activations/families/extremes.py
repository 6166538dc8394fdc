"""Extremes of a formula, found numerically: for ranges and largest slopes that have no closed form."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

_GOLDEN = (5**0.5 - 1) / 2


def lowest(act: object, low: float, high: float, **values: float) -> float:
    """The least value of a pointwise Activation between two inputs, at these parameter values."""
    return -_highest(act.function, 0, -1.0, float(low), float(high), tuple(values.values()))[0]


def highest(act: object, low: float, high: float, **values: float) -> float:
    """The largest value."""
    return _highest(act.function, 0, 1.0, float(low), float(high), tuple(values.values()))[0]


def steepest(act: object, low: float, high: float, **values: float) -> tuple[float, float]:
    """(largest abs(slope), where)."""
    return _highest(act.function, 1, 0.0, float(low), float(high), tuple(values.values()))


@functools.cache
def _highest(function: Callable, result: int, sign: float, low: float, high: float, values: tuple) -> tuple:
    """(maximum, where) of sign * a result of the formula, of its size where the sign is 0: a grid, then golden section.

    The formula runs in plain float64 on NumPy: near a maximum that is exact to the last bits of the maximum, and its
    place to half of them.
    """

    def measure(z: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = np.asarray(function(z, *values)[result], np.float64) + np.zeros_like(z)
        return sign * found if sign else np.abs(found)

    grid = np.linspace(low, high, 4001)
    best = int(np.nanargmax(measure(grid)))
    left, right = grid[max(0, best - 1)], grid[min(grid.size - 1, best + 1)]
    for _ in range(80):
        inner = np.array([right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)])
        first, second = measure(inner)
        left, right = (left, inner[1]) if first > second else (inner[0], right)
    points = np.array([grid[best], (left + right) / 2])
    heights = measure(points)
    at = int(np.argmax(heights))
    return float(heights[at]), float(points[at])
