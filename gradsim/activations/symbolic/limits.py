"""What a formula tends to far out, where its evaluation at +-inf gives no number: inf * 0, inf/inf, inf - inf.

Read off in many digits at ever farther points, at the defaults of the parameters and at other values of theirs: what
is not the same there is left NaN, as are limits that do not exist.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from mpmath import mp

from gradsim.activations.spec import Parameter
from gradsim.activations.symbolic.program import Program

# Many, and at no regular distances: an oscillation must not look like growth.
_FAR = [mp.mpf(1013 + 37 * k) * mp.mpf(10) ** k for k in (*range(6, 22), 36, 60, 100, 150, 200, 250, 297)]
# Digits for terms of the farthest points' size, squared, that cancel.
_DIGITS = 640
# A result counts as growing or vanishing where it does so at least like z to this power.
_POWER = 0.3
_SAME = mp.mpf(10) ** -20
_SEEN, _SETTLED = 10, 4


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits that evaluation does not find.

    Attributes:
        results: for each result its limits at -inf and inf, mpmath numbers or None.
        signs: those of the parameters, 1, 0 or -1, for which these hold: an infinite z times 0 is another matter.
    """

    results: tuple[tuple[object | None, object | None], ...]
    signs: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return any(limit is not None for ends in self.results for limit in ends)


def limits_of(program: Program, function: Callable, parameters: Sequence[Parameter]) -> Limits:
    """The limits where evaluation gives no number; None elsewhere, and where there is none.

    function: the program as it is compiled, to be evaluated on arrays.
    """
    defaults = [p.default for p in parameters]
    ends = np.array([-np.inf, np.inf])
    with np.errstate(all="ignore"):
        plain = [np.broadcast_to(np.asarray(r, np.float64), 2) for r in function(ends, *defaults)]
    if not np.isnan(plain).any():
        return Limits(((None, None),) * len(plain))
    others = [_beside(p) for p in parameters]
    places = [defaults] if others == defaults else [defaults, others]
    sides = []
    for sign in (-1, 1):
        with mp.workdps(_DIGITS):
            far = [[program.evaluate([sign * z, *map(mp.mpf, values)]) for z in _FAR] for values in places]
            sides.append([_common([_limit([point[k] for point in line]) for line in far]) for k in range(len(plain))])
    found = (
        tuple(side[k] if np.isnan(plain[k][i]) else None for i, side in enumerate(sides)) for k in range(len(plain))
    )
    return Limits(tuple(found), tuple(int(np.sign(value)) for value in defaults))


def _beside(parameter: Parameter) -> float:
    """Another value that a parameter may have, of the same sign."""
    for factor in (1.37, 0.73):
        value = parameter.default * factor
        if parameter.low <= value <= parameter.high:
            return value
    return parameter.default


def _limit(values: Sequence[object]) -> object | None:
    """What values at the far points tend to: 0, +-inf, a number, or None."""
    seen = [(v, z**_POWER) for v, z in zip(values, _FAR, strict=True) if v == v][-_SEEN:]
    if len(seen) < _SEEN:
        return None
    last = seen[-1][0]
    if mp.isfinite(last) and all(abs(v - last) <= _SAME * abs(last) for v, _ in seen[-_SETTLED:]):
        return last
    if all(abs(v) <= 1 / size for v, size in seen):
        return mp.mpf(0)
    if all(abs(v) >= size and mp.sign(v) == mp.sign(last) for v, size in seen):
        return mp.sign(last) * mp.inf
    return None


def _common(limits: Sequence[object | None]) -> object | None:
    """The limit that all have."""
    first, *others = limits
    if first is None or any(other is None for other in others):
        return None
    # Not inf - inf, and not within a share of inf.
    near = _SAME * abs(first) if mp.isfinite(first) else -1
    return first if all(other == first or abs(other - first) <= near for other in others) else None
