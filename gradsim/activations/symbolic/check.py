"""Whether a formula can be computed as it stands: finite everywhere it should be, and without losing its digits.

It is evaluated twice at some two hundred inputs: with all the digits that it may need, and as a kernel does, in
float64 or, for an extended formula, with 60 bits in every function and 100 in the arithmetic between them.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from mpmath import mp

from gradsim.activations.symbolic.program import Program
from gradsim.activations.symbolic.record import Formula, FormulaWarning, Refused
from gradsim.errors import short

# Digits that leave some even of what cancels down to the smallest normal number.
_DIGITS = 340
_NOTHING = mp.mpf(10) ** -100
_ARITHMETIC_BITS, _FUNCTION_BITS = 100, 60
# Error in units of the last place that a user is told of, beyond what moving the input by one unit explains.
TOLERATED = 64
POINTS = np.unique(np.concatenate([np.linspace(-30, 30, 121), *(s * np.geomspace(1e-6, 1e6, 49) for s in (-1, 1))]))
_SINGLE_POINTS = np.unique(POINTS.astype(np.float32))

_TOLD = (
    "is not finite {where}",
    "is finite but overflows on the way {where}",
    "loses {worst} {where}",
)


@dataclasses.dataclass
class _Finding:
    """What is wrong with one of a formula's results, where, and how much."""

    told: str
    count: int
    worst: float = 0.0
    places: list[float] = dataclasses.field(default_factory=list)

    def add(self, z: float, size: float = 0.0) -> None:
        self.places.append(float(z))
        self.worst = max(self.worst, size)

    def __str__(self) -> str:
        worst = f"up to {self.worst:.0f} units in the last place" if self.worst < 1e15 else "all digits"
        where = f"at z = {self.places[0]:g}"
        if len(self.places) > 1:
            where = f"at {len(self.places)} of {self.count} inputs from z = {self.places[0]:g} to {self.places[-1]:g}"
        return self.told.format(where=where, worst=worst)


def check(program: Program, function: Callable, formula: Formula) -> None:
    """Warn of what is wrong with a formula at its parameters' defaults; Refused where it is good for nothing.

    Derivatives in parameters matter where these are learned.
    """
    values, extended = [p.default for _, p in formula.parameters], formula.precision == "extended"
    results = {0: "value", 1: "slope"}
    results |= {2 + j: f"derivative in {n}" for j, (n, p) in enumerate(formula.parameters) if p.role == "learned"}
    exact = [_exact(program, z, values) for z in POINTS]
    heights = [results[0] for results in exact if mp.isfinite(results[0])]
    if not heights:
        raise Refused("is not a number anywhere from -1e6 to 1e6")
    if max(heights) - min(heights) <= _NOTHING * abs(heights[0]) and len(heights) == len(exact):
        raise Refused("does not depend on z")
    found = _findings(program, function, values, POINTS, exact, results, extended)
    if not extended:
        # The precision that campaigns train in unless told otherwise, and of fewer digits and a smaller range.
        values = [float(np.float32(v)) for v in values]
        exact = [_exact(program, z, values) for z in _SINGLE_POINTS]
        single = _findings(program, function, values, _SINGLE_POINTS, exact, results, extended)
        found += [f"in float32 {finding}" for finding in single]
    if found:
        warnings.warn(f"formula {short(formula.text)}: {'; '.join(found)}", FormulaWarning, stacklevel=4)


def _findings(
    program: Program,
    function: Callable,
    values: Sequence[float],
    points: np.ndarray,
    exact: list,
    results: dict,
    extended: bool,
) -> list[str]:
    """What is wrong with the results, by their names, at points and in the precision of these."""
    info = np.finfo(points.dtype)
    with np.errstate(all="ignore"):
        got = [np.broadcast_to(np.asarray(r, info.dtype), points.shape) for r in function(points, *values)]
    plain = np.stack(got).astype(np.float64)
    computed = [_extended(program, z, values) for z in points] if extended else plain.T
    found = []
    for k, name in results.items():
        undefined, lost, inaccurate = (_Finding(told, len(points)) for told in _TOLD)
        for i, z in enumerate(points):
            truth = exact[i][k]
            if not mp.isfinite(truth):
                undefined.add(z)
            elif abs(truth) <= info.max:
                if not np.isfinite(plain[k, i]):
                    lost.add(z)
                elif abs(truth) >= info.smallest_normal:
                    error = _excess(program, z, values, k, computed[i][k], truth)
                    if error > TOLERATED:
                        inaccurate.add(z, error)
        found += [f"the {name} {finding}" for finding in (undefined, lost, inaccurate) if finding.places]
    return found


def _exact(program: Program, z: float, values: Sequence[float]) -> list:
    with mp.workdps(_DIGITS):
        return program.evaluate([mp.mpf(float(z)), *map(mp.mpf, values)])


def _to_function_bits(x: object) -> object:
    with mp.workprec(_FUNCTION_BITS):
        return +x


def _extended(program: Program, z: float, values: Sequence[float]) -> list:
    """The results as pairs of float64 give them."""
    with mp.workprec(_ARITHMETIC_BITS):
        return program.evaluate([mp.mpf(float(z)), *map(mp.mpf, values)], _to_function_bits)


def _excess(
    program: Program, z: np.floating, values: Sequence[float], which: int, near: object, truth: object
) -> float:
    """The error of `near` in units of the last place of `truth`, less what the next input's result differs by."""
    unit = float(np.spacing(z.dtype.type(abs(truth))))
    near = mp.mpf(near)
    error = abs(near - truth) / unit if near == near else mp.inf
    if error <= TOLERATED:
        return float(error)
    moved = [_exact(program, np.nextafter(z, z.dtype.type(side)), values)[which] for side in (-np.inf, np.inf)]
    explained = max((abs(m - truth) / unit for m in moved if mp.isfinite(m)), default=mp.mpf(0))
    return float(min(error - explained, mp.mpf(1e300)))
