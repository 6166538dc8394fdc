"""Piecewise linear activations with fixed parameters; the branch that is chosen gives the slope at a kink."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def displaced_relu(z, delta=1.0):
    return z if z > -delta else -delta


@oracle
def delay_relu(z, delay=0.06):
    return z - delay if z > delay else 0


@oracle
def very_leaky_relu(z):
    return z if z > 0 else z / 3


@oracle
def bounded_relu(z, bound=1.0):
    if z <= 0:
        return 0
    return z if z <= bound else bound


@oracle
def bounded_leaky_relu(z, slope=0.01, bound=1.0):
    if z <= 0:
        return slope * z
    return z if z <= bound else slope * (z - bound) + bound


@oracle
def v_relu(z):
    return d.absolute(z)


@oracle
def mirrored_relu(z):
    """min(max(0, 1 - z), max(0, 1 + z)), with the left slope at its corners."""
    if z <= -1 or z > 1:
        return 0
    return 1 + z if z <= 0 else 1 - z


@oracle
def plu(z, alpha=0.1, c=1.0):
    """max(alpha (z + c) - c, min(alpha (z - c) + c, z)), with the left slope at its corners."""
    if z <= -c:
        return alpha * (z + c) - c
    return z if z <= c else alpha * (z - c) + c
