"""z times the hyperbolic tangent or secant of something: the relatives of Mish and LiSHT, and hard gates."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def tbsrelu(z):
    return z * d.tanh(d.tanh(z / 2))


@oracle
def rehsec(z):
    return z * d.sech(z)


@oracle
def tanhexp(z):
    return z * d.tanh(d.exp(z))


@oracle
def tanhsoft1(z, a=1.0):
    return d.tanh(a * z) * d.softplus(z)


@oracle
def tanhsoft2(z, b=0.6, c=1.0):
    return z * d.tanh(b * d.exp(c * z))


@oracle
def tanhsoft3(z, a=1.0):
    return d.log1p(d.exp(z) * d.tanh(a * z))


@oracle
def mila(z, beta=-0.25):
    return z * d.tanh(d.softplus(beta + z))


@oracle
def beta_mish(z, beta=1.5):
    return z * d.tanh(beta * d.softplus(z))


@oracle
def soft_modulus_t(z, a=0.01):
    return z * d.tanh(z / a)


@oracle
def soft_modulus_q(z):
    size = z if z >= 0 else -z
    return z * z * (2 - size) if size <= 1 else size


def hard_sigmoid(z):
    """max(0, min(1, (z + 1)/2)), the left side's branch at its kinks."""
    if z <= -1:
        return 0
    return (z + 1) / 2 if z <= 1 else 1


@oracle
def hard_elish(z):
    return (z if z >= 0 else d.expm1(z)) * hard_sigmoid(z)


@oracle
def hard_mish(z):
    if z <= -2:
        return 0
    return z / 2 * (z + 2) if z <= 0 else z


@oracle
def e_tanh(z, a=1.0):
    return a * d.exp(z) * d.tanh(z)
