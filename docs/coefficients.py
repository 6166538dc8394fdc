"""Derives the polynomial coefficients of gradsim/lanes/elementary.py with mpmath: `python docs/coefficients.py`.

Each is the Chebyshev interpolant of a smooth function on the reduced range, converted to monomials at 60 digits;
its error is within a factor of two of the best polynomial's. The relative error printed is that of the final function.
"""

from __future__ import annotations

import mpmath as mp

mp.mp.dps = 60


def chebyshev_fit(f, low, high, degree):
    """Monomial coefficients, lowest first, of the degree-`degree` interpolant of f at Chebyshev nodes."""
    low, high, n = mp.mpf(low), mp.mpf(high), degree + 1
    nodes = [mp.cos(mp.pi * (k + mp.mpf(1) / 2) / n) for k in range(n)]
    values = [f((high + low) / 2 + (high - low) / 2 * t) for t in nodes]
    powers = mp.matrix(n, n)
    for i, t in enumerate(nodes):
        x = (high + low) / 2 + (high - low) / 2 * t
        for j in range(n):
            powers[i, j] = x**j
    return list(mp.lu_solve(powers, mp.matrix(values)))


def worst(f, coefficients, low, high, relative_to, count=400):
    polynomial = coefficients[::-1]
    points = [mp.mpf(low) + (mp.mpf(high) - mp.mpf(low)) * k / count for k in range(1, count)]
    return max(abs((mp.polyval(polynomial, x) - f(x)) / relative_to(x)) for x in points)


def expm1_tail(r):
    """(exp(r) - 1 - r) / r^2."""
    return (
        mp.nsum(lambda k: r**k / mp.factorial(k + 2), [0, 40]) if abs(r) < mp.mpf("1e-3") else (mp.expm1(r) - r) / r**2
    )


def atanh_tail(w):
    """(2 atanh(s) - 2 s) / s^3 with w = s^2: the odd series of log((1 + s) / (1 - s))."""
    if w < mp.mpf("1e-20"):
        return mp.mpf(2) / 3
    s = mp.sqrt(w)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def sinpi_tail(w):
    """(sin(pi x) - pi x) / x^3 with w = x^2."""
    if w < mp.mpf("1e-20"):
        return -(mp.pi**3) / 6
    x = mp.sqrt(w)
    return (mp.sin(mp.pi * x) - mp.pi * x) / x**3


def cospi_tail(w):
    """(cos(pi x) - 1) / x^2 with w = x^2."""
    return -(mp.pi**2) / 2 if w < mp.mpf("1e-20") else (mp.cos(mp.pi * mp.sqrt(w)) - 1) / w


def erfcx_scaled(u):
    """(1 + 2 x) erfcx(x) with x in [0, inf) mapped to u = (x - 3)/(x + 3) in [-1, 1)."""
    if 1 - u < mp.mpf("1e-30"):
        return 2 / mp.sqrt(mp.pi)
    x = 3 * (1 + u) / (1 - u)
    if x > 100:
        tail = mp.nsum(lambda k: (-1) ** int(k) * mp.fac2(2 * int(k) - 1) / (2 * x * x) ** int(k), [0, 12])
        return (1 + 2 * x) * tail / (x * mp.sqrt(mp.pi))
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def erfcx_tail(u):
    """((1 + 2 x) erfcx(x) - 1)/(1 + u): what is left once the exact 1 at x = 0 is taken off."""
    return (erfcx_scaled(u) - 1) / (1 + u)


def report(name, f, low, high, degree, relative_to=None):
    c = chebyshev_fit(f, low, high, degree)
    error = worst(f, c, low, high, relative_to or f)
    print(f"{name}, degree {degree}: relative error {mp.nstr(error, 3)}")
    print("    " + ", ".join(mp.nstr(v, 19) for v in c))


if __name__ == "__main__":
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.0001")
    s2 = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mp.mpf("1.0001")
    tail_of_exp = lambda r: mp.exp(r) / r**2 if r else mp.mpf(10) ** 9  # noqa: E731
    for degree in (4, 9):
        report("expm1 tail", expm1_tail, -half_ln2, half_ln2, degree, tail_of_exp)
    of_log = lambda w: 2 * mp.atanh(mp.sqrt(w)) / mp.sqrt(w) ** 3 if w else mp.mpf(10) ** 9  # noqa: E731
    for degree in (2, 6):
        report("log tail", atanh_tail, 0, s2, degree, of_log)
    for degree in (6,):
        report("sinpi tail", sinpi_tail, 0, mp.mpf(1) / 16, degree, lambda w: mp.pi / max(w, mp.mpf("1e-9")))
        report("cospi tail", cospi_tail, 0, mp.mpf(1) / 16, degree, lambda w: 1 / max(w, mp.mpf("1e-9")))
    for degree in (9, 10, 22, 23):
        report("erfcx tail", erfcx_tail, -1, 1, degree, lambda u: erfcx_scaled(u) / (1 + u))
