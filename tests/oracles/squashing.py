"""Bounded functions between two levels, made of exponentials: each as its paper or the survey has it."""

from __future__ import annotations

from mpmath import mp

from oracles import dual as d
from oracles import oracle
from oracles.dual import expm1


@oracle
def scaled_sigmoid(z):
    return 2 * d.tanh(z / 2)  # 4 sigmoid(z) - 2


@oracle
def shifted_scaled_sigmoid(z, a=0.02, b=600.0):
    return d.sigmoid(a * (z - b))


@oracle
def variant_sigmoid(z, a=1.0, b=1.0, c=0.0):
    return a * d.sigmoid(b * z) - c


@oracle
def triple_state_sigmoid(z, a=20.0, b=40.0):
    return d.sigmoid(z) * (d.sigmoid(z) + d.sigmoid(z - a) + d.sigmoid(z - b))


@oracle
def improved_logistic_sigmoid(z, a=0.2, b=2.0):
    if z > b:
        return a * (z - b) + d.sigmoid(b)
    return d.sigmoid(z) if z > -b else a * (z + b) + d.sigmoid(-b)


@oracle
def siglin(z, a=0.1):
    return d.sigmoid(z) + a * z


@oracle
def penalized_tanh(z, a=0.25):
    return d.tanh(z) if z > 0 else a * d.tanh(z)


@oracle
def reltanh(z, a=-1.5, b=0.0):
    if z <= a:
        return d.sech_squared(a) * (z - a) + d.tanh(a)
    return d.tanh(z) if z < b else d.sech_squared(b) * (z - b) + d.tanh(b)


@oracle
def soft_root_sign(z, alpha=2.0, beta=3.0):
    # Divided by z where that is large, lest the slope e^(-z/beta) be a difference of terms of size 1.
    return alpha / (1 + alpha * d.exp(-z / beta) / z) if z > 1 else z / (z / alpha + d.exp(-z / beta))


@oracle
def soft_clipping(z, alpha=50.0):
    # log((1 + e^(alpha z))/(1 + e^(alpha (z - 1)))), and f(z) = 1 - f(1 - z), so that neither tail cancels.
    if abs(z - mp.mpf(1) / 2) < mp.mpf(1) / 4:  # in the middle its digits around 1/2
        return mp.mpf(1) / 2 + (d.log_cosh(alpha * z / 2) - d.log_cosh(alpha * (1 - z) / 2)) / alpha
    if z < mp.mpf(1) / 2:
        return d.log1p(d.expm1(alpha) * d.sigmoid(alpha * (z - 1))) / alpha
    return 1 - d.log1p(d.expm1(alpha) * d.sigmoid(-alpha * z)) / alpha


@oracle
def hexpo(z, a=1.0, b=1.0, c=1.0, d=1.0):
    return -a * expm1(-z / b) if z > 0 else c * expm1(z / d)


@oracle
def sinc_sigmoid(z):
    return d.sinc(d.sigmoid(z))


@oracle
def sigmoid_gumbel(z):
    return d.sigmoid(z) * d.exp(-d.exp(-z))


@oracle
def sigmoid_derivative(z):
    return d.sech_squared(z / 2) / 4  # e^-z sigmoid(z)^2


def sinh_over_root_of_cosh(z):
    """(e^z - e^-z)/sqrt(2 (e^2z + e^-2z)); beyond 1 as the root of its square (1 - sech 2z)/2, whose slope has no
    cancellation."""
    if -1 < z < 1:
        return d.sinh(z) / d.sqrt(d.cosh(2 * z))
    root = d.sqrt((1 - d.sech(2 * z)) / 2)
    return root if z > 0 else -root


@oracle
def new_sigmoid(z):
    return sinh_over_root_of_cosh(z)


@oracle
def root2sigmoid(z):
    # (r^z - r^-z)/(2 r sqrt(2 (r^2z + r^-2z))) with r = sqrt(2)
    root = mp.sqrt(2)
    return sinh_over_root_of_cosh(z * mp.log(root)) / (2 * root)


@oracle
def loglog(z):
    return d.exp(-d.exp(-z))


@oracle
def cloglog(z):
    return -d.expm1(-d.exp(z))


@oracle
def cloglogm(z):
    return 1 - 2 * d.exp(-mp.mpf(7) / 10 * d.exp(z))


def log1p_ratio(x):
    """log(1 + x)/x; its slope (x/(1 + x) - log(1 + x))/x^2 cancels near 0."""
    at = d.value_of(x)
    if at < mp.mpf(2) ** -mp.prec:
        return d.chain(x, 1 - at / 2, lambda: mp.mpf(-1) / 2)
    with mp.extraprec(2 * max(0, -mp.mag(at))):
        log = d.log1p(at)
        value, slope = log / at, (1 / (1 + at) - log / at) / at
    return d.chain(x, +value, lambda: +slope)


@oracle
def aranda_ordaz(z, a=2.0):
    # 1 - (1 + a e^z)^(-1/a)
    return -d.expm1(-d.exp(z) * log1p_ratio(a * d.exp(z)))


@oracle
def probit(z):
    return d.gaussian_cdf(z)


@oracle
def erf(z):
    return d.erf(z)
