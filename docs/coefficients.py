"""Derives the coefficients of gradsim/lanes' elementary functions with mpmath: `python docs/coefficients.py`.

Those of exp, log, erfcx and of turns are Chebyshev interpolants of a smooth function on the reduced range, converted to
monomials at 60 digits: within a factor of two of the best polynomial. The others are the best one, by Remez exchange.
The relative error printed is that of the final function.
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


def alternating(errors):
    """Where the error is largest in each stretch of one sign."""
    found = []
    for k, error in enumerate(errors):
        if not found or (error > 0) != (errors[found[-1]] > 0):
            found.append(k)
        elif abs(error) > abs(errors[found[-1]]):
            found[-1] = k
    return found


def minimax_fit(f, low, high, degree, relative_to):
    """Monomial coefficients, lowest first, of the polynomial with the least error relative to `relative_to`; and it.

    Remez exchange on a grid of Chebyshev points.
    """
    n = degree + 2
    middle, half, count = (mp.mpf(high) + low) / 2, (mp.mpf(high) - low) / 2, 24 * n
    grid = [middle - half * mp.cos(mp.pi * (k + mp.mpf(1) / 2) / count) for k in range(count)]
    values, scales = [f(x) for x in grid], [relative_to(x) for x in grid]
    chosen = [round(k * (count - 1) / (n - 1)) for k in range(n)]
    best = (mp.inf, None)
    for _ in range(12):
        rows = mp.matrix([[grid[k] ** j for j in range(n - 1)] + [(-1) ** i * scales[k]] for i, k in enumerate(chosen)])
        *c, _ = mp.lu_solve(rows, mp.matrix([values[k] for k in chosen]))
        errors = [(v - mp.polyval(c[::-1], x)) / s for v, x, s in zip(values, grid, scales, strict=True)]
        best = min(best, (max(map(abs, errors)), c), key=lambda pair: pair[0])
        found = alternating(errors)
        while len(found) > n:
            del found[0 if abs(errors[found[0]]) < abs(errors[found[-1]]) else -1]
        if found == chosen or len(found) < n:
            break
        chosen = found
    return best[1], best[0]


def rounded_fit(f, low, high, degree, relative_to, bits, leading=4):
    """`minimax_fit` whose leading coefficients are floats of so many bits: the others make up for their rounding."""
    if leading == 0 or degree == 0:
        return minimax_fit(f, low, high, degree, relative_to)
    c = round_to(minimax_fit(f, low, high, degree, relative_to)[0][0], bits)
    rest, error = rounded_fit(
        lambda x: (f(x) - c) / x, low, high, degree - 1, lambda x: relative_to(x) / x, bits, leading - 1
    )
    return [c, *rest], error


def round_to(number, bits):
    """The nearest float of so many bits."""
    scale = mp.mpf(2) ** (bits - 1 - int(mp.floor(mp.log(abs(number), 2))))
    return mp.nint(number * scale) / scale


def odd_tail(f, slope, cubic):
    """(f(x) - slope x) / x^3 of an odd function, as a function of w = x^2; `cubic` is its value at 0."""

    def tail(w):
        x = mp.sqrt(w)
        return cubic if w < mp.mpf("1e-20") else (f(x) - slope * x) / x**3

    return tail


def cosine_tail(w):
    """(cos(x) - 1 + x^2/2) / x^4 with w = x^2."""
    return mp.mpf(1) / 24 if w < mp.mpf("1e-15") else (mp.cos(mp.sqrt(w)) - 1 + w / 2) / w**2


def erf_factor(w):
    """erf(x)/x - 1 with w = x^2."""
    return 2 / mp.sqrt(mp.pi) - 1 if w < mp.mpf("1e-30") else mp.erf(mp.sqrt(w)) / mp.sqrt(w) - 1


def scale_of(f, power):
    """f(x)/x^power as a function of w = x^2: what an error of the tail, x^power times it, counts against."""
    return lambda w: f(mp.sqrt(w)) / mp.sqrt(w) ** power


def atanh_rest(w):
    """(2 atanh(s) - 2 s - 2/3 s^3) / s^5 with w = s^2."""
    return mp.mpf(2) / 5 if w < mp.mpf("1e-20") else (atanh_tail(w) - mp.mpf(2) / 3) / w


def mills_rest(t):
    """p(t) with (1 + sqrt(2) a) erfcx(a/sqrt 2)/2 = 1/2 + t p and t = a/(a + 2.75): gelu's tail in float32."""
    t = max(t, mp.mpf("1e-25"))
    a = mp.mpf("2.75") * t / (1 - t)
    return ((1 + mp.sqrt(2) * a) * mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) - 1) / (2 * t)


def exp_chord(u):
    """(e^u (u - 1) + 1) / u^2."""
    return mp.mpf(1) / 2 if abs(u) < mp.mpf("1e-20") else (mp.exp(u) * (u - 1) + 1) / u**2


def sinc_slope(w):
    """(z cos(z) - sin(z)) / z^3 with w = z^2."""
    z = mp.sqrt(w)
    return -mp.mpf(1) / 3 if w < mp.mpf("1e-20") else (z * mp.cos(z) - mp.sin(z)) / z**3


def tanh_rest(w):
    """(z - tanh(z)) / z^3 with w = z^2."""
    z = mp.sqrt(w)
    return mp.mpf(1) / 3 if w < mp.mpf("1e-20") else (z - mp.tanh(z)) / z**3


# Fits in gradsim/activations: name: (function, from, to, relative to, degree). The digits there were found on a denser
# grid of points and agree to about seven digits in the highest coefficient, more in the lower ones; those of gelu's
# tail, whose weight was another, to two.
ACTIVATIONS = {
    "gelu's tail, float32": (mills_rest, 0, mp.mpf("0.8415"), lambda t: 1 / max(t, mp.mpf("1e-20")), 8),
    "exp_chord": (exp_chord, mp.mpf("-1.25"), 0, exp_chord, 12),
    "slope of sinc near 0": (sinc_slope, 0, mp.mpf("2.25"), sinc_slope, 7),
    "tanh_rest": (tanh_rest, 0, 1, tanh_rest, 15),
}

QUARTER = (mp.pi / 4 * mp.mpf("1.01")) ** 2
# name: (function, from, to, relative to, degree in float32, degree in float64)
MINIMAX = {
    "sine": (odd_tail(mp.sin, 1, -mp.mpf(1) / 6), 0, QUARTER, scale_of(mp.sin, 3), 2, 6),
    "cosine": (cosine_tail, 0, QUARTER, scale_of(mp.cos, 4), 2, 5),
    "atan": (odd_tail(mp.atan, 1, -mp.mpf(1) / 3), 0, 1, scale_of(mp.atan, 3), 8, 20),
    "erf": (erf_factor, 0, mp.mpf("0.93") ** 2, scale_of(mp.erf, 1), 6, 11),
    "log erfc": (lambda x: mp.log(mp.erfc(x)), mp.mpf("0.93"), 6, lambda x: mp.erf(x) / mp.erfc(x), 6, 18),
    "power": (atanh_rest, 0, mp.mpf("0.02945"), scale_of(lambda s: 2 * mp.atanh(s), 5), 5, 6),
}


def parts(number, bits, count):
    """`number` as a sum of `count` floats of so many bits, each the nearest to what is left."""
    found = []
    for _ in range(count):
        found.append(round_to(number, bits))
        number -= found[-1]
    return found


def print_constants():
    """Constants in parts, and 2/pi as 64-bit words."""
    for bits in (24, 53):
        for name, number in (("ln(2)", mp.log(2)), ("log2(e)", 1 / mp.log(2)), ("2/3", mp.mpf(2) / 3)):
            print(f"{name} in parts of {bits} bits:", ", ".join(repr(float(p)) for p in parts(number, bits, 2)))
        print(f"pi/2 in parts of {bits} bits:", ", ".join(repr(float(p)) for p in parts(mp.pi / 2, bits, 3)))
    with mp.workdps(500):
        words = int(mp.floor(2 / mp.pi * mp.mpf(2) ** (64 * TWO_OVER_PI_WORDS)))
    print("2/pi:", ", ".join(f"0x{words >> 64 * k & 2**64 - 1:016X}" for k in reversed(range(TWO_OVER_PI_WORDS))))


# The largest exponent of float64, 53 bits of it, 192 that are used.
TWO_OVER_PI_WORDS = 19


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
    for name, (f, low, high, relative_to, *degrees) in MINIMAX.items():
        for degree, bits in zip(degrees, (24, 53), strict=True):
            c, error = rounded_fit(f, low, high, degree, relative_to, bits)
            print(f"{name}, degree {degree}: relative error {mp.nstr(error, 3)}")
            print("    " + ", ".join(mp.nstr(v, 19) for v in c))
    for name, (f, low, high, relative_to, degree) in ACTIVATIONS.items():
        c, error = minimax_fit(f, low, high, degree, relative_to)
        print(f"{name}, degree {degree}: relative error {mp.nstr(error, 3)}")
        print("    " + ", ".join(mp.nstr(v, 19) for v in c))
    print_constants()


# --- initial weights: gradsim/engine/initialize.py ------------------------------------------------


def quantile_factor(t):
    """sqrt(2) erfinv(w)/w with t = -log(1 - w^2)."""
    if t == 0:
        return mp.sqrt(mp.pi / 2)
    w = mp.sqrt(-mp.expm1(-t))
    return mp.sqrt(2) * mp.erfinv(w) / w


def report_truncated():
    within = mp.erf(mp.sqrt(2))
    most = -mp.log(1 - within**2)
    c = chebyshev_fit(quantile_factor, 0, most, 15)
    error = worst(quantile_factor, c, 0, most, quantile_factor)
    print(f"truncated, degree 15: relative error {mp.nstr(error, 3)}; within two: {mp.nstr(within, 19)}")
    print("    " + ", ".join(mp.nstr(v, 19) for v in c[::-1]))


# --- pairs: gradsim/lanes/extended_*.py ------------------------------------------------------------
#
# Leading coefficients are given to twice float64's digits, as high + low; the tail is the fit of what they leave.


def series(coefficient, first, count=60):
    """x -> sum of coefficient(first + k) x^k."""
    return lambda x: mp.fsum(coefficient(first + k) * x**k for k in range(count))


def pair(number):
    """A number as float64 high + low."""
    high = float(number)
    return high, float(number - high)


def report_pairs(name, leading, tail, low, high, degree, weight):
    """`weight(x)`: how much a tail at x counts in the result."""
    c = chebyshev_fit(tail, low, high, degree)
    error = worst(tail, c, low, high, lambda x: 1 / weight(x) if weight(x) else mp.inf)
    print(f"{name}, pairs, tail of degree {degree}: relative error 2^{mp.nstr(mp.log(error, 2), 4)}")
    print("    " + ", ".join(map(str, map(pair, leading))))
    print("    " + ", ".join(repr(float(v)) for v in c))


def report_extended():
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.0001")
    s2 = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mp.mpf("1.0001")
    of_exp = lambda k: 1 / mp.factorial(k)  # noqa: E731
    of_atanh = lambda k: mp.mpf(2) / (2 * k + 1)  # noqa: E731
    print("ln 2:", float(mp.floor(mp.log(2) * 2**42) / 2**42), float(mp.log(2) - mp.floor(mp.log(2) * 2**42) / 2**42))
    report_pairs("exp", map(of_exp, (2, 3, 4, 5)), series(of_exp, 6), -half_ln2, half_ln2, 8, lambda r: abs(r) ** 6)
    report_pairs("log", map(of_atanh, (1, 2, 3)), series(of_atanh, 4), 0, s2, 7, lambda w: w**4 / 2)
    of_sin = lambda k: (-1) ** k / mp.factorial(2 * k + 1)  # noqa: E731
    of_cos = lambda k: (-1) ** k / mp.factorial(2 * k)  # noqa: E731
    of_atan = lambda k: mp.mpf((-1) ** k) / (2 * k + 1)  # noqa: E731
    w = (mp.pi / 4 * mp.mpf("1.001")) ** 2
    report_pairs("sin", map(of_sin, (1, 2, 3)), series(of_sin, 4), 0, w, 4, lambda w: w**4)
    report_pairs("cos", map(of_cos, (1, 2, 3)), series(of_cos, 4), 0, w, 5, lambda w: w**4 * mp.sqrt(2))
    print("    angles:", *(pair(mp.atan(mp.mpf(c))) for c in (0.4142, 1, 2.414)), pair(mp.pi / 2))
    w = (mp.tan(mp.pi / 16) * mp.mpf("1.001")) ** 2
    report_pairs("atan", map(of_atan, (1, 2)), series(of_atan, 3), 0, w, 8, lambda w: w**3)
    of_erf = lambda k: 2 / mp.sqrt(mp.pi) * (-1) ** k / (mp.factorial(k) * (2 * k + 1))  # noqa: E731
    report_pairs("erf", map(of_erf, range(4)), series(of_erf, 4), 0, mp.mpf(1) / 4, 7, lambda w: w**4)
    c = chebyshev_fit(erfcx_tail, -1, 1, 33)
    error = worst(erfcx_tail, c, -1, 1, lambda u: erfcx_scaled(u) / (1 + u))
    print(f"erfcx tail, degree 33: relative error 2^{mp.nstr(mp.log(error, 2), 4)}")
    print("    " + ", ".join(map(str, map(pair, c[:11]))))
    print("    " + ", ".join(repr(float(v)) for v in c[11:]))


if __name__ == "__main__":
    report_truncated()
    report_extended()
