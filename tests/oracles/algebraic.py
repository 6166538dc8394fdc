"""Bounded functions of powers, roots and pieces of parabolas."""

from __future__ import annotations

from mpmath import mp

from oracles import dual as d
from oracles import oracle

half = mp.mpf(1) / 2


def size(z):
    """abs(z), with a slope at 0 from the right."""
    return z if z >= 0 else -z


def softsign(z):
    return z / (1 + size(z))


# 1/2 - 1/2 in the low tail leaves 1e-308.
@oracle(digits=1000)
def elliott(z):
    return softsign(z) / 2 + half


@oracle(digits=1000)
def mishra(z):
    return softsign(z) * softsign(z) / 2 + softsign(z) / 2


@oracle(digits=1000)
def modified_elliott(z):
    return z / d.sqrt(1 + z * z) + half


@oracle(digits=1000)
def rootsig(z, a=1.0):
    return a * z / (1 + d.sqrt(1 + a * a * z * z))


@oracle(digits=1300)
def sigmoid_algebraic(z, a=1.0):
    return d.sigmoid(z * (1 + a * size(z)) / (1 + size(z) * (1 + a * size(z))))


@oracle
def smooth_step(z, gamma=1.0):
    if z <= -gamma / 2:
        return 0
    return 1 if z >= gamma / 2 else -2 * z * z * z / (gamma * gamma * gamma) + 3 * z / (2 * gamma) + half


@oracle
def sqnl(z):
    if size(z) > 2:
        return 1 if z > 0 else -1
    return z - z * z / 4 if z >= 0 else z + z * z / 4


@oracle
def logsqnl(z):
    if size(z) > 2:
        return 1 if z > 0 else 0
    return (z - z * z / 4 if z >= 0 else z + z * z / 4) / 2 + half
