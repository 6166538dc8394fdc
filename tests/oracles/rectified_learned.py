"""Piecewise linear activations with learned or random parameters, with the left slope at their kinks."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def flexible_relu(z, b=0.0):
    return (z if z > 0 else 0) + b


@oracle
def shilu(z, alpha=1.0, beta=1.0):
    return alpha * (z if z > 0 else 0) + beta


@oracle
def relun(z, n=1.0):
    rectified = z if z > 0 else 0
    return rectified if rectified <= n else n


@oracle
def dual_parametric_relu(z, alpha=1.0, beta=0.01):
    return alpha * z if z > 0 else beta * z


@oracle
def dual_line(z, alpha=1.0, beta=0.01, m=-0.22):
    return alpha * z + m if z > 0 else beta * z + m


@oracle
def lelelu(z, alpha=1.0):
    return alpha * z if z > 0 else alpha * z / 100


@oracle
def rprelu(z, beta=0.25, gamma=0.0, zeta=0.0):
    return z - gamma + zeta if z > gamma else beta * (z - gamma) + zeta


@oracle
def arelu(z, alpha=0.9, beta=2.0):
    """The bounds on alpha are part of it, and these themselves have a derivative, as torch.clamp has it."""
    if z > 0:
        return (1 + d.sigmoid(beta)) * z
    low, high = d.mpf(0.01), d.mpf(0.99)
    return (low if alpha < low else high if alpha > high else alpha) * z


@oracle
def tent(z, delta=1.0):
    if z <= -delta or z > delta:
        return 0
    return delta + z if z <= 0 else delta - z


@oracle
def elastic_relu(z, alpha=0.1, u=0.5):
    """k max(0, z), where k ~ U(1 - alpha, 1 + alpha) comes of u ~ U(0, 1)."""
    low, high = 1 - alpha, 1 + alpha
    return (low + u * (high - low)) * z if z > 0 else 0


@oracle
def elastic_prelu(z, a=0.25, alpha=0.1, u=0.5):
    low, high = 1 - alpha, 1 + alpha
    return (low + u * (high - low)) * z if z > 0 else a * z
