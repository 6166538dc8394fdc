"""S-shaped activations. The tails are computed from exp(-abs(z)), never as 1 - s: that would lose every digit."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import atan as arctangent
from gradsim.lanes import copysign, erfcx_fit, exp, exp_expm1, fma, where

_INF = float("inf")
_SQRT_2 = 1.4142135623730951
_INV_SQRT_2PI = 0.3989422804014327
_EXP_MINUS_40 = 4.248354255291589e-18


@formula
def _bell(z, u):
    """z exp(-u) for u >= 0 growing with z: exp(-u) alone would lose its digits to underflow before the product does."""
    far = u > 64
    return where(u > 1000, 0, z) * exp(where(far, 40 - u, -u)) * where(far, _EXP_MINUS_40, 1)


@pointwise(
    r"\frac{1}{1 + e^{-z}}",
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=(0.25, 0.0),
    reference="Verhulst 1845; Rumelhart, Hinton & Williams 1986",
)
def sigmoid(z):
    """Logistic sigmoid; its slope is s - s^2 with s the smaller of s(z) and s(-z): an error of s counts less in it."""
    t = exp(-abs(z))
    r = 1 / (1 + t)
    s = t * r
    return where(z >= 0, r, s), fma(-s, s, s)


@pointwise(
    r"\tanh z",
    range=(-1.0, 1.0),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="LeCun, Bottou, Orr & Müller 1998",
)
def tanh(z):
    """Hyperbolic tangent, (1 - t)/(1 + t) with t = exp(-2 abs(z)); slope 2 s - s^2 with s = 2 t/(1 + t)."""
    t, t_minus_1 = exp_expm1(-abs(z + z))
    r = 1 / (1 + t)
    s = (t + t) * r
    return copysign(t_minus_1 * r, z), fma(-s, s, s + s)


@pointwise(
    r"\frac{L}{1 + e^{-k (z - x_0)}}",
    parameters={"L": Parameter(1.0, 1e-6, 1e6), "k": Parameter(1.0, 1e-6, 1e6), "x0": Parameter(0.0, -1e6, 1e6)},
    range=lambda L, k, x0: (0.0, L),
    monotonic=True,
    saturates="both",
    steepest=lambda L, k, x0: (L * k / 4, x0),
    reference="Verhulst 1845",
)
def logistic(z, L, k, x0):
    """Logistic function with height L, growth rate k and midpoint x0; the default is `sigmoid`."""
    distance = z - x0
    back = distance - z
    gap = where(abs(distance) < _INF, (z - (distance - back)) - (x0 + back), 0)
    u = k * distance
    # What rounding took from k (z - x0): in the exponent an absolute error, which the tail would feel.
    lost = where(abs(u) < 1000, fma(k, distance, -u) + k * gap, 0)
    t = exp(-abs(u))
    t = fma(t, where(u < 0, lost, -lost), t)
    square = fma(t, t + 2, 1)
    r = 1 / (1 + t)
    s, slope = where(u >= 0, r, t * r), L * k * (t / square)
    bell = _bell(fma(L, distance, L * gap), abs(u))
    return L * s, slope, s, fma(bell, where(u < 0, lost, -lost), bell) / square, -slope


@pointwise(
    r"a \tanh(b z)",
    parameters={"a": Parameter(1.7159, 1e-6, 1e6), "b": Parameter(2 / 3, 1e-6, 1e6)},
    range=lambda a, b: (-a, a),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=lambda a, b: (a * b, 0.0),
    reference="LeCun, Bottou, Orr & Müller 1998",
)
def scaled_tanh(z, a, b):
    """Scaled hyperbolic tangent; the default has f(1) = 1 and f(-1) = -1 nearly, and its variance near 1."""
    u = b * z
    t, t_minus_1 = exp_expm1(-2 * abs(u))
    square = fma(t, t + 2, 1)
    h = copysign(t_minus_1 / (1 + t), z)
    # The derivative in b is flat at its maximum: what rounding took from b z counts there.
    lost = where(abs(u) < 1000, fma(b, z, -u), 0)
    in_b = _bell(4 * a * z, 2 * abs(u)) / square
    return a * h, a * b * (4 * t / square), h, fma(in_b, -2 * h * lost, in_b)


@pointwise(
    r"\frac{z}{1 + |z|}",
    aliases=("soft_sign",),
    range=(-1.0, 1.0),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    smoothness=1,
    reference="Turian, Bergstra & Bengio 2009",
)
def softsign(z):
    """Softsign: an S with tails that fall as 1/z, not exponentially."""
    size = abs(z)
    r = 1 / (1 + size)
    # Past 1e18 the quotient is 1 in either precision; its two factors would underflow and overflow.
    return copysign(where(size > 1e18, 1, size * r), z), r * r


@pointwise(
    r"\arctan z",
    aliases=("arctan",),
    range=(-1.5707963267948966, 1.5707963267948966),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="the inverse tangent",
)
def atan(z):
    """Inverse tangent; slope 1/(1 + z^2)."""
    size = abs(z)
    far = size > 1e10  # where z^2 + 1 is z^2, and z^2 may overflow
    r = 1 / where(far, size, fma(z, z, 1))
    return arctangent(z), where(far, r * r, r)


@pointwise(
    r"\tfrac{1}{2} \left(1 + \mathrm{erf} \frac{z - \mu}{\sigma \sqrt{2}}\right)",
    parameters={"mu": Parameter(0.707107, -1e6, 1e6), "sigma": Parameter(0.282095, 1e-6, 1e6)},
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=lambda mu, sigma: (_INV_SQRT_2PI / sigma, mu),
    reference="Ma et al. 2023",
)
def laplace(z, mu, sigma):
    """The normal distribution function about mu: Mega's bounded stand-in for the squared ReLU, named Laplace there.

    With y = (z - mu)/sigma and a = abs(y) the tail is exp(-a^2/2) m(a), m as in `gelu`; its derivative in a is
    -exp(-a^2/2)/sqrt(2 pi). What subtraction, division and square round away is put back.
    """
    distance = z - mu
    back = distance - z
    lost = (z - (distance - back)) - (mu + back)
    y = distance / sigma
    y = where(y > 60, 60, y)
    y = where(y < -60, -60, y)
    a = abs(y)
    half = 0.5 * a
    exponent = half * a
    g = exp(-exponent)
    g = fma(g, -fma(half, a, -exponent), g)
    rest = where(a < 60, (fma(-y, sigma, distance) + lost) / sigma, 0)
    q = fma(a, _SQRT_2, 1)
    mills = fma(0.5, erfcx_fit((a + a) / (a + 3 * _SQRT_2)), 0.5)
    tail = g * fma(where(y < 0, rest, -rest) * _INV_SQRT_2PI, q, mills) / q
    slope = fma(g, -y * rest, g) * (_INV_SQRT_2PI / sigma)
    return where(y < 0, tail, 1 - tail), slope, -slope, -slope * y
