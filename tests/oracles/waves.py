"""Oscillating activations."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle

# 1 - cos z cancels near 0, z - pi is far from z for few digits.
DIGITS = 400


@oracle
def gcu(z):
    return z * d.cos(z)


@oracle
def asu(z):
    return z * d.sin(z)


@oracle(digits=DIGITS)
def cosine(z):
    return 1 - d.cos(z)


@oracle
def cosid(z):
    return d.cos(z) - z


@oracle
def sinp(z, a=1.5):
    return d.sin(z) - a * z


@oracle(digits=DIGITS)
def ssu(z):
    return d.pi * d.sinc(z - d.pi)


@oracle(digits=DIGITS)
def dsu(z):
    return d.pi / 2 * (d.sinc(z - d.pi) - d.sinc(z + d.pi))


@oracle
def siren(z, omega=30.0):
    return d.sin(omega * z)


@oracle
def sinlu(z, a=1.0, b=1.0):
    return (z + a * d.sin(b * z)) * d.sigmoid(z)


@oracle
def coslu(z, a=1.0, b=1.0):
    return (z + a * d.cos(b * z)) * d.sigmoid(z)


@oracle
def minsin(z):
    """min(z, sin z): sin z is below z right of 0, above it left of 0."""
    return d.sin(z) if z > 0 else z


@oracle
def sine_relu(z, epsilon=0.0025):
    return z if z > 0 else epsilon * (d.sin(z) - d.cos(z))


@oracle
def exp_sin(z, a=1.0):
    return d.exp(-d.sin(a * z))
