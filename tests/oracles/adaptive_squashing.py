"""Squashing activations with a learned slope or height."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def ptelu(z, alpha=1.0, beta=1.0):
    return z if z > 0 else alpha * d.tanh(beta * z)


@oracle
def adaptive_tanh(z, n=10.0, a=0.1):
    return d.tanh(n * a * z)


@oracle
def adaptive_sigmoid(z, n=10.0, a=0.1):
    return d.sigmoid(n * a * z)


@oracle
def psf(z, m=1.0):
    """1/(1 + e^-z)^m."""
    return d.exp(m * d.log_sigmoid(z))
