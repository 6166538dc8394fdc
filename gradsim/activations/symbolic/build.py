"""Sums, products and powers of formula nodes, in forms that keep their digits.

What users type for a logistic function, a softplus or a hyperbolic tangent overflows or cancels when it is evaluated
as it stands: `log(1 + exp(z))`, `1/(1 + exp(-z))`, `1 - tanh(z)**2`. These forms are recognized while an expression is
put together, before it is differentiated, so that the slopes are those of the functions that are meant.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy

from gradsim.activations.symbolic import nodes
from gradsim.activations.symbolic.nodes import (
    Cos,
    Cosh,
    Erf,
    Erfc,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sech,
    SechSquared,
    Sigmoid,
    Sin,
    Sinh,
    Softplus,
    Tanh,
    is_constant,
)

_ONE = sympy.Integer(1)

# c0 + c K(u) -> c0 R(u): by the function K (and its power), and by c/c0.
_WITH_ONE: dict[tuple[type, int, int], Callable[[sympy.Expr], sympy.Expr]] = {
    (Exp, 1, -1): lambda u: -Expm1(u),
    (Expm1, 1, 1): Exp,
    (Sigmoid, 1, -1): lambda u: Sigmoid(-u),
    (Erf, 1, -1): Erfc,
    (Erf, 1, 1): lambda u: Erfc(-u),
    (Erfc, 1, -1): Erf,
    (Tanh, 1, -1): lambda u: 2 * Sigmoid(-2 * u),
    (Tanh, 1, 1): lambda u: 2 * Sigmoid(2 * u),
    (Tanh, 2, -1): SechSquared,
    (Cos, 1, -1): lambda u: 2 * Sin(u / 2) ** 2,
}


def add(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """a + b."""
    total = a + b
    if not total.is_Add:
        return total
    constant, rest = total.as_coeff_Add()
    if constant:
        for term in rest.args if rest.is_Add else (rest,):
            factor, base, power = _parts(term)
            found = _WITH_ONE.get((type(base), power, 1 if factor == constant else -1 if factor == -constant else 0))
            if found is not None:
                return rest - term + constant * found(base.args[0])
    return _paired_exponentials(total)


def _parts(term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr, int]:
    """A term as number * base^power."""
    factor, base = term.as_coeff_Mul()
    return (factor, base.base, int(base.exp)) if base.is_Pow else (factor, base, 1)


def _paired_exponentials(total: sympy.Expr) -> sympy.Expr:
    """c e^u - c e^-u -> 2 c sinh u, c e^u + c e^-u -> 2 c cosh u."""
    terms = [t for t in ((t, *t.as_coeff_Mul()) for t in total.args) if isinstance(t[2], Exp)]
    for i, (one, c, x) in enumerate(terms):
        for other, d, y in terms[i + 1 :]:
            if x.args[0] + y.args[0] == 0 and abs(c) == abs(d):
                return total - one - other + 2 * c * (Cosh if c == d else Sinh)(x.args[0])
    return total


def multiply(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """a * b."""
    total = a * b
    if not total.is_Mul:
        return total
    powers = total.as_powers_dict()
    exponentials = [base for base in powers if isinstance(base, Exp)]
    if len(exponentials) > 1:
        joined = sympy.Add(*[powers[e] * e.args[0] for e in exponentials])
        others = sympy.Mul(*[base**power for base, power in powers.items() if base not in exponentials])
        return multiply(others, exponential(joined))
    for e in exponentials:
        # e^u/(1 + e^u)
        partner = Sigmoid(-e.args[0])
        if powers.get(partner, 0) >= 1:
            return total / e / partner * Sigmoid(e.args[0])
    for base in [b for b in powers if isinstance(b, Expm1) and powers[b] >= 1]:
        partner = Sigmoid(-base.args[0])
        if powers.get(partner, 0) >= 1:
            return total / base / partner * Tanh(base.args[0] / 2)
    for base in [b for b in powers if isinstance(b, Sinh) and powers[b] >= 1]:
        once, twice = Sech(base.args[0]), SechSquared(base.args[0])
        if powers.get(once, 0) >= 1:
            return total / base / once * Tanh(base.args[0])
        if powers.get(twice, 0) >= 1:
            return total / base / twice * Tanh(base.args[0]) * once
    return total


def power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """base^exponent."""
    if isinstance(base, Exp):
        return exponential(multiply(base.args[0], exponent))
    if base.is_Pow and exponent.is_Integer:
        return power(base.base, base.exp * exponent)
    if is_constant(base) and not exponent.is_Rational:
        return exponential(multiply(exponent, logarithm(base)))
    if exponent.is_Integer and exponent < 0:
        if base.is_Mul:
            return sympy.Mul(*[power(factor, exponent) for factor in base.args])
        if isinstance(base, Cosh):
            return SechSquared(base.args[0]) ** (-exponent // 2) * Sech(base.args[0]) ** (-exponent % 2)
        constant, rest = base.as_coeff_Add()
        factor, inner, _ = _parts(rest)
        if isinstance(inner, Exp) and constant * factor > 0:
            # 1/(c + k e^u) = sigmoid(log(c/k) - u)/c
            return constant**exponent * Sigmoid(logarithm(constant / factor) - inner.args[0]) ** -exponent
    return nodes.power(base, exponent)


def exponential(u: sympy.Expr) -> sympy.Expr:
    """e^u."""
    return Exp(u) if u else _ONE


def logarithm(u: sympy.Expr) -> sympy.Expr:
    """log(u)."""
    if u == _ONE:
        return sympy.Integer(0)
    constant, rest = u.as_coeff_Add()
    factor, inner, _ = _parts(rest)
    if isinstance(inner, Exp) and constant > 0 and factor > 0:
        # log(c + k e^u) = log c + softplus(u + log(k/c))
        return logarithm(constant) + Softplus(inner.args[0] + logarithm(factor / constant))
    return log_of_one_plus(rest) if constant == 1 else Log(u)


def log_of_one_plus(u: sympy.Expr) -> sympy.Expr:
    """log(1 + u)."""
    return Softplus(u.args[0]) if isinstance(u, Exp) else Log1p(u)


def extremum(kind: type[nodes.Extremum], a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """max or min of two; where one of them does not depend on z, the slope at the kink is its own, 0 (as PyTorch)."""
    if is_constant(a) and is_constant(b):
        larger = nodes.constant_value(a) >= nodes.constant_value(b)
        return a if larger == (kind.sign > 0) else b
    flat, other = (a, b) if nodes.Z not in a.free_symbols else (b, a)
    if nodes.Z in flat.free_symbols:
        return a if a == b else kind(a, b)
    return nodes.where(nodes.compare("<=" if kind.sign > 0 else ">=", other, flat), flat, other)
