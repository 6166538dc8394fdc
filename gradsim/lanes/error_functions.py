"""The error function and its complement on lane vectors: no libm, relative accuracy down to underflow.

Near 0 erf is a polynomial, beyond it 1 - exp(q) with a polynomial q: there the complement does not need all its bits.
erfc is exp(-x^2) erfcx(x), put together so that the last rounding dominates. Outside compiled code each name is
SciPy's function.
"""

from __future__ import annotations

from gradsim.jit import device_overload, formula
from gradsim.lanes.elementary import (
    LN2_HIGH_32,
    LN2_HIGH_64,
    LN2_LOW_32,
    LN2_LOW_64,
    LOG2_E,
    MAGIC_32,
    MAGIC_64,
    by_precision,
    expm1_tail_32,
    expm1_tail_64,
    reduced_exp_32,
    reduced_exp_64,
    scales_32,
    scales_64,
)
from gradsim.lanes.vector import bits, copysign, fma, from_bits, where

# --- erf ------------------------------------------------------------------------------------------


@formula
def _erf_factor_32(w):
    """erf(x)/x - 1 for abs(x) <= 0.93; w = x^2."""
    p = fma(w, 0.00007996700174781582895, -0.0008049777449333157638)
    p = fma(p, w, 0.005192405369642660277)
    p = fma(p, w, -0.02685573138296604156)
    p = fma(p, w, 0.1128362566232681274)
    p = fma(p, w, -0.3761262893676757813)
    p = fma(p, w, 0.1283791661262512207)
    return p


@formula
def _erf_factor_64(w):
    p = fma(w, -6.959970729492749683e-10, 1.332541331796767331e-8)
    p = fma(p, w, -1.612802497745117372e-7)
    p = fma(p, w, 1.643815284997714244e-6)
    p = fma(p, w, -0.00001492407312571623284)
    p = fma(p, w, 0.0001205526435198238088)
    p = fma(p, w, -0.0008548325071055730284)
    p = fma(p, w, 0.005223977590397045421)
    p = fma(p, w, -0.02686617064142964723)
    p = fma(p, w, 0.112837916709349409)
    p = fma(p, w, -0.3761263890318332082)
    p = fma(p, w, 0.1283791670955125586)
    return p


@formula
def _log_erfc_32(a):
    """log(erfc(a)) for 0.93 <= a <= 6, as exactly as 1 - erfc(a) needs it."""
    q = fma(a, 0.0001947456491371334752, -0.003031518081204691965)
    q = fma(q, a, 0.02218026813424406305)
    q = fma(q, a, -0.1038348004221916199)
    q = fma(q, a, -0.6372925639152526855)
    q = fma(q, a, -1.127610087394714355)
    q = fma(q, a, -0.0002115483366651460528)
    return q


@formula
def _log_erfc_64(a):
    q = fma(a, 1.269212044566281028e-12, -5.710236184133511602e-11)
    q = fma(q, a, 1.202854080640161407e-9)
    q = fma(q, a, -1.574966344238823852e-8)
    q = fma(q, a, 1.433347380792120897e-7)
    q = fma(q, a, -9.583056472699794649e-7)
    q = fma(q, a, 4.829067555968026181e-6)
    q = fma(q, a, -0.00001833805551235803548)
    q = fma(q, a, 0.00005027647550426993214)
    q = fma(q, a, -0.00008235022017772790198)
    q = fma(q, a, -0.00002293999630090905729)
    q = fma(q, a, 0.0006093462104982354179)
    q = fma(q, a, -0.001732401352400173998)
    q = fma(q, a, 0.0002476584251443423208)
    q = fma(q, a, 0.01910062531534410585)
    q = fma(q, a, -0.1027585764916157662)
    q = fma(q, a, -0.6366245308187576946)
    q = fma(q, a, -1.128378185637422204)
    q = fma(q, a, -9.32815566372917525e-8)
    return q


@formula
def _erf_32(x):
    a = abs(x)
    # From 3.92 on (float64: 5.93) the nearest number is 1.
    pattern, p = reduced_exp_32(_log_erfc_32(where(a > 4, 4, a)))
    scale = from_bits((pattern - (0x4B400000 - 127)) << 23)
    return where(a < 0.93, fma(x, _erf_factor_32(x * x), x), copysign((1 - scale) - p * scale, x))


@formula
def _erf_64(x):
    a = abs(x)
    pattern, p = reduced_exp_64(_log_erfc_64(where(a > 6, 6, a)))
    scale = from_bits((pattern - (0x4338000000000000 - 1023)) << 52)
    return where(a < 0.93, fma(x, _erf_factor_64(x * x), x), copysign((1 - scale) - p * scale, x))


def erf(x):
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to x. Up to 1 ulp on lanes."""
    from scipy.special import erf as scipy_erf

    return scipy_erf(x)


device_overload(erf)(by_precision(_erf_32, _erf_64))


# --- erfcx, the Gaussian tail ---------------------------------------------------------------------


@formula
def _erfcx_fit_32(t):
    u = t - 1
    p = fma(u, 0.00006815084923966612451, -0.0001616614783931109139)
    p = fma(p, u, -0.0005389127930111551829)
    p = fma(p, u, 0.002416407441395295192)
    p = fma(p, u, 0.00005595954305716355584)
    p = fma(p, u, -0.02382165171632436938)
    p = fma(p, u, 0.09215041724783698608)
    p = fma(p, u, -0.2114249358540439477)
    p = fma(p, u, 0.3410667525287269269)
    p = fma(p, u, -0.3886290042351644969)
    p = fma(p, u, 0.2530080582697296529)
    return p * t


@formula
def _erfcx_fit_64(t):
    u = t - 1
    p = fma(u, 7.920965150157880477e-10, 2.027855797379315319e-10)
    p = fma(p, u, -8.124956709386181782e-9)
    p = fma(p, u, -5.236996595017836215e-9)
    p = fma(p, u, 4.54915783062251309e-8)
    p = fma(p, u, 5.646559545168380826e-8)
    p = fma(p, u, -1.956650269194740272e-7)
    p = fma(p, u, -4.211059224356223215e-7)
    p = fma(p, u, 7.755855165350962447e-7)
    p = fma(p, u, 2.696934763530422498e-6)
    p = fma(p, u, -3.426911337548042424e-6)
    p = fma(p, u, -0.00001667371632685806405)
    p = fma(p, u, 0.00002162253415622821598)
    p = fma(p, u, 0.0001034768402029299988)
    p = fma(p, u, -0.0002086364484380905892)
    p = fma(p, u, -0.0005711958288361641186)
    p = fma(p, u, 0.002459886152998056119)
    p = fma(p, u, 0.00006950566380160691398)
    p = fma(p, u, -0.023840020578660918)
    p = fma(p, u, 0.09214804792258235918)
    p = fma(p, u, -0.2114217113381020372)
    p = fma(p, u, 0.3410668700408646618)
    p = fma(p, u, -0.3886291643943108285)
    p = fma(p, u, 0.2530080582697296356)
    return p * t


def erfcx_fit(x):
    """(1 + 2 x) erfcx(x) - 1 at argument t = 2 x/(x + 3) in [0, 2]: the smooth part, exactly 0 at x = 0."""
    from scipy.special import erfcx as scipy_erfcx

    x = 3 * x / (2 - x)
    return (1 + 2 * x) * scipy_erfcx(x) - 1


device_overload(erfcx_fit)(by_precision(_erfcx_fit_32, _erfcx_fit_64))


@formula
def _erfcx(x):
    return (1 + erfcx_fit(where(x > 1e18, 2, 2 * x / (x + 3)))) / fma(x, 2, 1)


def erfcx(x):
    """exp(x^2) erfc(x) for x >= 0: the tail of the Gaussian without its underflow."""
    from scipy.special import erfcx as scipy_erfcx

    return scipy_erfcx(x)


device_overload(erfcx)(by_precision(_erfcx, _erfcx))


# --- erfc -----------------------------------------------------------------------------------------


@formula
def _tail_mantissa(a, p):
    """(1 + p)(1 + fit)/(1 + 2 a): exp(-a^2) erfcx(a) but for its power of two, with one rounding that counts."""
    fit = erfcx_fit(2 * a / (a + 3))
    u = fma(p, fit, p) + fit
    v = 1 + u
    d = fma(a, 2, 1)
    r = 1 / d
    y = v * r
    # What the roundings of v, d and the quotient lost.
    missing = fma(-y, d, v) + (u - (v - 1)) - y * fma(a, 2, 1 - d)
    return fma(missing, r, y)


@formula
def _erfc_32(x):
    a = abs(x)
    a = where(a > 12, 12, a)
    square = a * a
    t = fma(square, -LOG2_E, MAGIC_32)
    n = t - MAGIC_32
    r = fma(n, -LN2_HIGH_32, -square) - fma(n, LN2_LOW_32, fma(a, a, -square))
    first, second = scales_32(bits(t) - 0x4B400000)
    y = _tail_mantissa(a, fma(expm1_tail_32(r), r * r, r)) * first * second
    return where(x < 0, 2 - y, y)


@formula
def _erfc_64(x):
    a = abs(x)
    a = where(a > 30, 30, a)
    square = a * a
    t = fma(square, -LOG2_E, MAGIC_64)
    n = t - MAGIC_64
    r = fma(n, -LN2_HIGH_64, -square) - fma(n, LN2_LOW_64, fma(a, a, -square))
    first, second = scales_64(bits(t) - 0x4338000000000000)
    y = _tail_mantissa(a, fma(expm1_tail_64(r), r * r, r)) * first * second
    return where(x < 0, 2 - y, y)


def erfc(x):
    """1 - erf(x), with relative accuracy in the tail down to underflow. Up to 1.6 ulp on lanes."""
    from scipy.special import erfc as scipy_erfc

    return scipy_erfc(x)


device_overload(erfc)(by_precision(_erfc_32, _erfc_64))
