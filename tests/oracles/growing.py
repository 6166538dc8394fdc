"""Unbounded functions of logarithms, softplus and hyperbolic functions."""

from __future__ import annotations

from mpmath import mp

from oracles import dual as d
from oracles import oracle


@oracle
def symlog(z):
    return d.log1p(z) if z >= 0 else -d.log1p(-z)


@oracle
def symexp(z):
    return d.expm1(z) if z >= 0 else -d.expm1(-z)


@oracle
def seagull(z):
    return d.log1p(z * z)


def centered_softplus(z):
    """log(1 + e^z) - log(2), with its digits near 0."""
    return d.log1p(d.expm1(z) / 2)


@oracle
def soft_plus_plus(z, k=1.0, c=2.0):
    return centered_softplus(k * z) + z / c


@oracle
def psoftplus(z, a=1.5, b=0.6931471805599453):
    return a * (d.softplus(z) - b)


@oracle
def slu(z):
    return z if z > 0 else 2 * centered_softplus(z)


@oracle
def resp(z, a=1.5):
    return a * z + mp.log(2) if z > 0 else d.softplus(z)


@oracle
def hclsh(z):
    # log(cosh z + z cosh(z/2)), below 0 log(cosh z) + z = log((1 + e^2z)/2): both with their digits near 0 and far off.
    if z >= 0:
        return d.log1p(2 * d.sinh(z / 2) * d.sinh(z / 2) + z * d.cosh(z / 2))
    return centered_softplus(2 * z)


@oracle
def m_arcsinh(z):
    return d.asinh(z) * d.sqrt(d.absolute(z)) / 12 if z != 0 else 0


@oracle
def hyper_sinh(z):
    return d.sinh(z) / 3 if z > 0 else z * z * z / 4


@oracle
def comb_h_sine(z, a=1.0):
    return d.sinh(a * z) + d.asinh(a * z)


@oracle
def arctid(z):
    return d.atan(z) * d.atan(z) - z
