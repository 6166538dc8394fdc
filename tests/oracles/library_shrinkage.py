"""Shrinkage as PyTorch and TensorFlow Addons define it."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def hardshrink(z, lambd=0.5):
    return z if abs(z) > lambd else 0


@oracle
def softshrink(z, lambd=0.5):
    if z > lambd:
        return z - lambd
    return z + lambd if z < -lambd else 0


@oracle
def tanhshrink(z):
    """z - tanh(z); near 0 by its series, as the difference and the slope 1 - sech^2 would lose every digit."""
    if abs(z) > 1e-5:
        return z - d.tanh(z)
    w = z * z
    return z * w * (d.mpf(1) / 3 - w * (d.mpf(2) / 15 - w * (d.mpf(17) / 315 - w * (d.mpf(62) / 2835))))
