"""The table of oracles, and the decorators that enter a formula of the literature in it.

An oracle is the VALUE of an activation, written from its paper in the functions of `oracles.dual`; slopes and parameter
derivatives come from it by forward-mode differentiation at 50 digits, so they owe nothing to the code under test.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mpmath import mp

from oracles.dual import Dual

DIGITS = 50
ORACLES: dict[str, Oracle] = {}
LAYER_ORACLES: dict[str, LayerOracle] = {}
REPEATED: list[str] = []
# Where the limit at inf is looked for: far beyond the floats, and no regular distance apart.
FAR = ("1e400", "3e431", "7e467", "2e501", "5e563", "4e611", "9e692", "1e800")


class Exact(NamedTuple):
    """An activation at one input: value, slope, and the derivative in each parameter by name."""

    value: mp.mpf
    slope: mp.mpf
    parameters: dict[str, mp.mpf]


class Oracle:
    """`oracle(z, **parameters)` -> Exact, to 50 digits.

    Parameters that are not given have the formula's defaults. NaN gives NaN. At +-inf stands what `limits` says, and
    the limit found from afar where it says nothing: NaN where there is none, as for the sine.
    """

    def __init__(self, function: Callable, limits: Mapping | None = None, digits: int = DIGITS):
        self.function, self.limits, self.digits = function, limits or {}, digits
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        others = list(inspect.signature(function).parameters.values())[1:]
        self.parameters = tuple(p.name for p in others)
        self.defaults = {p.name: p.default for p in others if p.default is not p.empty}

    def __repr__(self) -> str:
        return f"<oracle {self.__name__}({', '.join(('z', *self.parameters))})>"

    def __call__(self, z: object, **parameters: object) -> Exact:
        """Value, slope and the derivative in every parameter."""
        value, slope, *rest = self._evaluate(z, parameters, 1 + len(self.parameters))
        return Exact(value, slope, dict(zip(self.parameters, rest, strict=True)))

    def value_and_slope(self, z: object, **parameters: object) -> tuple:
        """(value, slope), without the work for the parameters."""
        return self._evaluate(z, parameters, 1)

    def _evaluate(self, z: object, parameters: dict, directions: int) -> tuple:
        """(value, derivative in z, in each parameter ...), as many derivatives as `directions`."""
        unknown = parameters.keys() - set(self.parameters)
        if unknown:
            raise TypeError(f"oracle {self.__name__} has no parameter {sorted(unknown)}")
        with mp.workdps(self.digits):
            at = mp.mpf(z if type(z) is mp.mpf else float(z))
            numbers = [mp.mpf(parameters.get(k, self.defaults.get(k))) for k in self.parameters]
            if at != at:
                return (mp.nan,) * (1 + directions)
            if mp.isinf(at):
                return self._limit(at > 0, numbers, directions)
            return self._at(at, numbers, directions)

    def _at(self, z: mp.mpf, numbers: list, directions: int) -> tuple:
        unit = [[mp.one if i == j else 0 for i in range(directions)] for j in range(1 + len(numbers))]
        result = self.function(*[Dual(x, tuple(u)) for x, u in zip((z, *numbers), unit, strict=True)])
        if type(result) is Dual:
            return (result.value, *[mp.mpf(t) for t in result.tangents])
        return (mp.mpf(result), *[mp.zero] * directions)

    def _limit(self, positive: bool, numbers: list, directions: int) -> tuple:
        given = self.limits.get("inf" if positive else "-inf", ())
        if callable(given):
            given = given(*numbers)
        given = tuple(mp.mpf(g) for g in given)
        if len(given) > directions:
            return given[: directions + 1]
        side = 1 if positive else -1
        seen = zip(*[self._at(side * mp.mpf(z), numbers, directions) for z in FAR], strict=True)
        return given + tuple(limit_of(results) for results in list(seen)[len(given) :])


def limit_of(seen: tuple) -> mp.mpf:
    """The number that a sequence of results from ever further away tends to; NaN where it tends to none."""
    if any(s != s for s in seen):
        return mp.nan
    if all(abs(s) < mp.mpf("1e-100") for s in seen):
        return mp.zero
    last = seen[-1]
    if all(s == last or abs(s - last) <= mp.mpf("1e-30") * abs(last) for s in seen):
        return last
    rising = [abs(b) > abs(a) or mp.isinf(b) for a, b in itertools.pairwise(seen)]
    if all(rising) and len({s > 0 for s in seen}) == 1:
        return mp.inf if last > 0 else mp.ninf
    return mp.zero if not any(rising) and abs(last) < abs(seen[0]) * mp.mpf("0.9") else mp.nan


def oracle(
    function: Callable | None = None, *, name: str | None = None, limits: Mapping | None = None, digits: int = DIGITS
):
    """Decorator: enters `function(z, *parameters) -> value` under its name (or `name`) as an activation's oracle.

    `limits` maps "-inf" and "inf" to (value, slope, d/dparameter ...) or to a function of the parameters that gives
    them; trailing ones may be left out and are then found numerically. `digits` above 50 is for formulas that cancel.
    """

    def enter(formula: Callable) -> Oracle:
        return _enter(ORACLES, name or formula.__name__, Oracle(formula, limits, digits))

    return enter(function) if function else enter


def _enter(table: dict, key: str, made: object) -> object:
    if key in table:
        # The first stays, so that one name written twice does not take all other oracles away; a test fails.
        REPEATED.append(f"two oracles for {key!r}: in {table[key].__module__} and {made.__module__}")
    table.setdefault(key, made)
    return made


# --- layerwise --------------------------------------------------------------------------


class ExactLayer(NamedTuple):
    """The outputs of a layer, and jacobian[i][j] = d output i / d pre-activation j."""

    outputs: list[mp.mpf]
    jacobian: list[list[mp.mpf]]

    def vjp(self, upstream: Sequence) -> list[mp.mpf]:
        """d(sum of upstream * outputs) / d pre-activation, for each."""
        above = [mp.mpf(float(u)) for u in upstream]
        return [mp.fdot(above, column) for column in zip(*self.jacobian, strict=True)]


class LayerOracle:
    """`oracle(z, **shape)` -> ExactLayer, of all the pre-activations z of one layer; a NaN among them makes all NaN."""

    def __init__(self, function: Callable, digits: int | Callable):
        self.function, self.digits = function, digits
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__

    def __call__(self, z: Sequence, **shape: object) -> ExactLayer:
        """Outputs and Jacobian."""
        with mp.workdps(self.digits(z) if callable(self.digits) else self.digits):
            at = [mp.mpf(x if type(x) is mp.mpf else float(x)) for x in z]
            unit = [[mp.one if i == j else 0 for i in range(len(at))] for j in range(len(at))]
            outputs = self.function([Dual(x, tuple(u)) for x, u in zip(at, unit, strict=True)], **shape)
            numbers = [o if type(o) is Dual else Dual(mp.mpf(o), (0,) * len(at)) for o in outputs]
            nothing = mp.nan if any(x != x for x in at) else mp.zero
            return ExactLayer(
                [n.value + nothing for n in numbers], [[mp.mpf(t) + nothing for t in n.tangents] for n in numbers]
            )


def layer_oracle(function: Callable | None = None, *, name: str | None = None, digits: int | Callable = DIGITS):
    """Decorator: enters `function([z ...], **shape parameters) -> [output ...]` as a layerwise activation's oracle.

    `digits` may be a function of the pre-activations.
    """

    def enter(formula: Callable) -> LayerOracle:
        return _enter(LAYER_ORACLES, name or formula.__name__, LayerOracle(formula, digits))

    return enter(function) if function else enter
