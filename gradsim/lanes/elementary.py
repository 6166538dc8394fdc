"""Elementary functions on lane vectors: branch-free, no libm, both precisions, about one ulp.

Numba has had no vector math library since 0.62, and a gradient that vanishes is only worth simulating if the tails are
exact, so they are written here. Each reduces its argument exactly, evaluates a near-minimax polynomial
(`docs/coefficients.py` derives the numbers) with fused multiply-adds, and puts the result together so that the last
rounding dominates. Overflow gives inf, underflow is gradual, NaN goes through. Outside compiled code each name is
NumPy's or SciPy's function.
"""

from __future__ import annotations

import numpy as np
from numba import types

from gradsim.jit import device_overload, formula
from gradsim.lanes.vector import Lanes, bits, fma, from_bits, where

LN2_HIGH_32, LN2_LOW_32 = 0.693145751953125, 1.4286068203094173e-06
LN2_HIGH_64, LN2_LOW_64 = 0.6931471803691238, 1.9082149292705877e-10
LOG2_E = 1.4426950408889634
# Adding 1.5 * 2^(mantissa bits) leaves the rounded number in the low bits: round and convert in one addition.
MAGIC_32, MAGIC_64 = 12582912.0, 6755399441055744.0


def by_precision(single, double):
    """Overload body that picks the implementation for the precision of the first argument."""

    def choose(x):
        if isinstance(x, Lanes):
            body = single if x.dtype == types.float32 else double
            return lambda x: body(x)
        return None

    return choose


# --- exp and expm1 --------------------------------------------------------------------------------


@formula
def expm1_tail_32(r):
    """(expm1(r) - r)/r^2 for abs(r) <= ln(2)/2."""
    q = fma(r, 0.001392618358771349454, 0.00836317905272257737)
    q = fma(q, r, 0.0416665546172045742)
    q = fma(q, r, 0.1666657698969877568)
    return fma(q, r, 0.5)


@formula
def reduced_exp_32(x):
    """n, r and expm1(r) with x = n ln2 + r; n as the bits of MAGIC + n."""
    t = fma(x, LOG2_E, MAGIC_32)
    n = t - MAGIC_32
    r = fma(n, -LN2_LOW_32, fma(n, -LN2_HIGH_32, x))
    return bits(t), fma(expm1_tail_32(r), r * r, r)


@formula
def scales_32(n):
    """Two powers of two whose product is 2^n: a single one would overflow or flush what is representable."""
    half = ((n + 0x1000) >> 1) - (0x1000 // 2)
    return from_bits((half + 127) << 23), from_bits((n - half + 127) << 23)


@formula
def _scales_of_exp_32(n, above):
    """`scales_32` from the bits of MAGIC + n: less work, least where the compiler sees that x is not above 0."""
    return from_bits((n << 23) + bits(where(above, 2.0**-64, 2.0**64))), where(above, 2.0**64, 2.0**-64)


@formula
def _exp_32(x):
    above = x > 0
    x = where(above, where(x > 89.0, 89.0, x), where(x < -104.0, -104.0, x))
    pattern, p = reduced_exp_32(x)
    a, b = _scales_of_exp_32(pattern, above)
    return fma(p, a, a) * b


@formula
def expm1_tail_64(r):
    q = fma(r, 2.510038549551031908e-8, 2.762008844540974816e-7)
    q = fma(q, r, 2.755726845999706477e-6)
    q = fma(q, r, 0.00002480152129595437513)
    q = fma(q, r, 0.0001984126986305361688)
    q = fma(q, r, 0.00138888889172137169)
    q = fma(q, r, 0.008333333333330061833)
    q = fma(q, r, 0.04166666666662412787)
    q = fma(q, r, 0.1666666666666666745)
    return fma(q, r, 0.5)


@formula
def reduced_exp_64(x):
    t = fma(x, LOG2_E, MAGIC_64)
    n = t - MAGIC_64
    r = fma(n, -LN2_LOW_64, fma(n, -LN2_HIGH_64, x))
    return bits(t), fma(expm1_tail_64(r), r * r, r)


@formula
def scales_64(n):
    half = ((n + 0x1000) >> 1) - (0x1000 // 2)
    return from_bits((half + 1023) << 52), from_bits((n - half + 1023) << 52)


@formula
def _scales_of_exp_64(n, above):
    return from_bits((n << 52) + bits(where(above, 2.0**-512, 2.0**512))), where(above, 2.0**512, 2.0**-512)


@formula
def _exp_64(x):
    above = x > 0
    x = where(above, where(x > 710.0, 710.0, x), where(x < -746.0, -746.0, x))
    pattern, p = reduced_exp_64(x)
    a, b = _scales_of_exp_64(pattern, above)
    return fma(p, a, a) * b


@formula
def _exp_expm1_32(x):
    above, large = x > 0, x > 30
    x = where(above, where(x > 89.0, 89.0, x), where(x < -104.0, -104.0, x))
    pattern, p = reduced_exp_32(x)
    a, b = _scales_of_exp_32(pattern, above)
    # 2^n (p + 1) - 1 = 2^n p + (2^n - 1); the bracket is exact where it matters. Above the mantissa's width
    # the 1 no longer counts, and 2^n in one factor would overflow early.
    e = fma(p, a, a) * b
    return e, where(above & large, e, fma(p, a * b, a * b - 1))


@formula
def _exp_expm1_64(x):
    above, large = x > 0, x > 50
    x = where(above, where(x > 710.0, 710.0, x), where(x < -746.0, -746.0, x))
    pattern, p = reduced_exp_64(x)
    a, b = _scales_of_exp_64(pattern, above)
    e = fma(p, a, a) * b
    return e, where(above & large, e, fma(p, a * b, a * b - 1))


def exp(x):
    """e^x."""
    return np.exp(x)


def exp_expm1(x):
    """(e^x, e^x - 1): one reduction and one polynomial for both, each accurate by itself."""
    return np.exp(x), np.expm1(x)


def expm1(x):
    """e^x - 1, accurate near 0."""
    return np.expm1(x)


device_overload(exp)(by_precision(_exp_32, _exp_64))
device_overload(exp_expm1)(by_precision(_exp_expm1_32, _exp_expm1_64))


@device_overload(expm1)
def _expm1(x):
    if isinstance(x, Lanes):
        return lambda x: exp_expm1(x)[1]


# --- log and log1p --------------------------------------------------------------------------------


@formula
def log_tail_32(s):
    """log((1 + s)/(1 - s)) - 2 s."""
    w = s * s
    return s * w * fma(fma(w, 0.2958005304318844214, 0.3998877828216280773), w, 0.6666668504515602907)


@formula
def log_tail_64(s):
    w = s * s
    q = fma(w, 0.1461658542488862199, 0.1533171061821077157)
    q = fma(q, w, 0.1818288945567494604)
    q = fma(q, w, 0.2222221113025987703)
    q = fma(q, w, 0.2857142862600326874)
    q = fma(q, w, 0.3999999999989944323)
    q = fma(q, w, 0.6666666666666669688)
    return s * w * q


@formula
def split_32(x):
    """x = 2^k m with m in [sqrt(1/2), sqrt(2)); k as a float. For normal x."""
    shifted = bits(x) + (0x3F800000 - 0x3F3504F3)
    k = from_bits((shifted >> 23) + 0x4B000000) - (8388608.0 + 127.0)
    return k, from_bits((shifted & 0x007FFFFF) + 0x3F3504F3)


@formula
def split_64(x):
    shifted = bits(x) + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
    k = from_bits((shifted >> 52) + 0x4330000000000000) - (4503599627370496.0 + 1023.0)
    return k, from_bits((shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD)


@formula
def log_limits(x, y):
    """`y` with the limits of log(x): -inf at 0, NaN below, inf at inf, NaN at NaN."""
    y = where(x == np.inf, x, y)
    return where(x > 0, y, where(x == 0, -np.inf, np.nan))


@formula
def _log_32(x):
    tiny = x < 1.1754943508222875e-38
    k, m = split_32(where(tiny, x * 16777216.0, x))
    k = where(tiny, k - 24, k)
    f = m - 1
    s = f / (f + 2)
    # log m = f - s (f - tail/s): the form that keeps f, the leading term, exact.
    y = fma(k, LN2_HIGH_32, f - fma(s, f, fma(k, -LN2_LOW_32, -log_tail_32(s))))
    return log_limits(x, y)


@formula
def _log_64(x):
    tiny = x < 2.2250738585072014e-308
    k, m = split_64(where(tiny, x * 18014398509481984.0, x))
    k = where(tiny, k - 54, k)
    f = m - 1
    s = f / (f + 2)
    y = fma(k, LN2_HIGH_64, f - fma(s, f, fma(k, -LN2_LOW_64, -log_tail_64(s))))
    return log_limits(x, y)


@formula
def _log1p_32(x):
    u = x + 1
    k, m = split_32(u)
    # What the rounding of 1 + x lost, at the scale of m.
    lost = where(x > 1, 1 - (u - x), x - (u - 1)) / u
    f = where(k == 0, x, m - 1)
    lost = where(k == 0, 0, lost)
    s = f / (f + 2)
    y = fma(k, LN2_HIGH_32, f - fma(s, f, fma(k, -LN2_LOW_32, -log_tail_32(s)) - lost))
    return where(x == 0, x, log_limits(u, y))


@formula
def _log1p_64(x):
    u = x + 1
    k, m = split_64(u)
    lost = where(x > 1, 1 - (u - x), x - (u - 1)) / u
    f = where(k == 0, x, m - 1)
    lost = where(k == 0, 0, lost)
    s = f / (f + 2)
    y = fma(k, LN2_HIGH_64, f - fma(s, f, fma(k, -LN2_LOW_64, -log_tail_64(s)) - lost))
    return where(x == 0, x, log_limits(u, y))


def log(x):
    """Natural logarithm; -inf at 0, NaN below."""
    return np.log(x)


def log1p(x):
    """log(1 + x), accurate near 0."""
    return np.log1p(x)


device_overload(log)(by_precision(_log_32, _log_64))
device_overload(log1p)(by_precision(_log1p_32, _log1p_64))
