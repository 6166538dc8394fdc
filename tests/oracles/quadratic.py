"""Activations pieced together from powers."""

from __future__ import annotations

from oracles import oracle
from oracles.dual import absolute, maximum


@oracle
def sqlu(z):
    if z > 0:
        return z
    return z + z**2 / 4 if z >= -2 else -1


@oracle
def squish(z):
    if z > 0:
        return z + z**2 / 32
    return z + z**2 / 2 if z > -2 else 0


@oracle
def sq_reu(z):
    if z > 0:
        return z
    return z + z**2 / 2 if z > -2 else 0


@oracle
def smelu(z, beta=2.0):
    if z <= -beta:
        return 0
    return z if z >= beta else (z + beta) ** 2 / (4 * beta)


@oracle
def even_power_linear(z, d=2.0):
    size = absolute(z)
    return size - 1 + 1 / d if size >= 1 else size**d / d


@oracle
def repu(z, s=2.0):
    return z**s if z > 0 else 0


@oracle
def star_relu(z, s=0.8944, b=-0.4472):
    return s * maximum(z, 0) ** 2 + b


@oracle
def square(z):
    return z**2


@oracle
def cube(z):
    return z**3


@oracle
def squ(z):
    return z**2 + z


@oracle
def ncu(z):
    return z - z**3
