"""Smooth rectifiers of the founding texts and of libraries."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle

ALPHA, SCALE = d.mpf("1.6732632423543772848170429916717"), d.mpf("1.0507009873554804934193349852946")


@oracle
def selu(z):
    return SCALE * z if z > 0 else SCALE * ALPHA * d.expm1(z)


@oracle
def celu(z, alpha=1.0):
    if z > 0:
        return z
    u = z / alpha
    # Near 0 by the series: there d/dalpha, of order u^2, is a difference of terms of order u.
    return z * (1 + u / 2 * (1 + u / 3 * (1 + u / 4 * (1 + u / 5)))) if abs(u) < 1e-12 else alpha * d.expm1(u)


@oracle
def logsigmoid(z):
    return d.log_sigmoid(z)


@oracle
def swish_beta(z, beta=1.0):
    return z * d.sigmoid(beta * z)


@oracle
def quick_gelu(z):
    return z * d.sigmoid(d.mpf("1.702") * z)


@oracle
def gelu_10(z):
    gelu = z * d.gaussian_cdf(z)
    return gelu if gelu <= 10 else 10


@oracle
def gelu_tanh(z):
    """z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))/2, (1 + tanh(u))/2 as sigma(2 u)."""
    return z * d.sigmoid(2 * d.sqrt(2 / d.pi) * (z + d.mpf("0.044715") * z**3))


@oracle
def mish(z):
    return z * d.tanh(d.softplus(z))


@oracle
def squareplus(z, b=4.0):
    """(z + sqrt(z^2 + b))/2; for z < 0 multiplied out, as the sum would cancel."""
    root = d.sqrt(z * z + b)
    return (z + root) / 2 if z > 0 else b / (2 * (root - z))


@oracle
def lisht(z):
    return z * d.tanh(z)


@oracle
def exponential(z):
    return d.exp(z)


@oracle
def bent_identity(z):
    return (d.sqrt(z * z + 1) - 1) / 2 + z
