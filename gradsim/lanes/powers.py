"""Powers on lane vectors: x^y, the cube root, 2^x and the logarithm to base 2. No libm, about one ulp.

x^y multiplies the exponent's error by up to 745, so the logarithm is taken in float64 for float32, and as a sum of two
numbers for float64. Outside compiled code each name is NumPy's function.
"""

from __future__ import annotations

import numpy as np
from numba import types

from gradsim.jit import device_overload, formula
from gradsim.lanes.elementary import (
    LN2_HIGH_64,
    LN2_LOW_64,
    LOG2_E,
    MAGIC_32,
    MAGIC_64,
    by_precision,
    exp,
    expm1_tail_32,
    expm1_tail_64,
    log,
    log_limits,
    log_tail_32,
    log_tail_64,
    scales_32,
    scales_64,
    split_32,
    split_64,
)
from gradsim.lanes.memory import as_lanes
from gradsim.lanes.vector import Lanes, bits, copysign, fma, narrow, where, widen

TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
LN2_32, LN2_64 = (0.6931471824645996, -1.9046542121259336e-09), (0.6931471805599453, 2.3190468138462996e-17)
LOG2_E_32, LOG2_E_64 = (1.4426950216293335, 1.925963033500011e-08), (1.4426950408889634, 2.0355273740931033e-17)


# --- x^y ------------------------------------------------------------------------------------------


@formula
def _log_rest(w):
    """(log((1 + s)/(1 - s)) - 2 s - 2/3 s^3)/s^5; w = s^2."""
    p = fma(w, 0.1319659369968897112, 0.1325679329771285886)
    p = fma(p, w, 0.1538675819468097806)
    p = fma(p, w, 0.1818178435267210069)
    p = fma(p, w, 0.2222222252003586418)
    p = fma(p, w, 0.2857142857009925541)
    p = fma(p, w, 0.4000000000000225597)
    return p


@formula
def _precise_log(x):
    """log(x) of float64 lanes as high + low, to 65 bits."""
    tiny = x < 2.2250738585072014e-308
    k, m = split_64(where(tiny, x * 18014398509481984.0, x))
    k = where(tiny, k - 54, k)
    f = m - 1
    d = f + 2
    r = 1 / d
    s = f * r
    s_low = (fma(-s, d, f) - s * (f - (d - 2))) * r
    # s^2, s^3, 2/3 s^3. Spelled as fused operations, products are rounded and not fused into sums that need them so.
    w = fma(s, s, 0)
    w_low = fma(s, s, -w) + 2 * s * s_low
    c = fma(s, w, 0)
    c_low = fma(s, w, -c) + fma(s, w_low, s_low * w)
    third = fma(c, TWO_THIRDS[0], 0)
    third_low = fma(c, TWO_THIRDS[0], -third) + fma(c, TWO_THIRDS[1], c_low * TWO_THIRDS[0])

    whole = k * LN2_HIGH_64
    a = whole + 2 * s
    b = a + third
    low = (2 * s - (a - whole)) + (third - (b - a)) + fma(c * w, _log_rest(w), third_low + 2 * s_low)
    low = fma(k, LN2_LOW_64, low)
    high = b + low
    low = low - (high - b)
    return log_limits(x, high), where((x > 0) & (x < np.inf), low, 0)


@formula
def _exp_of_sum(high, low):
    """exp(high + low) for float64 lanes."""
    outside = (high > 710) | (high < -746)
    low = where(outside, 0, low)
    high = where(high > 710, 710, where(high < -746, -746, high))
    t = fma(high, LOG2_E, MAGIC_64)
    n = t - MAGIC_64
    first = fma(n, -LN2_HIGH_64, high)
    low = fma(n, -LN2_LOW_64, low)
    r = first + low
    p = r + fma(expm1_tail_64(r), r * r, low - (r - first))
    a, b = scales_64(bits(t) - 0x4338000000000000)
    return fma(p, a, a) * b


@formula
def _power_64(x, y):
    high, low = _precise_log(x)
    product = fma(y, high, 0)
    rest = fma(y, high, -product) + y * low
    z = _exp_of_sum(product, where(abs(product) < 1e4, rest, 0))
    return where((y == 0) | (x == 1), 1, z)


@formula
def _power_32(x, y):
    z = narrow(exp(widen(y) * log(widen(x))), x)
    return where((y == 0) | (x == 1), 1, z)


def power(x, y):
    """x^y for x >= 0; NaN below 0. As in IEEE 754, x^0 = 1^y = 1 for every x and y.

    On lanes, of which one of the two may be a plain number, up to 0.6 ulp in float32 and 1.4 ulp in float64.
    """
    return np.power(x, y)


@device_overload(power)
def _power(x, y):
    like = x if isinstance(x, Lanes) else y
    if not isinstance(like, Lanes) or not all(a == like or isinstance(a, types.Number) for a in (x, y)):
        return None
    body = _power_32 if like.dtype == types.float32 else _power_64
    if isinstance(x, Lanes):
        return lambda x, y: body(x, as_lanes(y, x))
    return lambda x, y: body(as_lanes(x, y), y)


# --- cube root ------------------------------------------------------------------------------------


@formula
def _cbrt_of(x, tiny, up, down):
    """A step of Newton's after exp(log(x)/3), with an exact remainder; tiny numbers are scaled by up = down^-3."""
    a = abs(x)
    scaled = where(a < tiny, a * up, a)
    y = exp(log(scaled) * 0.3333333333333333)
    square = fma(y, y, 0)
    remainder = fma(square, y, -scaled) + fma(y, y, -square) * y
    y = y - remainder / (3 * square)
    y = where(a < tiny, y * down, y)
    return copysign(where((a > 0) & (a < np.inf), y, a), x)


@formula
def _cbrt_32(x):
    return _cbrt_of(x, 1e-25, 3.777893186295716e22, 2.9802322387695312e-08)


@formula
def _cbrt_64(x):
    return _cbrt_of(x, 1e-250, 5.846006549323612e48, 5.551115123125783e-17)


def cbrt(x):
    """Cube root, of the sign of x. Up to 0.6 ulp on lanes."""
    return np.cbrt(x)


device_overload(cbrt)(by_precision(_cbrt_32, _cbrt_64))


# --- base 2 ---------------------------------------------------------------------------------------


@formula
def _exp2_32(x):
    x = where(x > 129.0, 129.0, where(x < -152.0, -152.0, x))
    t = x + MAGIC_32
    r = x - (t - MAGIC_32)
    z = fma(r, LN2_32[0], 0)
    p = z + fma(expm1_tail_32(z), z * z, fma(r, LN2_32[1], fma(r, LN2_32[0], -z)))
    a, b = scales_32(bits(t) - 0x4B400000)
    return fma(p, a, a) * b


@formula
def _exp2_64(x):
    x = where(x > 1025.0, 1025.0, where(x < -1080.0, -1080.0, x))
    t = x + MAGIC_64
    r = x - (t - MAGIC_64)
    z = fma(r, LN2_64[0], 0)
    p = z + fma(expm1_tail_64(z), z * z, fma(r, LN2_64[1], fma(r, LN2_64[0], -z)))
    a, b = scales_64(bits(t) - 0x4338000000000000)
    return fma(p, a, a) * b


def exp2(x):
    """2^x, exact for integers. Up to 1.1 ulp on lanes."""
    return np.exp2(x)


device_overload(exp2)(by_precision(_exp2_32, _exp2_64))


@formula
def _log2_32(x):
    tiny = x < 1.1754943508222875e-38
    k, m = split_32(where(tiny, x * 16777216.0, x))
    f = m - 1
    s = f / (f + 2)
    y = f - fma(s, f, -log_tail_32(s))
    return log_limits(x, fma(y, LOG2_E_32[0], fma(y, LOG2_E_32[1], where(tiny, k - 24, k))))


@formula
def _log2_64(x):
    tiny = x < 2.2250738585072014e-308
    k, m = split_64(where(tiny, x * 18014398509481984.0, x))
    f = m - 1
    s = f / (f + 2)
    y = f - fma(s, f, -log_tail_64(s))
    return log_limits(x, fma(y, LOG2_E_64[0], fma(y, LOG2_E_64[1], where(tiny, k - 54, k))))


def log2(x):
    """Logarithm to base 2, exact for powers of 2; -inf at 0, NaN below. Up to 1.6 ulp on lanes."""
    return np.log2(x)


device_overload(log2)(by_precision(_log2_32, _log2_64))
