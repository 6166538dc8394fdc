"""Oscillating activations. At +-inf an oscillation of constant size has no limit: NaN."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import fma, sin_cos, where

_INF = float("inf")


@pointwise(
    r"\sin z",
    aliases=("sin", "sine"),
    range=(-1.0, 1.0),
    zero_centered=True,
    steepest=(1.0, 0.0),
    reference="Gashler & Ashmore 2014",
)
def sinusoid(z):
    """Sine."""
    return sin_cos(z)


@formula
def _sinc_slope_near_0(w):
    """(z cos(z) - sin(z))/z^3 as a function of w = z^2 in [0, 2.25], a fit."""
    p = fma(w, 4.3661064646515840199e-14, -1.0701178235584932736e-11)
    p = fma(p, w, 1.9270759589563577904e-9)
    p = fma(p, w, -2.5052107394838481113e-7)
    p = fma(p, w, 0.000022045855373444811095)
    p = fma(p, w, -0.0011904761904745498874)
    p = fma(p, w, 0.033333333333333154109)
    return fma(p, w, -0.3333333333333333301)


@pointwise(
    r"\frac{\sin z}{z}",
    range=(-0.21723362821122166, 1.0),
    saturates="both",
    steepest=(0.4361818172714585, -2.0815759778181006),
    reference="Wikipedia's table of activation functions",
)
def sinc(z):
    """Cardinal sine, not normalized; 1 at 0, with the limit 0 at +-inf."""
    s, c = sin_cos(z)
    size = abs(z)
    quotient = where(z == 0, 1, s / z)
    near = z * _sinc_slope_near_0(where(size < 1.5, z * z, 2.25))
    far = (c - quotient) / z
    return (
        where(size == _INF, 0, quotient),
        where(size == _INF, 0, where(size < 1.5, near, far)),
    )


@formula
def snake_parts(z, a):
    """Value, slope and derivative in a of z + sin(a z)^2/a, any a, for extended formulas; at +-inf the value is z.

    The slope 1 + sin(2 a z) = (sin(a z) + cos(a z))^2 touches 0. For a = 0 all is as in the limit: z, 1, z^2.
    """
    u = where((a == 0) & (z == z), 0, a * z)
    # Where a z overflows, the angle is taken at z/4 and doubled twice; for a > 4 it may then be any.
    over = (abs(u) == _INF) & (abs(z) < _INF)
    quarter = a * (0.25 * z)
    s, c = sin_cos(where(over, where(abs(quarter) == _INF, z, quarter), u))
    half_s, half_c = 2 * s * c, 1 - 2 * s * s
    s, c = where(over, 2 * half_s * half_c, s), where(over, 1 - 2 * half_s * half_s, c)

    small = abs(u) < 1
    q = where(u == 0, 1, s / where(small, u, 1))
    inverse = 1 / where(small, 1, a)
    value = where(abs(z) == _INF, z, z + where(small, z * s * q, s * s * inverse))
    in_a = where(small, z * (z * (q * (2 * c - q))), (z * (2 * s * c) - s * (s * inverse)) * inverse)
    return value, (s + c) * (s + c), in_a


@pointwise(
    r"z + \frac{1}{a} \sin^2(a z)",
    parameters={"frequency": Parameter(1.0, 1e-6, 1e6)},
    monotonic=True,
    steepest=lambda frequency: (2.0, 0.7853981633974483 / frequency),
    extended=True,
    reference="Ziyin, Hartwig & Ueda 2020",
)
def snake(z, frequency):
    """Snake with a fixed frequency, as TensorFlow Addons' function takes it; `trainable_snake` learns it."""
    return snake_parts(z, frequency)
