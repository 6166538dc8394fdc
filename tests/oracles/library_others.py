"""Periodic, radial and random activations of the founding texts and of libraries."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def sinusoid(z):
    return d.sin(z)


@oracle(limits={"-inf": (0, 0), "inf": (0, 0)})
def sinc(z):
    return d.sinc(z)


@oracle(limits={"-inf": ("-inf",), "inf": ("inf",)})
def snake(z, frequency=1.0):
    return z + d.sin(frequency * z) ** 2 / frequency


@oracle
def gaussian(z):
    return d.exp(-z * z)


@oracle
def rrelu(z, lower=1 / 8, upper=1 / 3, u=0.5):
    return z if z > 0 else (lower + (upper - lower) * u) * z


@oracle
def rrelu_divisor(z, lower=3.0, upper=8.0, u=0.5):
    return z if z > 0 else z / (lower + (upper - lower) * u)
