"""The twin's activations: value and slope to 50 digits (ORACLES) and in float64 arrays (ACTIVATIONS).

Kinks follow PyTorch: relu'(0) = 0, leaky_relu'(0) = slope, elu'(0) = alpha. At +-inf the limit; NaN in, NaN
out. Both tables: name -> function(z, **parameters) -> (value, slope).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy.special
from mpmath import mp

# --- activations, exact to 50 digits ----------------------------------------------------


def _exact(formula):
    """Evaluate `formula` with 50 digits at the exact value of a float; NaN in, NaN out."""

    @functools.wraps(formula)
    def at_50_digits(z, **params):
        with mp.workdps(50):
            z = z if isinstance(z, mp.mpf) else mp.mpf(float(z))
            if mp.isnan(z):
                return mp.nan, mp.nan
            value, slope = formula(z, **{name: mp.mpf(float(number)) for name, number in params.items()})
            return mp.mpf(value), mp.mpf(slope)

    return at_50_digits


@_exact
def exact_identity(z):
    return z, 1


@_exact
def exact_sigmoid(z):
    s, one_minus_s = 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))
    return s, s * one_minus_s


@_exact
def exact_tanh(z):
    return mp.tanh(z), mp.sech(z) ** 2


@_exact
def exact_relu(z):
    return (z, 1) if z > 0 else (0, 0)


@_exact
def exact_leaky_relu(z, slope=0.01):
    if z > 0:
        return z, 1
    return (slope * z if slope else 0), slope


@_exact
def exact_elu(z, alpha=1.0):
    return (z, 1) if z > 0 else (alpha * mp.expm1(z), alpha * mp.exp(z))


@_exact
def exact_softplus(z):
    return mp.log1p(mp.exp(z)) if z < 0 else z + mp.log1p(mp.exp(-z)), 1 / (1 + mp.exp(-z))


@_exact
def exact_silu(z):
    if mp.isinf(z):
        return (z, 1) if z > 0 else (0, 0)
    s, one_minus_s = 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))
    return z * s, s * (1 + z * one_minus_s)


@_exact
def exact_gelu(z):
    if abs(z) > 1e100:  # mpmath's erfc cannot hold exp(-1e600); no float can either
        return (z, 1) if z > 0 else (0, 0)
    cdf, density = mp.erfc(-z / mp.sqrt(2)) / 2, mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)
    return z * cdf, cdf + z * density


ORACLES = {
    "identity": exact_identity,
    "sigmoid": exact_sigmoid,
    "tanh": exact_tanh,
    "relu": exact_relu,
    "leaky_relu": exact_leaky_relu,
    "elu": exact_elu,
    "softplus": exact_softplus,
    "silu": exact_silu,
    "gelu": exact_gelu,
}


# --- activations, float64 ---------------------------------------------------------------


def _keep_nan(z, slope):
    return np.where(np.isnan(z), np.nan, slope)


def _limit_at_inf(z, value):
    """+inf where z is: the functions below work on z clipped to +-1e308, where 0 * inf cannot arise."""
    return np.where(z == np.inf, np.inf, value)


def identity(z):
    return z, _keep_nan(z, 1.0)


def sigmoid(z):
    s = scipy.special.expit(z)
    return s, s * scipy.special.expit(-z)


def tanh(z):
    e = np.exp(-2 * np.minimum(np.abs(z), 1e3))  # 1 - tanh^2 has no digits left beyond |z| = 19, this has all
    return np.tanh(z), 4 * e / (1 + e) ** 2


def relu(z):
    return np.maximum(z, 0.0), _keep_nan(z, np.where(z > 0, 1.0, 0.0))


def leaky_relu(z, slope=0.01):
    value = np.where(z > 0, z, slope * z) if slope else np.maximum(z, 0.0)
    return value, _keep_nan(z, np.where(z > 0, 1.0, slope))


def elu(z, alpha=1.0):
    below = np.minimum(z, 0.0)
    return np.where(z > 0, z, alpha * np.expm1(below)), np.where(z > 0, 1.0, alpha * np.exp(below))


def softplus(z):
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))), scipy.special.expit(z)


def silu(z):
    x = np.clip(z, -1e308, 1e308)
    s = scipy.special.expit(x)
    return _limit_at_inf(z, x * s), s * (1 + x * scipy.special.expit(-x))


def gelu(z):
    x = np.clip(z, -1e308, 1e308)
    cdf = scipy.special.ndtr(x)
    density = np.exp(-0.5 * np.clip(x, -1e3, 1e3) ** 2) / math.sqrt(2 * math.pi)  # exp(-5e5) is 0 already
    return _limit_at_inf(z, x * cdf), cdf + x * density


ACTIVATIONS = {
    "identity": identity,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "softplus": softplus,
    "silu": silu,
    "gelu": gelu,
}

# The smallest number above 0 stands for 0+: the rectifiers have their full slope right of 0 and not at 0.
RIGHT_OF_ZERO = math.ulp(0.0)


@functools.cache
def _silu_max_slope() -> tuple[float, float]:
    """silu'' = s (1 - s) (2 + z (1 - 2 s)) vanishes where z tanh(z / 2) = 2."""
    with mp.workdps(50):
        point = mp.findroot(lambda z: z * mp.tanh(z / 2) - 2, 2.4)
        return float(exact_silu(point)[1]), float(point)


@functools.cache
def _gelu_max_slope() -> tuple[float, float]:
    """gelu'' = density(z) (2 - z^2) vanishes at sqrt(2)."""
    with mp.workdps(50):
        return float(exact_gelu(mp.sqrt(2))[1]), float(mp.sqrt(2))


# name -> function(**params) -> (max abs slope, point of max slope): low is z < point, high is z >= point
MAX_SLOPE = {
    "identity": lambda: (1.0, math.nan),
    "sigmoid": lambda: (0.25, 0.0),
    "tanh": lambda: (1.0, 0.0),
    "relu": lambda: (1.0, RIGHT_OF_ZERO),
    "leaky_relu": lambda slope=0.01: (max(1.0, abs(slope)), RIGHT_OF_ZERO),
    "elu": lambda alpha=1.0: (max(1.0, abs(alpha)), RIGHT_OF_ZERO),
    "softplus": lambda: (1.0, math.inf),
    "silu": _silu_max_slope,
    "gelu": _gelu_max_slope,
}
