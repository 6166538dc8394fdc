"""The functions of text formulas as SymPy nodes: what each is, its derivative, and its value in high precision.

SymPy's own functions are not used: it would rewrite them (tanh' as 1 - tanh^2, which has no digits in the tails) and
evaluate them of its own accord. Here a function is opaque to it but for the derivative that is written down.
Imported only where a formula is made: importing SymPy takes a quarter of a second.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping

import sympy
from mpmath import mp

from gradsim.activations.symbolic.record import Refused

Z = sympy.Symbol("z")
# Constants are symbols, not SymPy's: it would turn E**z into an exp of its own.
PI, E = sympy.Symbol("pi"), sympy.Symbol("e")
CONSTANTS = {PI: lambda: +mp.pi, E: lambda: +mp.e}
# Nodes of an expression as a tree; a published activation has fewer than 100.
MAX_SIZE = 5000
_HALF = sympy.Rational(1, 2)
# Beyond this an exponent is not worth its arithmetic: exp gives 0 or inf, a sine no number.
_HUGE = mp.mpf(10) ** 30
_FAR = mp.mpf(10) ** 400


class Node(sympy.Function):
    """A function that SymPy does not look into; `lanes` is its name in `gradsim.lanes`, or source with a place for u.

    parity: 1 if it is even, -1 if odd, 0 if neither.
    """

    nargs = 1
    lanes = ""
    parity = 0

    @classmethod
    def eval(cls, *args):
        if cls.parity and args[0].could_extract_minus_sign():
            return cls.parity * cls(-args[0])
        return None

    @staticmethod
    def reference(*args):
        """The value for mpmath numbers, at mpmath's present precision."""
        raise NotImplementedError


def _node(name: str, slope: Callable, reference: Callable, parity: int = 0, lanes: str = "") -> type[Node]:
    """A function of one argument u: its slope as an expression in u, its value in mpmath."""

    def fdiff(self, argindex=1):
        return slope(self.args[0])

    body = {"fdiff": fdiff, "reference": staticmethod(reference), "parity": parity, "lanes": lanes or name.lower()}
    return type(name, (Node,), body)


def _odd(name: str, slope: Callable, reference: Callable) -> type[Node]:
    return _node(name, slope, reference, parity=-1)


def _even(name: str, slope: Callable, reference: Callable, lanes: str = "") -> type[Node]:
    return _node(name, slope, reference, parity=1, lanes=lanes)


# --- values in high precision ---------------------------------------------------------------------


def _with_limits(function: Callable, low: object, high: object) -> Callable:
    """The function with its limits where the argument is huge."""
    return lambda x: (low if x < 0 else high) if abs(x) > _HUGE else function(x)


def _within(function: Callable, inside: Callable) -> Callable:
    """The function where it is real, else NaN."""
    return lambda x: function(x) if inside(x) else mp.nan


def _log(x):
    return mp.log(x) if x > 0 else (mp.ninf if x == 0 else mp.nan)


def _log1p(x):
    return mp.log1p(x) if x > -1 else (mp.ninf if x == -1 else mp.nan)


_exp = _with_limits(mp.exp, mp.mpf(0), mp.inf)


def _sigmoid(x):
    return 1 / (1 + _exp(-x)) if x >= 0 else (lambda t: t / (1 + t))(_exp(x))


def _softplus(x):
    return max(x, mp.mpf(0)) + mp.log1p(_exp(-abs(x))) if x == x else x


def _sech_squared(x):
    t = _exp(-2 * abs(x))
    return 4 * t / (1 + t) ** 2


def power_of(x, y):
    """x^y for x >= 0, as a float's pow has it at 0; NaN below."""
    if x > 0:
        return _exp(y * mp.log(x)) if mp.isfinite(x) and mp.isfinite(y) else mp.mpf(x) ** y
    if x == 0 and y == y:
        return mp.mpf(0) if y > 0 else (mp.mpf(1) if y == 0 else mp.inf)
    return mp.nan


def _cbrt(x):
    return mp.sign(x) * mp.cbrt(abs(x))


# --- the functions --------------------------------------------------------------------------------

Exp = _node("Exp", lambda u: Exp(u), _exp)
Expm1 = _node("Expm1", lambda u: Exp(u), _with_limits(mp.expm1, mp.mpf(-1), mp.inf))
Log = _node("Log", lambda u: 1 / u, _log)
Log1p = _node("Log1p", lambda u: 1 / (1 + u), _log1p)
Sqrt = _node("Sqrt", lambda u: _HALF / Sqrt(u), _within(mp.sqrt, lambda x: x >= 0))
Cbrt = _odd("Cbrt", lambda u: 1 / (3 * Cbrt(u) ** 2), _cbrt)
Abs = _even("Abs", lambda u: Sign(u), abs)
Sign = _odd("Sign", lambda u: sympy.Integer(0), mp.sign)

Sin = _odd("Sin", lambda u: Cos(u), _within(mp.sin, lambda x: abs(x) < _FAR))
Cos = _even("Cos", lambda u: -Sin(u), _within(mp.cos, lambda x: abs(x) < _FAR))
Tan = _odd("Tan", lambda u: 1 + Tan(u) ** 2, _within(mp.tan, lambda x: abs(x) < _FAR))
Asin = _odd("Asin", lambda u: 1 / Sqrt((1 - u) * (1 + u)), _within(mp.asin, lambda x: abs(x) <= 1))
Acos = _node("Acos", lambda u: -1 / Sqrt((1 - u) * (1 + u)), _within(mp.acos, lambda x: abs(x) <= 1))
Atan = _odd("Atan", lambda u: 1 / (1 + u**2), mp.atan)

Sinh = _odd("Sinh", lambda u: Cosh(u), _with_limits(mp.sinh, mp.ninf, mp.inf))
Cosh = _even("Cosh", lambda u: Sinh(u), _with_limits(mp.cosh, mp.inf, mp.inf))
Tanh = _odd("Tanh", lambda u: SechSquared(u), _with_limits(mp.tanh, mp.mpf(-1), mp.mpf(1)))
Sech = _even("Sech", lambda u: -Tanh(u) * Sech(u), lambda x: mp.sqrt(_sech_squared(x)), "(1 / cosh({}))")
SechSquared = _even("SechSquared", lambda u: -2 * Tanh(u) * SechSquared(u), _sech_squared, "sech_squared")
Asinh = _odd("Asinh", lambda u: 1 / Sqrt(1 + u**2), mp.asinh)

Sigmoid = _node("Sigmoid", lambda u: Sigmoid(u) * Sigmoid(-u), _sigmoid)
Softplus = _node("Softplus", lambda u: Sigmoid(u), _softplus)

_TWO_BY_SQRT_PI = 2 / Sqrt(PI)
Erf = _odd("Erf", lambda u: _TWO_BY_SQRT_PI * Exp(-(u**2)), _with_limits(mp.erf, mp.mpf(-1), mp.mpf(1)))
Erfc = _node("Erfc", lambda u: -_TWO_BY_SQRT_PI * Exp(-(u**2)), _with_limits(mp.erfc, mp.mpf(2), mp.mpf(0)))


class Power(Node):
    """base^exponent where the exponent is no small integer: for base >= 0."""

    nargs = 2
    lanes = "power"
    reference = staticmethod(power_of)

    def fdiff(self, argindex=1):
        base, exponent = self.args
        if argindex == 1:
            return exponent * power(base, exponent - 1)
        # 0^y log 0 tends to 0, as 0 * -inf does not.
        return Where(compare("==", base, sympy.Integer(0)), sympy.Integer(0), self * Log(base))


def power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """base^exponent: SymPy's own where the exponent is an integer."""
    if exponent.is_Integer:
        return base**exponent
    if abs(exponent) == _HALF:
        return Sqrt(base) if exponent > 0 else 1 / Sqrt(base)
    return Power(base, exponent)


class Extremum(Node):
    """The larger or smaller of two expressions that both depend on z; `sign` 1 for max, -1 for min.

    Where they meet, the slope is that of the left: there the larger of two is the one that rises less.
    """

    nargs = 2
    sign = 1

    def _eval_derivative(self, s):
        a, b = self.args
        above, below = (">", "<") if self.sign > 0 else ("<", ">")
        rise_a, rise_b = a.diff(Z), b.diff(Z)
        of_a, of_b = (rise_a, rise_b) if s == Z else (a.diff(s), b.diff(s))
        tie = where(compare(below, rise_a, rise_b), of_a, of_b)
        return bounded(where(compare(above, a, b), of_a, where(compare(below, a, b), of_b, tie)))


class Max(Extremum):
    lanes = "maximum"

    @staticmethod
    def reference(a, b):
        return mp.nan if a != a or b != b else max(a, b)


class Min(Extremum):
    lanes, sign = "minimum", -1

    @staticmethod
    def reference(a, b):
        return mp.nan if a != a or b != b else min(a, b)


class Where(Node):
    """One of two expressions, by a condition; differentiated branch by branch."""

    nargs = 3
    lanes = "where"

    @classmethod
    def eval(cls, condition, a, b):
        return a if a == b else None

    def _eval_derivative(self, s):
        condition, a, b = self.args
        return where(condition, a.diff(s), b.diff(s))

    @staticmethod
    def reference(condition, a, b):
        return a if condition else b


# --- conditions -----------------------------------------------------------------------------------


class Condition(Node):
    """A comparison, or several joined; `symbol` is its operator in lanes and in NumPy."""

    nargs = 2
    symbol = ""


def _condition(name: str, symbol: str, reference: Callable) -> type[Condition]:
    return type(name, (Condition,), {"symbol": symbol, "reference": staticmethod(reference)})


COMPARISONS = {
    "<": _condition("Less", "<", operator.lt),
    "<=": _condition("LessEqual", "<=", operator.le),
    ">": _condition("Greater", ">", operator.gt),
    ">=": _condition("GreaterEqual", ">=", operator.ge),
    "==": _condition("Equal", "==", operator.eq),
    "!=": _condition("NotEqual", "!=", operator.ne),
}
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
And = _condition("And", "&", lambda a, b: a and b)
Or = _condition("Or", "|", lambda a, b: a or b)


def bounded(expression: sympy.Expr) -> sympy.Expr:
    """The expression, if it is of a size that can be worked with; shared parts count as often as they occur."""
    if _size(expression) > MAX_SIZE:
        raise Refused("is too complicated, with its derivatives")
    return expression


@functools.lru_cache(maxsize=10_000)
def _size(expression: sympy.Expr) -> int:
    return 1 + sum(map(_size, expression.args))


def is_constant(expression: sympy.Expr) -> bool:
    """Whether an expression holds neither z nor a parameter."""
    return expression.free_symbols <= CONSTANTS.keys()


def value_of(expression: sympy.Expr, known: Mapping, rounded: Callable = lambda x: x) -> object:
    """The value of an expression in mpmath, at its present precision; a condition's is a bool.

    known: the values of symbols. rounded: what becomes of the results of transcendental functions, to imitate those of
        less precision.
    """
    if expression.is_Symbol:
        return known[expression]
    if expression.is_Rational:
        return mp.mpf(expression.p) / expression.q
    parts = [value_of(a, known, rounded) for a in expression.args]
    if expression.is_Add:
        return mp.fsum(parts)
    if expression.is_Mul:
        return mp.fprod(parts)
    if expression.is_Pow:
        return parts[0] ** expression.exp if parts[0] != 0 or expression.exp > 0 else mp.inf
    found = type(expression).reference(*parts)
    return found if isinstance(expression, Condition | Where | Extremum | Abs | Sign | Sqrt) else rounded(found)


def constant_value(expression: sympy.Expr) -> object:
    """The value of an expression that holds neither z nor a parameter, in mpmath."""
    return value_of(expression, {symbol: value() for symbol, value in CONSTANTS.items()})


def compare(symbol: str, a: sympy.Expr, b: sympy.Expr) -> object:
    """A condition, or True or False where both sides are constant."""
    if is_constant(a) and is_constant(b):
        return bool(COMPARISONS[symbol].reference(constant_value(a), constant_value(b)))
    return COMPARISONS[symbol](a, b)


def both(a: object, b: object) -> object:
    """a and b, where either may be True or False."""
    if isinstance(a, bool):
        return b if a else False
    return (a if b else False) if isinstance(b, bool) else And(a, b)


def either(a: object, b: object) -> object:
    """a or b, where either may be True or False."""
    if isinstance(a, bool):
        return True if a else b
    return (True if b else a) if isinstance(b, bool) else Or(a, b)


def opposite(condition: object) -> object:
    """The condition that holds where this one does not (NaN aside)."""
    if isinstance(condition, bool):
        return not condition
    if isinstance(condition, And | Or):
        return (either if isinstance(condition, And) else both)(*map(opposite, condition.args))
    return COMPARISONS[OPPOSITE[condition.symbol]](*condition.args)


def where(condition: object, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """`a` where the condition holds, else `b`."""
    if isinstance(condition, bool):
        return a if condition else b
    return Where(condition, a, b)
