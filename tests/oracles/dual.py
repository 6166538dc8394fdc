"""What oracles are written in: functions of exact numbers and of `Dual`, with derivative rules exact in the tails.

Every function here takes numbers (mpf, int, float) and Duals alike, and its rule keeps its digits: tanh' is sech^2,
never 1 - tanh^2. `chain` makes a rule for another function from its value and slope.
"""

from __future__ import annotations

from collections.abc import Callable

from mpmath import libmp, mp
from mpmath.libmp import fone

from oracles.forward import Dual, add, chain, divide, mpf, number, piecewise_constant, value_of

pi = mp.pi
# Beyond 2^HUGE in size an exponent is not worth its arithmetic: exp gives 0 or inf.
HUGE = 1 << 14


# --- exponentials and logarithms --------------------------------------------------------


def _exp(x: mpf) -> mpf:
    sign, mantissa, exponent, bits = raw = x._mpf_
    if mantissa and exponent + bits > HUGE:
        return mp.zero if sign else mp.inf
    return mp.make_mpf(libmp.mpf_exp(raw, mp.prec, "n"))


def _expm1(x: mpf) -> mpf:
    raw = x._mpf_
    mantissa, exponent, bits = raw[1:]
    if not mantissa or exponent + bits > HUGE:
        return _exp(x) - 1 if x else x
    lost = -(exponent + bits)  # leading bits that cancel
    if lost > mp.prec:
        return x + x * x / 2
    e = libmp.mpf_exp(raw, mp.prec + max(lost, 0) + 10, "n")
    return mp.make_mpf(libmp.mpf_sub(e, fone, mp.prec, "n"))


def _log(x: mpf) -> mpf:
    if x < 0 or x != x:
        return mp.nan
    return mp.make_mpf(libmp.mpf_log(x._mpf_, mp.prec, "n"))


def _log1p(x: mpf) -> mpf:
    if x < -1 or x != x:
        return mp.nan
    mantissa, exponent, bits = x._mpf_[1:]
    size = exponent + bits
    if mantissa and size < -mp.prec:
        return x - x * x / 2
    return mp.make_mpf(libmp.mpf_log(libmp.mpf_add(x._mpf_, fone, mp.prec + abs(size) % HUGE, "n"), mp.prec, "n"))


def exp(x: object) -> object:
    """e^x; 0 or inf where the exponent itself has thousands of bits."""
    e = _exp(number(x))
    return chain(x, e, lambda: e)


def expm1(x: object) -> object:
    """e^x - 1 without cancellation near 0."""
    at = number(x)
    return chain(x, _expm1(at), lambda: _exp(at))


def log(x: object) -> object:
    """Natural logarithm; -inf at 0, NaN below."""
    at = number(x)
    return chain(x, _log(at), lambda: divide(1, at))


def log1p(x: object) -> object:
    """log(1 + x) without cancellation near 0."""
    at = number(x)
    return chain(x, _log1p(at), lambda: divide(1, 1 + at))


def _sigmoid(x: mpf) -> mpf:
    t = _exp(-abs(x))
    return 1 / (1 + t) if x >= 0 else t / (1 + t)


def sigmoid(x: object) -> object:
    """1 / (1 + e^-x); slope s(x) s(-x)."""
    at = number(x)
    s = _sigmoid(at)
    return chain(x, s, lambda: s * _sigmoid(-at))


def softplus(x: object) -> object:
    """log(1 + e^x); slope the logistic sigmoid."""
    at = number(x)
    value = _log1p(_exp(-abs(at)))
    return chain(x, at + value if at > 0 else value, lambda: _sigmoid(at))


def log_sigmoid(x: object) -> object:
    """log(sigmoid(x)) = -softplus(-x)."""
    return -softplus(-x)


# --- powers -----------------------------------------------------------------------------


def sqrt(x: object) -> object:
    """Square root; NaN below 0, slope inf at 0."""
    at = number(x)
    root = mp.sqrt(at) if at >= 0 else mp.nan
    return chain(x, root, lambda: divide(1, 2 * root))


def cbrt(x: object) -> object:
    """The real cube root, odd; slope inf at 0."""
    at = number(x)
    root = mp.cbrt(abs(at)) * _sign(at)
    return chain(x, root, lambda: divide(1, 3 * root * root))


def _power(x: mpf, p: object) -> mpf:
    if isinstance(p, int) or (mp.isfinite(p) and p == int(p)):
        p = int(p)
        return x**p if x or p >= 0 else mp.inf
    if x < 0 or x != x or p != p:
        return mp.nan
    if not x:
        return mp.zero if p > 0 else mp.inf
    return mp.exp(p * mp.log(x)) if mp.isinf(x) else mp.power(x, p)


def power(x: object, p: object) -> object:
    """x^p; x below 0 takes whole exponents only. d/dp is x^p log(x), 0 at x = 0."""
    base, exponent = value_of(x), value_of(p)
    base = base if type(base) is mpf else mpf(base)
    value = _power(base, exponent)
    result = chain(x, value, lambda: exponent * _power(base, exponent - 1) if exponent else mp.zero)
    if type(p) is not Dual:
        return result
    by_exponent = chain(p, value, lambda: value * _log(base) if base else mp.zero)
    if type(result) is not Dual:
        return by_exponent
    return Dual(value, add(result.tangents, by_exponent.tangents))


# --- hyperbolic functions ---------------------------------------------------------------


def _sech(x: mpf) -> mpf:
    t = _exp(-abs(x))
    return 2 * t / (1 + t * t)


def _tanh(x: mpf) -> mpf:
    m = _expm1(-2 * abs(x))
    t = -m / (2 + m)
    return t if x >= 0 else -t


def _sinh(x: mpf) -> mpf:
    m = _expm1(abs(x))
    s = (m + (m / (1 + m) if not mp.isinf(m) else 1)) / 2
    return s if x >= 0 else -s


def _cosh(x: mpf) -> mpf:
    return (_exp(x) + _exp(-x)) / 2


def tanh(x: object) -> object:
    """Hyperbolic tangent; slope sech^2."""
    at = number(x)
    return chain(x, _tanh(at), lambda: _sech(at) ** 2)


def sinh(x: object) -> object:
    """Hyperbolic sine."""
    at = number(x)
    return chain(x, _sinh(at), lambda: _cosh(at))


def cosh(x: object) -> object:
    """Hyperbolic cosine."""
    at = number(x)
    return chain(x, _cosh(at), lambda: _sinh(at))


def sech(x: object) -> object:
    """1 / cosh; slope -sech tanh."""
    at = number(x)
    s = _sech(at)
    return chain(x, s, lambda: -s * _tanh(at))


def sech_squared(x: object) -> object:
    """1 / cosh^2, the slope of tanh."""
    s = sech(x)
    return s * s


def log_cosh(x: object) -> object:
    """log(cosh(x)), overflowing nowhere; slope tanh."""
    at = number(x)
    size = abs(at)
    value = size + _log1p(_expm1(-2 * size) / 2) if size > 1 else _log1p(2 * _sinh(at / 2) ** 2)
    return chain(x, value, lambda: _tanh(at))


def asinh(x: object) -> object:
    """Inverse hyperbolic sine, odd."""
    at = number(x)
    a = abs(at)
    value = _log1p(a + a * a / (1 + mp.sqrt(1 + a * a)))
    return chain(x, value if at >= 0 else -value, lambda: 1 / mp.sqrt(1 + at * at))


def acosh(x: object) -> object:
    """Inverse hyperbolic cosine; NaN below 1."""
    above = number(x) - 1
    root = mp.sqrt(above * (above + 2)) if above >= 0 else mp.nan
    return chain(x, _log1p(above + root), lambda: divide(1, root))


def atanh(x: object) -> object:
    """Inverse hyperbolic tangent; NaN beyond 1."""
    at = number(x)
    return chain(x, (_log1p(at) - _log1p(-at)) / 2, lambda: divide(1, (1 - at) * (1 + at)))


# --- circular functions -----------------------------------------------------------------


def _wave(function: Callable, x: mpf) -> mpf:
    return function(x) if mp.isfinite(x) else mp.nan


def sin(x: object) -> object:
    """Sine, of every finite number; NaN at +-inf."""
    at = number(x)
    return chain(x, _wave(mp.sin, at), lambda: _wave(mp.cos, at))


def cos(x: object) -> object:
    """Cosine, of every finite number; NaN at +-inf."""
    at = number(x)
    return chain(x, _wave(mp.cos, at), lambda: -_wave(mp.sin, at))


def tan(x: object) -> object:
    """Tangent; slope 1 / cos^2."""
    at = number(x)
    return chain(x, _wave(mp.tan, at), lambda: _wave(mp.sec, at) ** 2)


def sinc(x: object) -> object:
    """sin(x) / x, 1 at 0. Its slope (x cos x - sin x) / x^2 cancels near 0: the series takes over there."""
    at = number(x)
    if abs(at) < mpf(2) ** (-mp.prec // 4):
        square = at * at
        value = 1 - square / 6 * (1 - square / 20)
        return chain(x, value, lambda: -at / 3 * (1 - square / 10 * (1 - square / 28)))
    with mp.extraprec(max(0, -2 * mp.mag(at)) + 10):
        sine, cosine = _wave(mp.sin, at), _wave(mp.cos, at)
        value, slope = sine / at, (cosine - sine / at) / at
    return chain(x, +value, lambda: +slope)


def atan(x: object) -> object:
    """Inverse tangent."""
    at = number(x)
    return chain(x, mp.atan(at), lambda: 1 / (1 + at * at))


def asin(x: object) -> object:
    """Inverse sine; NaN beyond 1."""
    at = number(x)
    inside = abs(at) <= 1
    return chain(x, mp.asin(at) if inside else mp.nan, lambda: divide(1, mp.sqrt((1 - at) * (1 + at))))


# --- the normal distribution ------------------------------------------------------------


def _erfc(x: mpf) -> mpf:
    if abs(x) < 1 << 40:
        return mp.erfc(x)
    if x < 0:
        return mpf(2)
    square = x * x
    return _exp(-square) / (x * mp.sqrt(pi)) * (1 - 1 / (2 * square))


def _erf_slope(x: mpf) -> mpf:
    return 2 / mp.sqrt(pi) * _exp(-x * x)


def erf(x: object) -> object:
    """Error function."""
    at = number(x)
    return chain(x, mp.erf(at) if abs(at) < 1 << 40 else _sign(at), lambda: _erf_slope(at))


def erfc(x: object) -> object:
    """1 - erf(x), with all its digits in the tail."""
    at = number(x)
    return chain(x, _erfc(at), lambda: -_erf_slope(at))


def gaussian_pdf(x: object) -> object:
    """Density of the standard normal distribution."""
    at = number(x)
    density = _exp(-at * at / 2) / mp.sqrt(2 * pi)
    return chain(x, density, lambda: -at * density if density else mp.zero)


def gaussian_cdf(x: object) -> object:
    """Distribution function of the standard normal distribution, Phi."""
    at = number(x)
    return chain(x, _erfc(-at / mp.sqrt(2)) / 2, lambda: _exp(-at * at / 2) / mp.sqrt(2 * pi))


# --- pieces -----------------------------------------------------------------------------


def _sign(x: mpf) -> mpf:
    return mpf(x) if x != x else mpf((x > 0) - (x < 0))


def absolute(x: object) -> object:
    """abs(x); slope 0 at 0, as PyTorch has it."""
    at = number(x)
    return chain(x, abs(at), lambda: _sign(at))


def sign(x: object) -> object:
    """-1, 0 or 1; slope 0."""
    return piecewise_constant(x, _sign(number(x)))


def step(x: object) -> object:
    """1 above 0, else 0; slope 0."""
    at = number(x)
    return piecewise_constant(x, at if at != at else mpf(at > 0))


def floor(x: object) -> object:
    """The largest whole number up to x; slope 0."""
    return piecewise_constant(x, mp.floor(number(x)))


def ceil(x: object) -> object:
    """The smallest whole number from x on; slope 0."""
    return piecewise_constant(x, mp.ceil(number(x)))


def nearest(x: object) -> object:
    """The nearest whole number, halves to even; slope 0."""
    return piecewise_constant(x, mp.nint(number(x)))


def maximum(x: object, y: object) -> object:
    """The larger. At a tie: that of a plain number (slope 0, as relu), or of two Duals the mean (torch.maximum)."""
    return _choose(x, y, value_of(x) > value_of(y))


def minimum(x: object, y: object) -> object:
    """The smaller. At a tie: that of a plain number (slope 0, as relu6), or of two Duals the mean (torch.minimum)."""
    return _choose(x, y, value_of(x) < value_of(y))


def _choose(x: object, y: object, first: bool) -> object:
    if value_of(x) != value_of(y):
        return x if first else y
    if type(x) is Dual and type(y) is Dual:
        return (x + y) / 2
    return y if type(x) is Dual else x


def clip(x: object, low: object, high: object) -> object:
    """min(max(x, low), high), slope 0 at the bounds where these are plain numbers, as hardtanh has it."""
    return minimum(maximum(x, low), high)
