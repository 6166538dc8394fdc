"""Hyperbolic functions and the logistic family on lane vectors: formulas over exp, expm1 and log1p.

Each is written with the exponential that stays below 1, so that tails keep their digits and nothing overflows early;
errors are those of the exponential and of two or three more roundings. Outside compiled code each name is NumPy's or
SciPy's function, or the same formula.
"""

from __future__ import annotations

import numpy as np

from gradsim.jit import device_overload, formula
from gradsim.lanes.elementary import by_precision, exp, exp_expm1, expm1, log1p
from gradsim.lanes.vector import copysign, fma, sqrt, where

LN2 = 0.6931471805599453


@formula
def _tanh(x):
    m = expm1(-2 * abs(x))
    return copysign(m / (2 + m), x)


def tanh(x):
    """Hyperbolic tangent, 1 - 2/(e^2x + 1). Up to 2.8 ulp on lanes."""
    return np.tanh(x)


@formula
def _sinh(x):
    a = abs(x)
    large = a > 40
    e, m = exp_expm1(where(large, a - 1, a))
    # e/2 exp(a - 1) reaches as far as sinh does: exp(a) overflows before.
    return copysign(where(large, 1.3591409142295225 * e, 0.5 * (m + m / e)), x)


def sinh(x):
    """Hyperbolic sine. Up to 2.6 ulp on lanes."""
    return np.sinh(x)


@formula
def _cosh(x):
    a = abs(x)
    large = a > 40
    e = exp(where(large, a - 1, a))
    return where(large, 1.3591409142295225 * e, 0.5 * (e + 1 / e))


def cosh(x):
    """Hyperbolic cosine. Up to 2.6 ulp on lanes."""
    return np.cosh(x)


@formula
def _sech_squared(x):
    a = abs(x)
    large = a > 30
    # There 1 + t is 1; two powers of e set aside keep t normal as long as the result is.
    t = exp(where(large, 2 - 2 * a, -2 * a))
    d = 1 + t
    lost = t - (d - 1)
    return where(large, 0.5413411329464508 * t, 4 * t / fma(2 * lost, d, d * d))


def sech_squared(x):
    """1/cosh(x)^2, the slope of tanh, as 4t/(1 + t)^2 with t = exp(-2 abs(x)). Up to 3.3 ulp on lanes."""
    t = np.exp(-2 * abs(x))
    return 4 * t / ((1 + t) * (1 + t))


@formula
def _sigmoid(x):
    t = exp(-abs(x))
    return where(x < 0, t, 1) / (1 + t)


def sigmoid(x):
    """Logistic function, 1/(1 + e^-x). Up to 2.6 ulp on lanes."""
    from scipy.special import expit

    return expit(x)


@formula
def _softplus(x):
    return where(x > 0, x, 0) + log1p(exp(-abs(x)))


def softplus(x):
    """log(1 + e^x). Up to 1.8 ulp on lanes."""
    return np.logaddexp(0, x)


@formula
def _log_sigmoid(x):
    return where(x < 0, x, 0) - log1p(exp(-abs(x)))


def log_sigmoid(x):
    """log(1/(1 + e^-x)) = -softplus(-x). Up to 1.8 ulp on lanes."""
    return -np.logaddexp(0, -x)


@formula
def _asinh(x):
    a = abs(x)
    # Where a^2 might overflow it is log(2 a), with no error that shows.
    large = a > 1e18
    small = where(large, 0, a)
    square = small * small
    y = log1p(where(large, a, small + square / (1 + sqrt(1 + square))))
    return copysign(where(large, y + LN2, y), x)


def asinh(x):
    """Inverse hyperbolic sine, log(x + sqrt(x^2 + 1)). Up to 1.8 ulp on lanes."""
    return np.arcsinh(x)


for _function, _body in (
    (tanh, _tanh),
    (sinh, _sinh),
    (cosh, _cosh),
    (sech_squared, _sech_squared),
    (sigmoid, _sigmoid),
    (softplus, _softplus),
    (log_sigmoid, _log_sigmoid),
    (asinh, _asinh),
):
    device_overload(_function)(by_precision(_body, _body))
