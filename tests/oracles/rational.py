"""Activations of roots, quotients and powers."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle

# The slopes of z/(1 + z) and its like, as they come of the formula, cancel by what the tail has decayed.
DIGITS = 700


@oracle(digits=DIGITS)
def isru(z, alpha=1.0):
    return z / d.sqrt(1 + alpha * z**2)


@oracle(digits=DIGITS)
def isrlu(z, alpha=1.0):
    return z if z > 0 else z / d.sqrt(1 + alpha * z**2)


@oracle(digits=DIGITS)
def sign_relu(z, alpha=1.0):
    return z if z > 0 else alpha * z / (1 + abs(z))


@oracle(digits=DIGITS)
def pfplus(z, alpha=1.0, beta=1.0):
    """alpha z (1 - beta z)^(H(z) - 1), H the Heaviside function."""
    return alpha * z if z > 0 else alpha * z / (1 - beta * z)


@oracle
def polu(z, alpha=1.5):
    return z if z > 0 else d.expm1(-alpha * d.log1p(-z))


def _power_function(z):
    """z (1 + z/sqrt(1 + z^2))/2; below 0 that is z/(2 h (h - z)) with h = sqrt(1 + z^2)."""
    h = d.sqrt(1 + z**2)
    return z / (2 * h * (h - z)) if z < 0 else z * (1 + z / h) / 2


@oracle
def pflu(z):
    return _power_function(z)


@oracle
def fpflu(z):
    """z + z^2/sqrt(1 + z^2) below 0: twice the other."""
    return z if z > 0 else 2 * _power_function(z)


@oracle(digits=DIGITS)
def scaled_softsign(z, alpha=1.0, beta=1.0):
    return alpha * z / (beta + abs(z))


@oracle(digits=DIGITS)
def blu(z, beta=0.1):
    return beta * (d.sqrt(z**2 + 1) - 1) + z


@oracle
def nlrelu(z, beta=1.0):
    return d.log1p(beta * z) if z > 0 else 0


@oracle(digits=DIGITS, limits={"inf": lambda alpha, mu: ("inf", 1, 0 if alpha < 1 else "inf")})
def smu_1(z, alpha=0.25, mu=4.352665993287951e-9):
    return ((1 + alpha) * z + d.sqrt((1 - alpha) ** 2 * z**2 + mu**2)) / 2


@oracle
def multiquadratic(z, a=0.0, b=1.0):
    return d.sqrt((z - a) ** 2 + b**2)
