"""Activations that answer near 0 only: bumps, wavelets and other radial functions of one number."""

from __future__ import annotations

import math

from gradsim.activations.families.gates import times
from gradsim.activations.families.pieces import INFINITY, saturating, within
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import exp, log, power, sin_cos, where

_WIDTH = Parameter(1.0, 1e-6, 1e6)


@pointwise(
    r"\frac{1}{1 + (a z)^2}",
    parameters={"a": _WIDTH},
    extended=True,
    range=(0.0, 1.0),
    saturates="both",
    steepest=lambda a: (a * 3**1.5 / 8, 3**-0.5 / a),
    reference="Ramasinghe & Lucey 2022",
)
def inverse_quadratic(z, a):
    """Inverse quadratic, the "quadratic" of coordinate networks."""
    u, inverse = saturating(z, a * a)
    lean = -2 * u * inverse * inverse
    return inverse * inverse, a * a * lean * inverse, a * u * lean


@pointwise(
    r"\frac{1}{\sqrt{1 + (a z)^2}}",
    parameters={"a": _WIDTH},
    extended=True,
    range=(0.0, 1.0),
    saturates="both",
    steepest=lambda a: (a * 2 / 3**1.5, 2**-0.5 / a),
    reference="Ramasinghe & Lucey 2022",
)
def inverse_multiquadric(z, a):
    """Inverse multiquadric, the "multi-quadratic" of coordinate networks."""
    u, inverse = saturating(z, a * a)
    lean = -a * u * inverse
    return inverse, a * lean * inverse, u * lean


@pointwise(
    r"e^{-|z|/a}",
    parameters={"a": _WIDTH},
    extended=True,
    range=(0.0, 1.0),
    smoothness=0,
    saturates="both",
    kinks=(0.0,),
    steepest=lambda a: (1 / a, 0.0),
    reference="Ramasinghe & Lucey 2022",
)
def laplacian(z, a):
    """Laplacian of coordinate networks; the slope at 0 is 1/a."""
    x = abs(z) / a
    e = exp(-x)
    return e, where(z > 0, -e, e) / a, times(x, e) / a


@pointwise(
    r"\left(e^{-z^2/(2 a^2)}\right)^b",
    parameters={"a": _WIDTH, "b": _WIDTH},
    extended=True,
    range=(0.0, 1.0),
    saturates="both",
    steepest=lambda a, b: (math.sqrt(b / math.e) / a, a / math.sqrt(b)),
    reference="Ramasinghe & Lucey 2022",
)
def super_gaussian(z, a, b):
    """Super-Gaussian of coordinate networks: a power of a Gaussian, which is another Gaussian."""
    y = within(z / a, 1e30)
    # The root of the bump, so that large factors come before what may leave the normal numbers.
    e = exp(-b * y * y / 4)
    part = times(y, e)
    return e * e, -b * part * e / a, b * part * part / a, part * part / -2


@pointwise(
    r"\frac{2}{\sqrt 3\, \pi^{1/4}} (1 - z^2) e^{-z^2/2}",
    aliases=("ricker",),
    extended=True,
    range=(-0.38705276380034684, 0.8673250705840775),
    saturates="both",
    steepest=(1.1970118491258015, 0.7419637843027259),
    reference="Ricker 1953; Daubechies 1992",
)
def mexican_hat(z):
    """Mexican hat or Ricker wavelet, the second derivative of a Gaussian."""
    n = within(z, 100)
    e = exp(-n * n / 4)
    part = 0.8673250705840775 * e
    return (1 - n) * (1 + n) * part * e, n * (n * n - 3) * part * e


@pointwise(
    r"e^{-z^2/2} \cos(5 z)",
    extended=True,
    range=(-0.8271098596647777, 1.0),
    saturates="both",
    steepest=(4.792884669009322, 0.29173853288172657),
    reference="Morlet et al. 1982",
)
def morlet(z):
    """Morlet wavelet, real."""
    n = within(z, 100)
    e = exp(-n * n / 2)
    s, c = sin_cos(5 * n)
    return e * c, -e * (5 * s + n * c)


def _elephant_steepest(a: float, d: float) -> tuple[float, float]:
    """(d/z) q (1 - q) with q = 1/(1 + (z/a)^d) is largest where q = (d + 1)/(2 d)."""
    q = (d + 1) / (2 * d)
    z = a * (1 / q - 1) ** (1 / d)
    return d / z * q * (1 - q), -z


@pointwise(
    r"\frac{1}{1 + |z/a|^d}",
    parameters={"a": _WIDTH, "d": Parameter(4.0, 1.5, 100.0)},
    extended=True,
    range=(0.0, 1.0),
    smoothness=lambda a, d: math.ceil(d) - 1 if d % 2 else INFINITY,
    saturates="both",
    steepest=_elephant_steepest,
    reference="Lan & Mahmood 2023",
)
def elephant(z, a, d):
    """Elephant function: flat on top, so that learning one thing leaves others alone."""
    y = abs(z) / a
    far = y > 1
    h = power(y, d / 2)
    e = where(far, 1 / where(far, h, 1), h)
    g = 1 / (1 + e * e)
    # The root of q (1 - q), q being the value.
    root = e * g
    slope = d * root * where(y == 0, 0, root / y) / a
    by_d = -times(log(y), root) * root
    return where(far, e * root, g), where(z > 0, -slope, slope), d * root * root / a, by_d
