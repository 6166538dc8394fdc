"""Elementary functions of `Extended` pairs, to 65 bits: exp, log and theirs.

Each overloads the name that plain lanes use. As there, the argument is reduced and a polynomial evaluated; here the
reduction and the leading terms of the polynomial are pairs, and its tail, which starts 13 bits below the result, is
plain (`docs/coefficients.py` derives the numbers).
"""

from __future__ import annotations

import numpy as np
from numba import types

from gradsim.lanes import elementary
from gradsim.lanes.elementary import LOG2_E, MAGIC_64
from gradsim.lanes.extended import declare
from gradsim.lanes.pairs import (
    Pair,
    Plain,
    Words,
    choose,
    fast_two_sum,
    fma,
    polynomial,
    select,
    two_powers,
    two_sum,
)

# ln 2 to 95 bits; a multiple of the first part up to 2^11 is exact.
LN2_HIGH, LN2_LOW = 0.6931471805598903, 5.497923018708371e-14
SQRT_HALF_BITS, ONE_BITS = 0x3FE6A09E667F3BCD, 0x3FF0000000000000


# --- exp and expm1 --------------------------------------------------------------------------------

EXP_LEADING = (
    (0.5, 0.0),
    (0.16666666666666666, 9.25185853854297e-18),
    (0.041666666666666664, 2.3129646346357427e-18),
    (0.008333333333333333, 1.1564823173178714e-19),
)
EXP_TAIL = (
    0.001388888888888889,
    0.0001984126984126928,
    2.4801587301586953e-05,
    2.755731923020735e-06,
    2.7557319227873886e-07,
    2.5052089744061098e-08,
    2.0876745338132896e-09,
    1.6079728500041988e-10,
    1.1483672560443054e-11,
)


def reduced_exp(x: Pair) -> tuple[Pair, Plain, Plain]:
    """expm1(r), not normalized, and two powers of two with product 2^n, where x = n ln2 + r."""
    high = select(x.high.compare(">", 710), 710, select(x.high.compare("<", -746), -746, x.high))
    low = select(high.compare("==", x.high), x.zero_filled().low, 0)
    magic = fma(high, LOG2_E, MAGIC_64)
    n = magic - MAGIC_64
    s, e = two_sum(fma(n, -LN2_HIGH, high), n * -LN2_LOW)
    r = Pair(s, e + low).tidied()
    p = r.product(r).product(polynomial(r, EXP_LEADING, EXP_TAIL))
    s, e = fast_two_sum(r.high, p.high)
    powers = two_powers(Words.of_bits(magic) - 0x4338000000000000)
    return Pair(s, e + p.low + r.low), *powers


def _exp_of(p: Pair, a: Plain, b: Plain) -> Pair:
    s, e = fast_two_sum(p.high.of(1), p.high)
    e = Pair(s, e + p.low).tidied()
    return Pair(e.high * a * b, e.low * a * b).finite()


def _expm1_of(p: Pair, a: Plain, b: Plain, x: Pair, e: Pair) -> Pair:
    scale = a * b
    # Beyond 50 the 1 no longer counts, and 2^n in one factor would overflow early.
    return choose(x.high.compare(">", 50), e, Pair(*two_sum(scale, scale.of(-1))) + Pair(p.high * scale, p.low * scale))


def exp(x: Pair) -> Pair:
    return _exp_of(*reduced_exp(x))


def exp_expm1(x: Pair) -> tuple[Pair, Pair]:
    p, a, b = reduced_exp(x)
    e = _exp_of(p, a, b)
    return e, _expm1_of(p, a, b, x, e)


def expm1(x: Pair) -> Pair:
    return exp_expm1(x)[1]


# --- log and log1p --------------------------------------------------------------------------------

LOG_LEADING = (
    (0.6666666666666666, 3.700743415417188e-17),
    (0.4, -2.2204460492503132e-17),
    (0.2857142857142857, 1.586032892321652e-17),
)
LOG_TAIL = (
    0.2222222222222222,
    0.1818181818181885,
    0.1538461538413894,
    0.13333333462528119,
    0.11764688703077415,
    0.10527553413954763,
    0.09474635204321277,
    0.0970194938608828,
)


def _split(x: Plain) -> tuple[Plain, Words, Plain]:
    """x = 2^k m with m in [sqrt(1/2), sqrt(2)): k twice, and m. For normal x."""
    shifted = Words.of_bits(x) + (ONE_BITS - SQRT_HALF_BITS)
    k = shifted >> 52
    m = ((shifted & 0x000FFFFFFFFFFFFF) + SQRT_HALF_BITS).floats()
    return (k + 0x4330000000000000).floats() - (4503599627370496.0 + 1023.0), k - 1023, m


def _log_of(u: Pair, near: Pair | None = None) -> Pair:
    """log(u); `near` is u - 1 with more digits, for u near 1."""
    tiny = u.high.compare("<", 2.2250738585072014e-308)
    scale = select(tiny, u.high.of(18014398509481984.0), 1)
    k, exponent, m = _split(u.high * scale)
    a, b = two_powers(exponent.of(0) - exponent)
    f = Pair(*two_sum(m - 1, u.zero_filled().low * scale * a * b))
    if near is not None:
        f = choose(k.compare("==", 0), near, f)
    k = select(tiny, k - 54, k)

    g, e = fast_two_sum(k.of(2), f.high)
    s = f.quotient(Pair(g, e + f.low)).tidied()
    w = s.product(s)
    c = s.product(w).product(polynomial(w, LOG_LEADING, LOG_TAIL))
    y, e = fast_two_sum(s.high + s.high, c.high)
    e = e + (s.low + s.low + c.low)
    h, t = fast_two_sum(k * LN2_HIGH, y)
    y = Pair(h, fma(k, LN2_LOW, t + e)).tidied()

    positive = u.high.compare(">", 0)
    h = select(u.high.compare("==", np.inf), np.inf, y.high)
    h = select(positive, h, select(u.high.compare("==", 0), h.of(-np.inf), np.nan))
    return Pair(h, y.low).finite()


def log(x: Pair) -> Pair:
    return _log_of(x)


def log1p(x: Pair) -> Pair:
    y = _log_of(1 + x, x.zero_filled())
    # Smaller arguments are their own logarithm, and their quotients would underflow.
    return choose(abs(x.high).compare("<", 2.0**-80), x, y)


for _function, _emit in (
    (elementary.exp, exp),
    (elementary.expm1, expm1),
    (elementary.log, log),
    (elementary.log1p, log1p),
):
    declare(_function, _emit, 1)
declare(elementary.exp_expm1, exp_expm1, 1, lambda kind: types.UniTuple(kind, 2))
