"""The twin's activations in float64 arrays: ACTIVATIONS, name -> function(z, **parameters) -> (value, slope).

Written out in NumPy for those whose twins are trained most; any other name is answered by its oracle, exact and slow.
MAX_SLOPE says what saturation is measured against. Kinks follow PyTorch: relu'(0) = 0, leaky_relu'(0) = slope,
elu'(0) = alpha. At +-inf the limit; NaN in, NaN out.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import oracles
import scipy.special
from mpmath import mp


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


class _ByOracle(dict):
    """Functions by name; what is missing is evaluated number by number at 50 digits, and rounded to float64."""

    def __missing__(self, name):
        oracle = oracles.ORACLES[name]

        def at_50_digits(z, **params):
            z = np.asarray(z, np.float64)
            found = np.array([[float(x) for x in oracle.value_and_slope(x, **params)] for x in z.ravel()])
            return tuple(found.reshape(-1, 2).T.reshape(2, *z.shape))

        return at_50_digits


ACTIVATIONS = _ByOracle(
    {
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
)

# The same names, (value, slope) to 50 digits.
ORACLES = {name: oracles.ORACLES[name].value_and_slope for name in ACTIVATIONS}

# The smallest number above 0 stands for 0+: the rectifiers have their full slope right of 0 and not at 0.
RIGHT_OF_ZERO = math.ulp(0.0)


@functools.cache
def _silu_max_slope() -> tuple[float, float]:
    """silu'' = s (1 - s) (2 + z (1 - 2 s)) vanishes where z tanh(z / 2) = 2."""
    with mp.workdps(50):
        point = mp.findroot(lambda z: z * mp.tanh(z / 2) - 2, 2.4)
        return float(ORACLES["silu"](point)[1]), float(point)


@functools.cache
def _gelu_max_slope() -> tuple[float, float]:
    """gelu'' = density(z) (2 - z^2) vanishes at sqrt(2)."""
    with mp.workdps(50):
        return float(ORACLES["gelu"](mp.sqrt(2))[1]), float(mp.sqrt(2))


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
