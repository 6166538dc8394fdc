"""Gated activations whose gate is learned."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


def _smooth_maximum(a, b, beta):
    """(a - b) sigmoid(beta (a - b)) + b, here in the paper's form that treats both alike."""
    return a * d.sigmoid(beta * (a - b)) + b * d.sigmoid(beta * (b - a))


@oracle
def acon_b(z, p=0.25, beta=1.0):
    return _smooth_maximum(z, p * z, beta)


@oracle
def acon_c(z, p1=1.0, p2=0.0, beta=1.0):
    return _smooth_maximum(p1 * z, p2 * z, beta)


@oracle
def psgu(z, alpha=0.5):
    return z * d.tanh(alpha * d.sigmoid(z))


@oracle
def eis_1(z, delta=1.16, theta=1.0):
    """z softplus(z)/(z + delta e^(-theta z)); below 0 both parts are taken times e^(theta z)."""
    if z < 0:
        e = d.exp(theta * z)
        return z * e * d.softplus(z) / (z * e + delta)
    return z * d.softplus(z) / (z + delta * d.exp(-theta * z))


@oracle
def eis_2(z, beta=1.0, gamma=1.0):
    return z * d.softplus(z) / d.sqrt(beta + gamma * z**2)
