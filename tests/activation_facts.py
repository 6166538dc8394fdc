"""What is true of an activation, found from its exact oracle: extremes, limits, jumps, symmetry.

Dense grids go through the compiled float64 block, which other tests hold to the oracle; what is found there is refined
at 50 digits.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable

import numpy as np
from activation_help import exactly_at, results
from mpmath import mp

CENTER = np.linspace(-50, 50, 100_001)
TAIL = np.geomspace(50, 1e300, 2000)
GRID = np.concatenate([-TAIL[:0:-1], CENTER, TAIL[1:]])
SIDES = (-np.inf, np.inf)
GOLDEN = (mp.sqrt(5) - 1) / 2


@dataclasses.dataclass(frozen=True)
class Facts:
    """What was found of an activation with its present parameters; `jumps` has an entry for each kink of the record."""

    range: tuple[float, float]
    max_slope: float
    slope_at_steepest: float
    saturates: str
    odd: bool
    monotonic: bool
    jumps: tuple[str, ...]
    unlisted_jumps: tuple[float, ...]


@functools.cache
def facts(act) -> Facts:
    """All of them, once for an activation; the large arrays that they come from are not kept."""
    search = Search(act)
    return Facts(
        search.range,
        search.max_slope,
        search.slope_at(act.steepest_at),
        search.saturates,
        search.odd,
        search.monotonic,
        tuple(map(search.jumps_at, search.kinks)),
        tuple(search.unlisted_jumps()),
    )


class Search:
    """The numeric search for facts of one activation with its present parameters."""

    def __init__(self, act):
        self.act = act
        self.at = exactly_at(act, np.float64)
        self.kinks = [float(k) for k in act.kinks]

    @functools.cached_property
    def on_grid(self) -> dict[str, np.ndarray]:
        """The block's value and slope on GRID."""
        return results(self.act, GRID)

    def beside(self, point: float) -> list[dict]:
        """The exact results at the float left of a point, at it, and right of it: a kink may lie between two floats."""
        return [self.at(float(z)) for z in (np.nextafter(point, -np.inf), point, np.nextafter(point, np.inf))]

    # --- extremes -----------------------------------------------------------------------

    @functools.cached_property
    def range(self) -> tuple[float, float]:
        """Infimum and supremum of the value."""
        return tuple(sign * self._supremum("value", lambda v, sign=sign: sign * v) for sign in (-1, 1))

    @functools.cached_property
    def max_slope(self) -> float:
        """Supremum of the absolute slope."""
        return self._supremum("slope", abs)

    def _supremum(self, what: str, measure: Callable) -> float:
        seen = measure(self.on_grid[what])
        center, tails = seen[np.abs(GRID) <= 50], seen[np.abs(GRID) > 50]
        ends = [measure(self.at(side)[what]) for side in SIDES]
        grows = any(e != e for e in ends) and np.nanmax(tails) > 1e3 * max(1, np.nanmax(np.abs(center)))
        if grows or any(e == mp.inf for e in ends) or np.nanmax(seen) == np.inf:
            return float("inf")
        best = int(np.nanargmax(seen))
        around = [GRID[max(0, best - 1)], GRID[min(GRID.size - 1, best + 1)]]
        found = [self._refined(lambda z: measure(self.at(z)[what]), *around)]
        found += [measure(side[what]) for kink in self.kinks for side in self.beside(kink)]
        return float(max(f for f in (*found, *ends) if f == f))

    def slope_at(self, point: float) -> float:
        """The largest absolute slope at a point or just beside it."""
        here = [self.at(point)] if not np.isfinite(point) else self.beside(point)
        return float(max((abs(r["slope"]) for r in here if r["slope"] == r["slope"]), default=mp.nan))

    @staticmethod
    def _refined(function: Callable, low: float, high: float) -> mp.mpf:
        """The largest value that a golden-section search finds between low and high."""
        with mp.workdps(30):
            low, high = mp.mpf(low), mp.mpf(high)
            left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
            f_left, f_right = function(left), function(right)
            best = max(f_left, f_right, function(low), function(high))
            for _ in range(60):
                if f_left > f_right:
                    high, right, f_right = right, left, f_left
                    left = high - GOLDEN * (high - low)
                    f_left = function(left)
                else:
                    low, left, f_left = left, right, f_right
                    right = low + GOLDEN * (high - low)
                    f_right = function(right)
                best = max(best, f_left, f_right)
            return best

    # --- shape --------------------------------------------------------------------------

    @functools.cached_property
    def saturates(self) -> str:
        """On which side the slope tends to 0."""
        low, high = (self.at(side)["slope"] == 0 for side in SIDES)
        return {(True, True): "both", (True, False): "low", (False, True): "high"}.get((low, high), "none")

    @functools.cached_property
    def odd(self) -> bool:
        """Whether f(-z) = -f(z)."""
        points = [0.0, *np.geomspace(1e-3, 300, 30)]
        with mp.workdps(50):
            pairs = [(self.at(z)["value"], self.at(-z)["value"]) for z in points]
            return all(abs(a + b) <= mp.mpf("1e-40") * abs(a) for a, b in pairs)

    @functools.cached_property
    def monotonic(self) -> bool:
        """Whether f never decreases, as far as dense slopes and exact values at some hundred points show."""
        points = sorted({*np.linspace(-30, 30, 241), *np.linspace(-2, 2, 81), *self.kinks, -1e4, 1e4})
        exact = [self.at(z) for z in points]
        rising = all(b["value"] >= a["value"] for a, b in itertools.pairwise(exact))
        return rising and all(e["slope"] >= 0 for e in exact) and bool((self.on_grid["slope"] >= 0).all())

    # --- jumps --------------------------------------------------------------------------

    def jumps_at(self, point: float) -> str:
        """What jumps there: "value", "slope" or ""."""
        for what in ("value", "slope"):
            left, here, right = (r[what] for r in self.beside(point))
            size = max(1, *(abs(s) for s in (left, here, right) if s == s))
            if any(not abs(a - b) <= mp.mpf("1e-9") * size for a, b in ((left, here), (here, right))):
                return what
        return ""

    def unlisted_jumps(self, reach: float = 10.0) -> list[float]:
        """Points within the reach where value or slope jumps, and that are no kinks of the record."""
        grid = np.linspace(-reach, reach, 20_011)
        found = []
        for what in ("value", "slope"):
            step = np.abs(np.diff(results(self.act, grid)[what]))
            likely = np.argsort(step)[-40:]
            low, high, size = grid[likely], grid[likely + 1], step[likely]
            for _ in range(60):  # keep the half that holds the larger part of the step
                middle = (low + high) / 2
                at = [results(self.act, x)[what] for x in (low, middle, high)]
                first = np.abs(at[1] - at[0]) >= np.abs(at[2] - at[1])
                low, high = np.where(first, low, middle), np.where(first, middle, high)
            left = [results(self.act, x)[what] for x in (low, high)]
            jump = np.abs(left[1] - left[0])
            found += [float(h) for h in high[(jump > 0.5 * size) & (jump > 1e-5)]]
        return sorted({x for x in found if not any(abs(x - k) < 1e-9 * max(1, abs(k)) for k in self.kinks)})
