"""z times a distribution function: normal, Cauchy, Laplace, Gumbel and other tails."""

from __future__ import annotations

from mpmath import mp

from oracles import dual as d
from oracles import oracle


# Both terms of the slope cancel down to z^-3, and at 1e308 that is 1e-924.
@oracle(digits=1000, limits={"-inf": (-1 / mp.pi, 0), "inf": (mp.inf, 1)})
def calu(z):
    return z * (d.atan(z) / d.pi + mp.mpf(1) / 2)


@oracle
def lalu(z):
    return z * (1 - d.exp(-z) / 2) if z >= 0 else z * d.exp(z) / 2


@oracle
def sgelu(z, a=1.0):
    return a * z * d.erf(z / mp.sqrt(2))


@oracle
def phish(z):
    return z * d.tanh(z * d.gaussian_cdf(z))


@oracle
def serf(z):
    return z * d.erf(d.softplus(z))


@oracle
def erfact(z, a=0.75, b=0.75):
    return z * d.erf(a * d.exp(b * z))


@oracle
def pserf(z, gamma=1.25, delta=0.85):
    return z * d.erf(gamma * d.softplus(delta * z))


@oracle
def gish(z):
    return z * d.log1p(-d.expm1(-d.exp(z)))  # log(2 - e^-u)


@oracle
def loglogish(z):
    return -z * d.expm1(-d.exp(z))


@oracle
def expexpish(z):
    return z * d.exp(-d.exp(-z))


@oracle
def colu(z):
    return z / (1 - z * d.exp(-(z + d.exp(z))))


@oracle
def self_arctan(z):
    return z * d.atan(z)


@oracle(digits=1000, limits={"-inf": lambda a: (mp.ninf if a < 1 else mp.zero, (1 - a) / 2)})
def swim(z, a=0.5):
    return z / 2 * (1 + a * z / d.sqrt(1 + z * z))
