"""What formulas of several families share: products with their limits, and gates with their slopes."""

from __future__ import annotations

from gradsim.jit import formula
from gradsim.lanes import erfc, exp, sqrt, where

# sqrt(1/2) is the sum of the two.
SQRT_HALF, SQRT_HALF_REST = 0.7071067811865476, -4.833646656726457e-17
INV_SQRT_2PI = 0.3989422804014327
TWO_OVER_SQRT_PI = 1.1283791670955126


@formula
def times(x, y):
    """x * y, and 0 where y is 0: the limit at infinity of what decays faster than x grows."""
    return where(y == 0, 0, x * y)


@formula
def gated(z, gate, rate):
    """Value and slope of z * gate, `rate` being the gate's slope."""
    return times(z, gate), gate + times(z, rate)


@formula
def half_exponential(z):
    """h = e^(-abs(z)/2), w = h below 0 and 1 above, r = 1/(1 + h^2): sigma(z) is w^2 r, and its slope (h r)^2.

    What multiplies an exponential is put between its roots: the exponential by itself would be subnormal too early.
    """
    h = exp(-0.5 * abs(z))
    return h, where(z < 0, h, 1), 1 / (1 + h * h)


@formula
def logistic(z):
    """sigma(z), sigma(-z) and their product, the slope of sigma: each with all its digits in both tails."""
    h, _, r = half_exponential(z)
    small = h * h * r
    return where(z < 0, small, r), where(z < 0, r, small), small * r


@formula
def times_logistic(z, x, x_slope):
    """Value and slope of x sigma(z), for x and dx/dz."""
    h, w, r = half_exponential(z)
    other = where(z < 0, r, h * h * r)
    return times(x, w) * (w * r), times(x_slope + times(x, other), w) * (w * r)


@formula
def silu_and_slope(z):
    """z sigma(z) and its slope."""
    return times_logistic(z, z, 1)


@formula
def far_left(z, k, root, limit, value, slope):
    """Value and slope of z * gate, where the gate tends to limit * root^2, root = e^(k z/2 + ...): that, far enough."""
    far, tail = root < 1e-130, limit * root
    return where(far, times(z, root) * tail, value), where(far, times(1 + k * z, root) * tail, slope)


@formula
def sech(z):
    """1/cosh(z); its square is the slope of tanh."""
    t = exp(-abs(z))
    return 2 * t / (1 + t * t)


@formula
def logistic_states(z, a, b):
    """sigma(z) and sigma(z) + sigma(z - a) + sigma(z - b), with the slopes of all three."""
    s, _, d = logistic(z)
    s_a, _, d_a = logistic(z - a)
    s_b, _, d_b = logistic(z - b)
    return s, s + s_a + s_b, d, d_a, d_b


@formula
def normal(z):
    """The normal distribution function and its density."""
    x = where(z < -60, -60, where(z > 60, 60, z))
    return 0.5 * erfc(x * -SQRT_HALF - x * SQRT_HALF_REST), exp(-0.5 * x * x) * INV_SQRT_2PI


@formula
def erf_slope(z):
    """2/sqrt(pi) e^(-z^2)."""
    return exp(-(z * z)) * TWO_OVER_SQRT_PI


@formula
def direction(z):
    """For y = abs(z)/sqrt(1 + z^2): y, 1 - y, abs(z) (1 - y), y' = (1 + z^2)^-1.5, and abs(z) y'.

    Beyond 1 they are powers of 1/z, so that nothing overflows and no tail cancels.
    """
    size = abs(z)
    far = size > 1
    r = where(far, 1 / where(far, size, 1), size)
    g = 1 / sqrt(1 + r * r)
    # 1 - g = r^2 g^2/(1 + g) beyond 1, and 1 - r g = g^2/(1 + r g) below.
    rest = where(far, r, 1) * g * g / (1 + where(far, g, r * g))
    rise = r * g * g * g
    return (
        where(far, g, r * g),
        where(far, rest * r, rest),
        where(far, rest, rest * r),
        where(far, rise * r * r, g * g * g),
        where(far, rise * r, rise),
    )
