"""Activations pieced together from squares and other powers: no exponential, in hardware nearly free."""

from __future__ import annotations

import math

from gradsim.activations.families.gates import times
from gradsim.activations.families.pieces import INFINITY, constant, learned, scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import log, power, where

_WURAOLA = "Wuraola, Patel & Nguang 2021"


@pointwise(
    r"z \text{ if } z > 0 \text{ else } n + n^2/4,\quad n = \max(z, -2)",
    extended=True,
    range=(-1.0, INFINITY),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=(1.0, 1.0),
    reference=_WURAOLA,
)
def sqlu(z):
    """Square linear unit (SQLU): an ELU made of a parabola."""
    n = where(z < -2, -2, z)
    return where(z > 0, z, n * (1 + n / 4)), where(z > 0, 1, 1 + n / 2)


@pointwise(
    r"z + z^2/32 \text{ if } z > 0,\ z + z^2/2 \text{ if } z > -2 \text{ else } 0",
    extended=True,
    range=(-0.5, INFINITY),
    smoothness=0,
    saturates="low",
    kinks=(-2.0,),
    steepest=(INFINITY, INFINITY),
    reference=_WURAOLA,
)
def squish(z):
    """Square swish (Squish): two parabolas; the slope at -2 is 0."""
    bend = where(z > 0, z / 32, z / 2)
    return where(z <= -2, 0, z * (1 + bend)), where(z <= -2, 0, 1 + 2 * bend)


@pointwise(
    r"z \text{ if } z > 0,\ z + z^2/2 \text{ if } z > -2 \text{ else } 0",
    extended=True,
    range=(-0.5, INFINITY),
    smoothness=0,
    saturates="low",
    kinks=(-2.0,),
    steepest=(1.0, 1.0),
    reference=_WURAOLA,
)
def sq_reu(z):
    """Square rectified exponential unit (SqREU): ReLU above 0, Squish below; the slope at -2 is 0."""
    value = where(z > 0, z, z * (1 + z / 2))
    return where(z <= -2, 0, value), where(z <= -2, 0, where(z > 0, 1, 1 + z))


@pointwise(
    r"0 \text{ if } z \le -\beta,\ (z + \beta)^2/(4\beta) \text{ if } z < \beta \text{ else } z",
    parameters={"beta": Parameter(2.0, 1e-6, 1e6)},
    extended=True,
    range=(0.0, INFINITY),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=lambda beta: (1.0, beta),
    reference="Shamir & Lin 2022",
)
def smelu(z, beta):
    """Smooth ReLU (SmeLU): a parabola joins the two lines of a ReLU."""
    x = where(z <= -beta, 0, where(z >= beta, 1, (z + beta) / (2 * beta)))
    rest = where(z >= beta, 0, where(z <= -beta, 1, (beta - z) / (2 * beta)))
    return where(z >= beta, z, beta * x * x), x, x * rest


@pointwise(
    r"|z|^d/d \text{ if } |z| < 1 \text{ else } |z| - 1 + 1/d",
    aliases=("even_pow_lin",),
    parameters={"d": Parameter(2.0, 1.5, 100.0)},
    extended=True,
    range=(0.0, INFINITY),
    smoothness=1,
    steepest=(1.0, 1.0),
    reference="Nasiri & Ghiasi-Shirazi, in Kunc & Kléma 2024, 3.6.41",
)
def even_power_linear(z, d):
    """Even power linear activation (EvenPowLin, EPLAF): the absolute value with a power for its tip."""
    size = abs(z)
    n = where(size > 1, 1, size)
    # The root of the power, so that large factors come before what may leave the normal numbers.
    root = power(n, d / 2)
    rise = where(n == 0, 0, power(n, d - 1))
    by_d = times(log(n) - 1 / d, root) * root / d
    slope = where(z > 0, rise, -rise)
    return where(size < 1, root * root / d, (size - 1) + 1 / d), slope, by_d


@pointwise(
    r"\max(0, z)^s",
    parameters={"s": Parameter(2.0, 1.0, 16.0)},
    extended=True,
    range=(0.0, INFINITY),
    monotonic=True,
    smoothness=lambda s: math.ceil(s) - 1,
    saturates="low",
    kinks=lambda s: (0.0,) if s == 1 else (),
    steepest=lambda s: (INFINITY, INFINITY) if s > 1 else (1.0, 1.0),
    reference="Li, Tang & Yu 2019",
)
def repu(z, s):
    """Rectified power unit (RePU): s = 2 is the rectified quadratic unit, s = 3 the rectified cubic unit."""
    low = z <= 0
    x = where(low, constant(1, z), z)
    rise = power(x, s - 1)
    return where(low, 0, rise * x), where(low, 0, constant(s * rise, z)), where(low, 0, rise * (x * log(x)))


@pointwise(
    r"s \max(0, z)^2 + b",
    parameters={
        "s": learned(0.8944),
        "b": learned(-0.4472),
    },
    extended=True,
    range=lambda s, b: (b if s >= 0 else -INFINITY, INFINITY if s > 0 else b),
    zero_centered=lambda s, b: s == b == 0,
    monotonic=lambda s, b: s >= 0,
    smoothness=lambda s, b: 1 if s else INFINITY,
    saturates=lambda s, b: "low" if s else "both",
    steepest=lambda s, b: (INFINITY, INFINITY) if s else (0.0, 0.0),
    reference="Yu et al. 2022",
)
def star_relu(z, s, b):
    """StarReLU: a squared ReLU, scaled and shifted to mean 0 and variance 1 for normal inputs."""
    x = where(z <= 0, 0, z)
    square = x * x
    return scaled(s, square) + b, scaled(2 * s, x), square, constant(1, z)


@pointwise(
    r"z^2",
    extended=True,
    range=(0.0, INFINITY),
    steepest=(INFINITY, INFINITY),
    reference="Gilad-Bachrach et al. 2016",
)
def square(z):
    """The square: what can be computed on encrypted numbers."""
    return z * z, 2 * z


@pointwise(
    r"z^3",
    extended=True,
    zero_centered=True,
    monotonic=True,
    steepest=(INFINITY, INFINITY),
    reference="Chen & Manning 2014",
)
def cube(z):
    """The cube."""
    return z * z * z, 3 * z * z


@pointwise(
    r"z^2 + z",
    extended=True,
    range=(-0.25, INFINITY),
    steepest=(INFINITY, INFINITY),
    reference="Noel et al. 2021",
)
def squ(z):
    """Shifted quadratic unit (SQU): two zeros, so that one neuron learns XOR."""
    return z * (z + 1), 2 * z + 1


@pointwise(
    r"z - z^3",
    extended=True,
    zero_centered=True,
    steepest=(INFINITY, INFINITY),
    reference="Noel et al. 2021",
)
def ncu(z):
    """Non-monotonic cubic unit (NCU): three zeros."""
    return z * ((1 - z) * (1 + z)), 1 - 3 * z * z
