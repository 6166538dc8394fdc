"""What formulas of several families share: limits where infinities meet, roots without overflow, differences near 0."""

from __future__ import annotations

from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import copysign, exp, expm1, log1p, maximum, rounded, sin_cos, sqrt, where

INFINITY = float("inf")


def learned(default: float) -> Parameter:
    """A learned parameter: it begins where it is told to, up to a million, and training may take it anywhere."""
    return Parameter(default, -1e6, 1e6, role="learned")


@formula
def constant(number, z):
    """A number for every z but NaN, which goes through."""
    return where(z == z, number, z)


@formula
def scaled(a, z):
    """a * z, and 0 where the parameter a is 0, at infinity too."""
    return where((a == 0) & (z == z), 0, a * z)


@formula
def logistic_root(x):
    """sigma(x), sigma(-x), and the root of their product: tiny slopes times large factors keep their digits."""
    half = exp(abs(x) / -2)
    r = 1 / (1 + half * half)
    small = half * half * r
    return where(x >= 0, r, small), where(x >= 0, small, r), half * r


@formula
def within(z, limit):
    """z held between -limit and limit; NaN goes through."""
    z = where(z > limit, limit, z)
    return where(z < -limit, -limit, z)


@formula
def sin_cos_of(omega, z):
    """sin(omega z) and cos(omega z), for abs(omega) up to 128 over the full range of z.

    Where the product could overflow, the angle is a 128th of it at first and then doubled. Should training take omega
    further, the largest z have the phase of z.
    """
    far = abs(z) > 1e306
    x = scaled(omega, where(far, z / 128, z))
    s, c = sin_cos(where(abs(x) == INFINITY, z, x))
    t, u = rounded(s), rounded(c)
    for _ in range(7):
        t, u = 2 * t * u, (u - t) * (u + t)
    return where(far, t, s), where(far, u, c)


@formula
def saturating(z, alpha):
    """z/sqrt(1 + alpha z^2) and 1/sqrt(1 + alpha z^2), without overflow."""
    size = abs(z)
    n = where(z > 1, 1, where(z < -1, -1, z))
    r = where(size > 1, 1 / where(size > 1, size, 1), constant(1, z))
    g = sqrt(r * r + alpha * n * n)
    return n / g, r / g


@formula
def hypotenuse(x, y):
    """h = sqrt(x^2 + y^2), x/h and y/h, without overflow; the slopes at 0 are 0 in x and 1 in y."""
    m = maximum(abs(x), abs(y))
    p = where(m == 0, 0, where(abs(x) == INFINITY, copysign(constant(1, x), x), x / where(m == 0, 1, m)))
    q = where(m == 0, 1, y / where(m == 0, 1, m))
    g = sqrt(p * p + q * q)
    return m * g, p / g, q / g


@formula
def exp_rest(x):
    """e^x - 1 - x, with all its digits near 0."""
    near = abs(x) < 0.02
    y = where(near, x, 0)
    tail = 1 + y / 7 * (1 + y / 8 * (1 + y / 9 * (1 + y / 10)))
    series = y * y / 2 * (1 + y / 3 * (1 + y / 4 * (1 + y / 5 * (1 + y / 6 * tail))))
    return where(near, series, expm1(x) - x)


@formula
def log1p_rest(x):
    """w = x/(1 + x) and (log(1 + x) - w)/w^2, with all its digits near 0."""
    w = x / (1 + x)
    near = abs(x) < 0.004
    v, far = where(near, w, 0), where(near, 1, w)
    series = 1 / 2 + v * (1 / 3 + v * (1 / 4 + v * (1 / 5 + v * (1 / 6 + v * (1 / 7 + v * (1 / 8 + v / 9))))))
    return w, where(near, series, (log1p(x) - w) / far / far)


@formula
def sin_rest(z, sine):
    """sin(z) - z, given sin(z), with all its digits near 0."""
    near = abs(z) < 0.25
    w = where(near, z * z, 0)
    tail = 1 - w / 72 * (1 - w / 110 * (1 - w / 156 * (1 - w / 210)))
    return where(near, -z * w / 6 * (1 - w / 20 * (1 - w / 42 * tail)), sine - z)


@formula
def sinc_slope(y, sine, cosine):
    """Slope of sin(y)/y, given sin(y) and cos(y), with all its digits near 0."""
    near = abs(y) < 0.25
    w = where(near, y * y, 0)
    tail = 1 - w / 54 * (1 - w / 88 * (1 - w / 130 * (1 - w / 180)))
    far = where(near, 1, y)
    return where(near, -y / 3 * (1 - w / 10 * (1 - w / 28 * tail)), (cosine - sine / far) / far)


@formula
def one_minus_cos(z):
    """1 - cos(z) and its slope sin(z), each with all its digits near 0."""
    s, c = sin_cos(z / 2)
    return 2 * s * s, 2 * s * c
