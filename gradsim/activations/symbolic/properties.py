"""What is known of a formula's activation, found numerically: range, steepest slope, kinks and the like.

Best effort, for tables and pictures and for the threshold that saturation is measured against; nothing here changes a
number that is trained with. Kinks are looked for where a closed form gives them: at zeros, of degree one or two in z,
of what stands in abs, sign, max, min and conditions.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import sympy
from mpmath import mp

from gradsim.activations.symbolic.nodes import (
    CONSTANTS,
    Abs,
    And,
    Condition,
    Extremum,
    Or,
    Sign,
    Where,
    Z,
    bounded,
    value_of,
)
from gradsim.activations.symbolic.program import Program
from gradsim.activations.symbolic.record import Refused

# Where a limit is read off, and the digits that this takes where terms of that size cancel.
_FAR = [mp.mpf(10) ** k for k in (8, 16, 24, 36, 50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300)]
_FAR_DIGITS, _KINK_DIGITS = 640, 60
# Beside a kink: twice, to tell a pole.
_STEPS = (mp.mpf(10) ** -30, mp.mpf(10) ** -24)
_MAX_CANDIDATES = 64
# Each 20 times closer than the one before.
_LOOKS = 8
_TOWARD_ZERO, _OUTWARD = np.array([1e-8, 1e-11, 1e-14, 1e-17]), np.array([1e6, 1e10, 1e14, 1e18, 1e22])
_POINTS = np.unique(
    np.concatenate([[0.0], np.linspace(-30, 30, 6001), *(s * np.geomspace(1e-8, 1e6, 421) for s in (-1, 1))])
)


class Properties:
    """The properties of an activation, each a function of the parameters' values, for `Activation.properties`."""

    def __init__(self, expression: sympy.Expr, program: Program, function: Callable):
        self.expression, self.program, self.function = expression, program, function
        self.names = [str(s) for s in program.inputs[1:]]
        self._curve = functools.lru_cache(maxsize=16)(self._curve_at)
        self._limits = functools.lru_cache(maxsize=16)(self._limits_at)
        self._breaks = functools.lru_cache(maxsize=16)(self._breaks_at)

    def known(self) -> dict[str, Callable]:
        """Property -> function of the parameters."""
        found = ("range", "zero_centered", "monotonic", "smoothness", "saturates", "kinks", "steepest")
        return {name: getattr(self, name) for name in found}

    # --- the properties ---------------------------------------------------------------------------

    def range(self, /, **values: float) -> tuple[float, float]:
        """Closure of the set of values."""
        key = self._key(values)
        low, high = (0.0 + sign * self._largest(key, 0, lambda h, s=sign: s * h)[0] for sign in (-1, 1))
        near = max((abs(h) for h in (low, high) if math.isfinite(h)), default=1e-300) or 1e-300
        for side in (self._evaluated(_TOWARD_ZERO, key)[0].tolist(), *self._limits(key)):
            far = [h[0] if isinstance(h, tuple) else h for h in side]
            far = [h for h in far if h == h]
            grown = [h for h in far if abs(h) > 1e3 * near]
            if grown or _keeps_growing([abs(h) for h in far], near):
                grown = grown or far[-1:]
                low = -math.inf if any(h < 0 for h in grown) else low
                high = math.inf if any(h > 0 for h in grown) else high
            elif far:
                low, high = min(low, float(far[-1])), max(high, float(far[-1]))
        return (low, high) if low <= high else (-math.inf, math.inf)

    def zero_centered(self, /, **values: float) -> bool:
        """Whether f(-z) = -f(z)."""
        key = self._key(values)
        with mp.workdps(_KINK_DIGITS):
            for z in (0.0, 0.1, 0.7, 1.3, 2.9, 7.1, 23.0, 1e3):
                a, b = (self.program.evaluate([mp.mpf(s * z), *key])[0] for s in (1, -1))
                if not abs(a + b) <= 1e-25 * max(abs(a), 1e-300):
                    return False
        return True

    def monotonic(self, /, **values: float) -> bool:
        """Whether f never decreases."""
        key = self._key(values)
        _, h, slope = self._curve(key)
        h, slope = h[np.isfinite(h)], slope[np.isfinite(h)]
        far = [s for side in self._limits(key) for value, s in side if value == value]
        return bool(
            len(h) > 1
            and (np.diff(h) >= -1e-12 * np.maximum(1, abs(h[1:]))).all()
            and not (slope < -1e-12).any()
            and all(not s < -1e-12 for s in far)
        )

    def saturates(self, /, **values: float) -> str:
        """On which side the slope tends to 0."""
        limits = self._limits(self._key(values))
        low, high = (all(h == h and abs(s) < 1e-6 for h, s in side[-8:]) for side in limits)
        return {(True, True): "both", (True, False): "low", (False, True): "high"}.get((low, high), "none")

    def kinks(self, /, **values: float) -> tuple[float, ...]:
        """Points where the slope, or the value, jumps."""
        return tuple(float(z) for z, order in self._breaks(self._key(values)) if order <= 1)

    def smoothness(self, /, **values: float) -> float:
        """k if f is k times continuously differentiable."""
        return min((order - 1 for _, order in self._breaks(self._key(values))), default=math.inf)

    def steepest(self, /, **values: float) -> tuple[float, float]:
        """(max abs slope, a point where it is reached); both infinite where it grows without bound."""
        key = self._key(values)
        steep, at = self._largest(key, 1, abs)
        if steep == math.inf:
            return steep, at if abs(at) > 1e-12 else 0.0
        beyond = steep * (1 - 1e-9)
        if _keeps_growing(np.abs(self._evaluated(_TOWARD_ZERO, key)[1]).tolist(), beyond):
            return math.inf, 0.0
        for sign in (-1, 1):
            if _keeps_growing(np.abs(self._evaluated(sign * _OUTWARD, key)[1]).tolist(), beyond):
                return math.inf, sign * math.inf
        if abs(at) > 0.9 * _POINTS[-1]:  # approached, never reached
            limit = abs(self._limits(key)[int(at > 0)][-1][1])
            return (float(limit), math.copysign(math.inf, at)) if limit >= steep else (steep, at)
        return steep, at

    # --- curves and limits ------------------------------------------------------------------------

    def _key(self, values: dict[str, float]) -> tuple[float, ...]:
        return tuple(float(values[name]) for name in self.names)

    def _evaluated(self, z: np.ndarray, key: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Value and slope in float64 arrays."""
        with np.errstate(all="ignore"):
            h, slope = self.function(z, *key)[:2]
        return tuple(np.broadcast_to(np.asarray(a, np.float64), z.shape) for a in (h, slope))

    def _curve_at(self, key: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _POINTS, *self._evaluated(_POINTS, key)

    def _largest(self, key: tuple[float, ...], which: int, of: Callable) -> tuple[float, float]:
        """The largest of `of(value)` (which = 0) or `of(slope)` (1), and where: of equal ones the nearest to 0.

        Infinite at a pole, which grows with every closer look.
        """

        def sizes(z: np.ndarray) -> np.ndarray:
            y = of(self._curve(key)[1 + which] if z is _POINTS else self._evaluated(z, key)[which])
            return np.where(np.isfinite(y), y, -np.inf)

        z, y = _POINTS, sizes(_POINTS)
        if not np.isfinite(y.max()):
            return math.nan, 0.0
        tops = []
        for closer in range(_LOOKS):
            top = y.max()
            tops.append(float(top))
            equal = np.flatnonzero(y >= top - 1e-15 * abs(top))
            i = int(equal[len(equal) // 2 if closer else np.argmin(np.abs(z[equal]))])
            at = float(z[i])
            z = np.append(np.linspace(z[max(i - 1, 0)], z[min(i + 1, len(z) - 1)], 40), at)
            z.sort()
            y = sizes(z)
        if _keeps_growing(tops[-4:], tops[-4] + 1e-3 * abs(tops[-1])):
            return math.inf, at
        with mp.workdps(_KINK_DIGITS):
            exact = float(of(self.program.evaluate([mp.mpf(at), *key])[which])) + 0.0
        return exact if math.isfinite(exact) else tops[-1], at

    def _limits_at(self, key: tuple[float, ...]) -> tuple[list, list]:
        """(value, slope) at ever farther points below and above 0."""
        with mp.workdps(_FAR_DIGITS):
            return tuple([tuple(self.program.evaluate([s * z, *key])[:2]) for z in _FAR] for s in (-1, 1))

    # --- kinks ------------------------------------------------------------------------------------

    @functools.cached_property
    def _candidates(self) -> list[sympy.Expr]:
        """Expressions whose zeros may be kinks, free of further kinks."""
        found: dict[sympy.Expr, None] = {}
        for node in sympy.preorder_traversal(self.expression):
            if isinstance(node, Abs | Sign):
                found |= dict.fromkeys(_branches(node.args[0]))
            elif isinstance(node, Extremum) or (isinstance(node, Condition) and not isinstance(node, And | Or)):
                found |= dict.fromkeys(_branches(node.args[0] - node.args[1]))
            if len(found) > _MAX_CANDIDATES:
                break
        return [u for u in found if Z in u.free_symbols]

    @functools.cached_property
    def _orders(self) -> list[sympy.Expr]:
        """The value and its first three derivatives, or fewer where they grow too long."""
        out = [self.expression]
        with contextlib.suppress(Refused):
            for _ in range(3):
                out.append(bounded(out[-1].diff(Z)))
        return out

    def _breaks_at(self, key: tuple[float, ...]) -> list[tuple[object, int]]:
        """Points where the function or a derivative jumps, in order, and the lowest order that does."""
        with mp.workdps(_KINK_DIGITS):
            known = dict(zip(self.program.inputs[1:], map(mp.mpf, key), strict=True))
            places = {root for u in self._candidates for root in _roots(u, known)}
            found = [(z, self._jump(z, known)) for z in sorted(places)]
        return [(z, order) for z, order in found if order is not None]

    def _jump(self, z: object, known: dict) -> int | None:
        """The lowest order of derivative that jumps at z, or has a pole there."""
        beside = [z + s * step * max(1, abs(z)) for s in (-1, 1) for step in _STEPS]
        for order, expression in enumerate(self._orders):
            found = [_value(expression, known, x) for x in beside]
            largest = max(map(abs, found))
            if all(x != x for x in found):
                return None
            if not max(found) - min(found) <= 1e-9 * (1 + largest):
                return order
        return None


def _value(expression: sympy.Expr, known: dict, z: object) -> object:
    return value_of(expression, {s: f() for s, f in CONSTANTS.items()} | known | {Z: z})


def _branches(u: sympy.Expr) -> list[sympy.Expr]:
    """The expressions that u may be, by the branch that its own kinks take."""
    inner = next((n for n in sympy.preorder_traversal(u) if isinstance(n, Abs | Sign | Where | Extremum)), None)
    if inner is None:
        return [u]
    if isinstance(inner, Abs):
        choices = [inner.args[0], -inner.args[0]]
    elif isinstance(inner, Sign):
        choices = [sympy.Integer(1), sympy.Integer(-1)]
    else:
        choices = list(inner.args[-2:])
    out: list[sympy.Expr] = []
    for choice in choices:
        out += _branches(u.xreplace({inner: choice}))
        if len(out) > _MAX_CANDIDATES:
            break
    return out


def _roots(u: sympy.Expr, known: dict) -> list[object]:
    """Real zeros in z of an expression of degree one or two."""
    slope = u.diff(Z)
    curvature = slope.diff(Z)
    if Z in curvature.free_symbols:
        return []
    zero = mp.mpf(0)
    c, b, a = (_value(e, known, zero) for e in (u, slope, curvature / 2))
    if not all(map(mp.isfinite, (a, b, c))):
        return []
    if a == 0:
        return [-c / b] if b else []
    inside = b * b - 4 * a * c
    return [(-b + s * mp.sqrt(inside)) / (2 * a) for s in (-1, 1)] if inside >= 0 else []


def _keeps_growing(sizes: Sequence[float], beyond: float) -> bool:
    """Whether a sequence, taken at points that are ever farther out, leaves `beyond` behind without slowing down."""
    sizes = [s for s in sizes if s == s]
    if len(sizes) < 3 or not sizes[-1] > beyond:
        return False
    if sizes[-1] == math.inf:
        return True
    first, last = sizes[-2] - sizes[-3], sizes[-1] - sizes[-2]
    return bool(first > 0 and last >= 0.5 * first)
