"""Relatives of the exponential linear unit."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle

# For derivatives in a parameter that cancel as far as a square vanishes near 0; exp is slow with more digits than that.
DIGITS = 175


def _elu(z):
    return z if z > 0 else d.expm1(z)


@oracle
def pelu(z, a=1.0, b=1.0):
    """Parameters below 0.1 are held there, as the paper asks for."""
    a, b = (p if p >= d.mpf(0.1) else d.mpf(0.1) for p in (a, b))
    return a / b * z if z > 0 else a * d.expm1(z / b)


@oracle
def mpelu(z, alpha=1.0, beta=1.0):
    return z if z > 0 else alpha * d.expm1(beta * z)


@oracle(digits=DIGITS)
def pdelu(z, alpha=1.0, t=0.9):
    """Below 0 it is alpha (max(0, 1 + (1 - t) z)^(1/(1 - t)) - 1)."""
    part = (1 - t) * z
    if z > 0:
        return z
    return alpha * d.expm1(d.log1p(part) / (1 - t)) if part > -1 else -alpha


@oracle
def serlu(z, scale=1.07862, alpha=2.90427):
    return scale * z if z > 0 else scale * alpha * z * d.exp(z)


@oracle
def reu(z):
    return z if z > 0 else z * d.exp(z)


@oracle
def preu(z, alpha=1.0, beta=1.0):
    return alpha * z if z > 0 else alpha * z * d.exp(beta * z)


@oracle
def diff_elu(z, a=0.3, b=0.1):
    return z if z >= 0 else a * (z * d.exp(z) - b * d.exp(b * z))


@oracle
def delu(z, n=0.0):
    return (n + d.mpf(0.5)) * z + abs(d.expm1(-z)) if z > 0 else z * d.sigmoid(z)


@oracle
def erf_relu(z, alpha=1.0):
    return z if z > 0 else alpha * d.erf(z)


@oracle(digits=DIGITS)
def p_e2_relu(z, a=0.4, b=0.3):
    return a * (z if z > 0 else 0) + b * _elu(z) - (1 - a - b) * _elu(-z)


@oracle
def p_e2_id(z, a=0.5):
    """a z + (1 - a) (elu(z) - elu(-z)), where elu(z) - elu(-z) is z + 1 - e^-z above 0."""
    return z + (1 - a) * (-d.expm1(-z) if z > 0 else d.expm1(z))
