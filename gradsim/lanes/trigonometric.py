"""Sine, cosine, tangent and their inverses on lane vectors: the full range, no libm.

Whole quarter turns are taken off (quarters.py), and two short polynomials remain. Outside compiled code each name is
NumPy's function.
"""

from __future__ import annotations

import numpy as np
from numba import types

from gradsim.jit import device_overload, formula
from gradsim.lanes.elementary import by_precision
from gradsim.lanes.quarters import HALF_PI_32, HALF_PI_64, quarters_32, quarters_64
from gradsim.lanes.vector import Lanes, bits, copysign, fma, from_bits, rint, sqrt, where

# --- sine and cosine ------------------------------------------------------------------------------


@formula
def _sine_32(r, s, w):
    """sin(r - s) for abs(r) <= pi/4; w = r^2."""
    p = fma(w, -0.0001950788840532365995, 0.00833210628479719162)
    p = fma(p, w, -0.1666665375232696533)
    return r - fma(-(r * w), p, s)


@formula
def _cosine_32(r, s, w):
    p = fma(w, 0.00002443008055933690019, -0.001388729782775044441)
    p = fma(p, w, 0.04166664555668830872)
    lost = fma(r, r, -w)
    return fma(w, fma(w, p, -0.5), fma(lost, -0.5, r * s)) + 1


@formula
def _sine_64(r, s, w):
    p = fma(w, -7.409913288406159468e-13, 1.605467942129563072e-10)
    p = fma(p, w, -2.505207340613699837e-8)
    p = fma(p, w, 2.755731908171144972e-6)
    p = fma(p, w, -0.0001984126984097327401)
    p = fma(p, w, 0.008333333333333046988)
    p = fma(p, w, -0.1666666666666666574)
    return r - fma(-(r * w), p, s)


@formula
def _cosine_64(r, s, w):
    p = fma(w, -1.135574367082643686e-11, 2.087564747811533884e-9)
    p = fma(p, w, -2.755731379148161991e-7)
    p = fma(p, w, 0.00002480158728752779809)
    p = fma(p, w, -0.001388888888887096973)
    p = fma(p, w, 0.04166666666666658109)
    lost = fma(r, r, -w)
    return fma(w, fma(w, p, -0.5), fma(lost, -0.5, r * s)) + 1


@formula
def _sin_32(x):
    quarter, r, s = quarters_32(x)
    w = r * r
    y = where((quarter & 1) == 1, _cosine_32(r, s, w), _sine_32(r, s, w))
    return from_bits(bits(y) ^ ((quarter & 2) << 30))


@formula
def _cos_32(x):
    quarter, r, s = quarters_32(x)
    w = r * r
    y = where((quarter & 1) == 1, _sine_32(r, s, w), _cosine_32(r, s, w))
    return from_bits(bits(y) ^ (((quarter + 1) & 2) << 30))


@formula
def _sin_cos_32(x):
    quarter, r, s = quarters_32(x)
    w = r * r
    sine, cosine, odd = _sine_32(r, s, w), _cosine_32(r, s, w), (quarter & 1) == 1
    a, b = where(odd, cosine, sine), where(odd, sine, cosine)
    return from_bits(bits(a) ^ ((quarter & 2) << 30)), from_bits(bits(b) ^ (((quarter + 1) & 2) << 30))


@formula
def _sin_64(x):
    quarter, r, s = quarters_64(x)
    w = r * r
    y = where((quarter & 1) == 1, _cosine_64(r, s, w), _sine_64(r, s, w))
    return from_bits(bits(y) ^ ((quarter & 2) << 62))


@formula
def _cos_64(x):
    quarter, r, s = quarters_64(x)
    w = r * r
    y = where((quarter & 1) == 1, _sine_64(r, s, w), _cosine_64(r, s, w))
    return from_bits(bits(y) ^ (((quarter + 1) & 2) << 62))


@formula
def _sin_cos_64(x):
    quarter, r, s = quarters_64(x)
    w = r * r
    sine, cosine, odd = _sine_64(r, s, w), _cosine_64(r, s, w), (quarter & 1) == 1
    a, b = where(odd, cosine, sine), where(odd, sine, cosine)
    return from_bits(bits(a) ^ ((quarter & 2) << 62)), from_bits(bits(b) ^ (((quarter + 1) & 2) << 62))


def sin(x):
    """Sine of x in radians; NaN at +-inf. Up to 1 ulp on lanes."""
    return np.sin(x)


def cos(x):
    """Cosine of x in radians; NaN at +-inf. Up to 1 ulp on lanes."""
    return np.cos(x)


def sin_cos(x):
    """(sin(x), cos(x)): one reduction for both."""
    return np.sin(x), np.cos(x)


def tan(x):
    """Tangent of x in radians; NaN at +-inf. Up to 2.8 ulp on lanes."""
    return np.tan(x)


device_overload(sin)(by_precision(_sin_32, _sin_64))
device_overload(cos)(by_precision(_cos_32, _cos_64))
device_overload(sin_cos)(by_precision(_sin_cos_32, _sin_cos_64))


@formula
def _tan(x):
    sine, cosine = sin_cos(x)
    return sine / cosine


device_overload(tan)(by_precision(_tan, _tan))


# --- inverse functions ----------------------------------------------------------------------------


@formula
def _atan_tail_32(z):
    """atan(z) - z for 0 <= z <= 1."""
    w = z * z
    p = fma(w, -0.001782183579081228359, 0.0108664177010384801)
    p = fma(p, w, -0.03109374697421805144)
    p = fma(p, w, 0.05787902213411981461)
    p = fma(p, w, -0.08399213201131567812)
    p = fma(p, w, 0.1095086187124252319)
    p = fma(p, w, -0.1426401436328887939)
    p = fma(p, w, 0.1999852955341339111)
    p = fma(p, w, -0.3333329856395721436)
    return z * w * p


@formula
def _atan_tail_64(z):
    w = z * z
    p = fma(w, -8.643616334671229182e-6, 0.0001037713003623288857)
    p = fma(p, w, -0.0005924560651693652153)
    p = fma(p, w, 0.002150439853069336178)
    p = fma(p, w, -0.005610363133410180234)
    p = fma(p, w, 0.01131514270070197074)
    p = fma(p, w, -0.01861199487179598085)
    p = fma(p, w, 0.02615034215846322659)
    p = fma(p, w, -0.0327849745815767667)
    p = fma(p, w, 0.03821008804909517743)
    p = fma(p, w, -0.04286404609184524561)
    p = fma(p, w, 0.04744935408915647704)
    p = fma(p, w, -0.05259437590088608845)
    p = fma(p, w, 0.05881717229966983817)
    p = fma(p, w, -0.06666583940066406054)
    p = fma(p, w, 0.07692299742951169259)
    p = fma(p, w, -0.09090908550353004857)
    p = fma(p, w, 0.111111110866504631)
    p = fma(p, w, -0.1428571428504472607)
    p = fma(p, w, 0.1999999999999061695)
    p = fma(p, w, -0.3333333333333328707)
    return z * w * p


@formula
def _atan_32(x):
    a = abs(x)
    beyond = a > 1
    z = where(beyond, 1 / a, a)
    tail = _atan_tail_32(z)
    high = HALF_PI_32[0] - z
    low = (HALF_PI_32[0] - high) - z + HALF_PI_32[1]
    return copysign(where(beyond, high + (low - tail), z + tail), x)


@formula
def _atan_64(x):
    a = abs(x)
    beyond = a > 1
    z = where(beyond, 1 / a, a)
    tail = _atan_tail_64(z)
    high = HALF_PI_64[0] - z
    low = (HALF_PI_64[0] - high) - z + HALF_PI_64[1]
    return copysign(where(beyond, high + (low - tail), z + tail), x)


def atan(x):
    """Inverse tangent, in [-pi/2, pi/2]. Up to 1.25 ulp on lanes."""
    return np.arctan(x)


device_overload(atan)(by_precision(_atan_32, _atan_64))


def asin(x):
    """Inverse sine, in [-pi/2, pi/2]; NaN beyond +-1. Up to 2.4 ulp on lanes."""
    return np.arcsin(x)


def acos(x):
    """Inverse cosine, in [0, pi]; NaN beyond +-1. Up to 2.4 ulp on lanes."""
    return np.arccos(x)


@formula
def _asin(x):
    return atan(x / sqrt((1 - x) * (1 + x)))


@formula
def _acos(x):
    return 2 * atan(sqrt((1 - x) / (1 + x)))


device_overload(asin)(by_precision(_asin, _asin))
device_overload(acos)(by_precision(_acos, _acos))


# --- sine and cosine of a fraction of a turn ------------------------------------------------------


@formula
def _cos_sin_turns(u):
    """cos(2 pi u), sin(2 pi u) in float64 for u in [0, 1): quarter turns off, then two short polynomials."""
    quarter = rint(u * 4)
    x = (u * 4 - quarter) * 0.5
    w = x * x
    s = fma(w, -0.00002174206734247800569, 0.0004662879326147480596)
    s = fma(s, w, -0.007370430312294823689)
    s = fma(s, w, 0.08214588659727676267)
    s = fma(s, w, -0.5992645293206478179)
    s = fma(s, w, 2.55016403987734488)
    s = fma(s, w, -5.167712780049970029)
    sine = fma(s * w, x, x * 3.141592653589793)
    c = fma(w, -0.0001037008297159462668, 0.001929493874894941023)
    c = fma(c, w, -0.02580688796470187633)
    c = fma(c, w, 0.2353306302839922224)
    c = fma(c, w, -1.335262768853809441)
    c = fma(c, w, 4.058712126416765171)
    c = fma(c, w, -4.934802200544679307)
    cosine = fma(c, w, 1)
    odd = (quarter == 1) | (quarter == 3)
    c, s = where(odd, sine, cosine), where(odd, cosine, sine)
    return where((quarter == 1) | (quarter == 2), -c, c), where((quarter == 2) | (quarter == 3), -s, s)


def cos_sin_turns(u):
    """(cos(2 pi u), sin(2 pi u)) for u in [0, 1), float64."""
    return np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)


@device_overload(cos_sin_turns)
def _cos_sin(u):
    if isinstance(u, Lanes) and u.dtype == types.float64:
        return lambda u: _cos_sin_turns(u)
