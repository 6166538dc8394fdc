"""Hyperbolic functions, the logistic family and powers of `Extended` pairs: formulas over exp, expm1, log and log1p.

Each is written with the exponential that stays below 1, so that tails keep their bits and nothing overflows early.
"""

from __future__ import annotations

from gradsim.lanes import hyperbolic, powers
from gradsim.lanes.extended import declare
from gradsim.lanes.extended_elementary import exp, exp_expm1, expm1, log, log1p
from gradsim.lanes.pairs import Pair, choose, square_root, with_sign
from gradsim.lanes.powers import LN2_64


def tanh(x: Pair) -> Pair:
    m = expm1(-2 * abs(x))
    return with_sign(m / (2 + m), x)


def _half_exponential(z: Pair) -> tuple[object, Pair, Pair]:
    """Whether z is so large that exp(-z) does not count; exp(z) and exp(z) - 1, in that case halved."""
    large = z.high.compare(">", 40)
    return large, *exp_expm1(choose(large, z - z.of(LN2_64), z))


def sinh(x: Pair) -> Pair:
    large, e, m = _half_exponential(abs(x))
    return with_sign(choose(large, e, 0.5 * (m + m / e)), x)


def cosh(x: Pair) -> Pair:
    large, e, _ = _half_exponential(abs(x))
    return choose(large, e, 0.5 * (e + 1 / e))


def sech_squared(x: Pair) -> Pair:
    """4 t/(1 + t)^2, where 4 t = exp(2 ln 2 - 2 abs(x)) is as large as the result."""
    t = exp(2 * (x.of(LN2_64) - abs(x)))
    below = 1 + 0.25 * t
    return t / (below * below)


def sigmoid(x: Pair) -> Pair:
    t = exp(-abs(x))
    return choose(x.high.compare("<", 0), t, 1) / (1 + t)


def softplus(x: Pair) -> Pair:
    return choose(x.high.compare("<", 0), 0, x) + log1p(exp(-abs(x)))


def log_sigmoid(x: Pair) -> Pair:
    return -softplus(-x)


def asinh(x: Pair) -> Pair:
    """log1p(z + z^2/(1 + sqrt(1 + z^2))); log(z) + ln 2 where z^2 might overflow."""
    z = abs(x)
    large = z.high.compare(">", 1e40)
    small = choose(large, 0, z)
    square = small * small
    y = log1p(choose(large, z, small + square / (1 + square_root(1 + square))))
    return with_sign(y + choose(large, z.of(LN2_64), 0), x)


def power(x: Pair, y: Pair) -> Pair:
    """exp(y log(x)); 1 where y = 0 or x = 1, also beside what is not finite."""
    builder = x.high.builder
    one = builder.or_(y.compare("==", 0), x.compare("==", 1))
    return choose(one, 1, exp(y * log(x)))


def cbrt(x: Pair) -> Pair:
    return with_sign(exp(log(abs(x)) / 3), x)


def exp2(x: Pair) -> Pair:
    return exp(x * x.of(LN2_64))


def log2(x: Pair) -> Pair:
    return log(x) / x.of(LN2_64)


for _function, _emit in (
    (hyperbolic.tanh, tanh),
    (hyperbolic.sinh, sinh),
    (hyperbolic.cosh, cosh),
    (hyperbolic.sech_squared, sech_squared),
    (hyperbolic.sigmoid, sigmoid),
    (hyperbolic.softplus, softplus),
    (hyperbolic.log_sigmoid, log_sigmoid),
    (hyperbolic.asinh, asinh),
    (powers.cbrt, cbrt),
    (powers.exp2, exp2),
    (powers.log2, log2),
):
    declare(_function, _emit, 1)
declare(powers.power, power, 2)
