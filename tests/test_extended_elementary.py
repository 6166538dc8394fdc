"""The elementary functions of pairs of float64 lanes against 60 digits, and those of float64 lanes for float32."""

from __future__ import annotations

import numpy as np
import pytest
from exactly import around, ulp_errors
from extended_help import DIGITS, NAN, SPECIAL, assert_well_formed, good_bits, numbers, pairs, parts
from lane_kernels import on_lanes, on_singles
from mpmath import mp

from gradsim import jit
from gradsim.lanes import (
    acos,
    asin,
    asinh,
    atan,
    cbrt,
    cos,
    cosh,
    erf,
    erfc,
    erfcx,
    exp,
    exp2,
    exp_expm1,
    expm1,
    extend,
    log,
    log1p,
    log2,
    log_sigmoid,
    narrow,
    power,
    sech_squared,
    sigmoid,
    sin,
    sin_cos,
    sinh,
    softplus,
    sqrt,
    tan,
    tanh,
    widen,
)


@jit.formula
def exponentials(x, low, unused):
    a = extend(x) + low
    e, e_minus_1 = exp_expm1(a)
    return *parts(exp(a)), *parts(e), *parts(expm1(a)), *parts(e_minus_1)


@jit.formula
def logarithms(x, low, unused):
    a = extend(x) + low
    return *parts(log(a)), *parts(log1p(a))


def log1p_alone(x, low, unused):
    return parts(log1p(extend(x) + low))


@jit.formula
def tails(x, low, unused):
    a = extend(x) + low
    return *parts(erf(a)), *parts(erfc(a)), *parts(erfcx(abs(a)))


@jit.formula
def circular(x, low, unused):
    a = extend(x) + low
    s, c = sin_cos(a)
    return *parts(sin(a)), *parts(s), *parts(cos(a)), *parts(c), *parts(tan(a))


@jit.formula
def inverse_circular(x, low, unused):
    a = extend(x) + low
    return *parts(atan(a)), *parts(asin(a)), *parts(acos(a))


@jit.formula
def hyperbolic(x, low, unused):
    a = extend(x) + low
    return *parts(tanh(a)), *parts(asinh(a))


@jit.formula
def logistic(x, low, unused):
    a = extend(x) + low
    return (
        *parts(sinh(a)),
        *parts(cosh(a)),
        *parts(sech_squared(0.5 * a)),
        *parts(sigmoid(a)),
        *parts(softplus(a)),
        *parts(log_sigmoid(a)),
    )


def powers(x, low, unused):
    a = extend(x) + low
    return *parts(cbrt(a)), *parts(log2(a)), *parts(power(a, 0.3)), *parts(exp2(log2(a))), *parts(power(3, log2(a)))


def exact_powers():
    return (
        mp.cbrt,
        lambda x: mp.log(x, 2),
        lambda x: x ** mp.mpf(0.3),
        lambda x: x,
        lambda x: mp.mpf(3) ** mp.log(x, 2),
    )


def exact_erfcx(x):
    if x < 1e3:
        return mp.exp(x * x) * mp.erfc(x)
    return mp.fsum((-1) ** k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(12)) / (x * mp.sqrt(mp.pi))


def both_signs(x):
    return np.concatenate([x, -x])


RANDOM = np.random.default_rng(3)
NEAR = RANDOM.uniform(-1.5, 1.5, 250)
WIDE = np.exp(RANDOM.uniform(-640, 700, 250))
# What is computed, of which inputs, and the exact functions of its results.
FUNCTIONS = {
    "exponentials": (
        exponentials,
        np.concatenate(
            [RANDOM.uniform(-670, 709, 250), NEAR, both_signs(WIDE[WIDE < 1]), around([0.34657], np.float64)]
        ),
        (mp.exp, mp.exp, mp.expm1, mp.expm1),
    ),
    "logarithms": (
        logarithms,
        np.concatenate([WIDE, RANDOM.uniform(0.3, 3, 250), around([0.5**0.5, 2**0.5, 1e-308], np.float64), [1.7e308]]),
        (mp.log, mp.log1p),
    ),
    "log1p below 0": (
        log1p_alone,
        np.concatenate([RANDOM.uniform(-1, 0, 250), -WIDE[WIDE < 1], np.exp(-RANDOM.uniform(0, 36, 100)) - 1]),
        (mp.log1p,),
    ),
    "tails": (
        tails,
        np.concatenate([RANDOM.uniform(-7, 26.54, 250), NEAR, both_signs(WIDE[WIDE < 26])]),
        (mp.erf, mp.erfc, lambda x: exact_erfcx(abs(x))),
    ),
    "circular": (
        circular,
        np.concatenate(
            [RANDOM.uniform(-9, 9, 250), both_signs(WIDE), around(np.arange(1, 40) * np.pi / 2, np.float64, 1)]
        ),
        (mp.sin, mp.sin, mp.cos, mp.cos, mp.tan),
    ),
    "inverse circular": (
        inverse_circular,
        np.concatenate([NEAR[abs(NEAR) < 1], both_signs(WIDE[WIDE < 1]), 1 - np.exp(-RANDOM.uniform(0, 34, 100))]),
        (mp.atan, mp.asin, mp.acos),
    ),
    "hyperbolic": (
        hyperbolic,
        np.concatenate([both_signs(WIDE), NEAR, RANDOM.uniform(-40, 40, 250)]),
        (mp.tanh, mp.asinh),
    ),
    "logistic": (
        logistic,
        np.concatenate(
            [both_signs(WIDE[WIDE < 650]), NEAR, RANDOM.uniform(-650, 709, 250), RANDOM.uniform(-40, 40, 250)]
        ),
        (
            mp.sinh,
            mp.cosh,
            lambda x: mp.sech(x / 2) ** 2,
            lambda x: 1 / (1 + mp.exp(-x)),
            lambda x: mp.log1p(mp.exp(x)),
            lambda x: -mp.log1p(mp.exp(-x)),
        ),
    ),
    "powers": (powers, WIDE**0.6, exact_powers()),
    "inverse tangent": (lambda x, low, unused: parts(atan(extend(x) + low)), both_signs(WIDE), (mp.atan,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementary_functions_have_67_bits(name):
    formula, x, exactly = FUNCTIONS[name]
    low = pairs(x)
    got = on_lanes(formula, 2 * len(exactly), x, low, x).reshape(len(exactly), 2, -1)
    with mp.workdps(DIGITS):
        at = numbers(x, low)
        for (high, rest), function in zip(got, exactly, strict=True):
            assert_well_formed(high, rest)
            # Below this the low part is subnormal.
            shown = abs(high) > 1e-285
            assert shown.sum() > 100
            wanted = [function(a) for a, kept in zip(at, shown, strict=True) if kept]
            assert good_bits(high[shown], rest[shown], wanted) > 67
            # In 53 bits a result is as good where it is not as large.
            assert ulp_errors(high, [function(a) for a in at]).max() <= 0.51
    chosen = np.linspace(0, x.size - 1, 60).astype(int)
    alone = on_singles(formula, 2 * len(exactly), x[chosen], low[chosen], x[chosen])
    np.testing.assert_array_equal(alone.reshape(len(exactly), 2, -1), got[:, :, chosen])


def everything(x, low, unused):
    a = extend(x)
    return (
        *exponentials(a, 0, 0),
        *logarithms(a, 0, 0),
        *circular(a, 0, 0),
        *inverse_circular(a, 0, 0),
        *tails(a, 0, 0),
        *parts(sqrt(a)),
        *hyperbolic(a, 0, 0),
        *logistic(a, 0, 0),
        *parts(cbrt(a)),
        *parts(log2(a)),
        *parts(exp2(a)),
        *parts(power(a, 2)),
        *parts(power(a, 0)),
        *parts(power(2, a)),
    )


def test_elementary_functions_at_special_values():
    from scipy import special

    x = np.concatenate([SPECIAL, [-1 - 2e-16, 0.5, -0.5, 25, -27, 1e300]])
    got = on_lanes(everything, 64, x, x, x).reshape(32, 2, -1)
    with np.errstate(all="ignore"):
        wanted = [np.exp(x)] * 2 + [np.expm1(x)] * 2 + [np.log(x), np.log1p(x)]
        wanted += [np.sin(x)] * 2 + [np.cos(x)] * 2 + [np.tan(x), np.arctan(x), np.arcsin(x), np.arccos(x)]
        wanted += [special.erf(x), special.erfc(x), special.erfcx(abs(x)), np.sqrt(x)]
        wanted += [np.tanh(x), np.arcsinh(x), np.sinh(x), np.cosh(x), 1 / np.cosh(x / 2) ** 2]
        wanted += [special.expit(x), np.logaddexp(0, x), -np.logaddexp(0, -x), np.cbrt(x), np.log2(x), np.exp2(x)]
        wanted += [np.where(x < 0, NAN, x * x), np.ones(x.size), np.exp2(x)]
    for (high, low), usual in zip(got, wanted, strict=True):
        assert_well_formed(high, low)
        np.testing.assert_allclose(high, usual, rtol=2e-15, atol=0)


def in_float64(x):
    wide = widen(x)
    size = abs(wide)
    return (
        narrow(exp(wide), x),
        narrow(expm1(wide), x),
        narrow(log(size), x),
        narrow(log1p(size), x),
        narrow(sqrt(size), x),
        narrow(sin(wide), x),
        narrow(erfcx(size), x),
    )


def test_float32_has_its_extra_digits_in_float64_lanes():
    x = np.random.default_rng(6).uniform(-4, 4, 500).astype(np.float32)
    got = on_lanes(in_float64, 7, x)
    size = [lambda f=f: lambda v: f(abs(v)) for f in (mp.log, mp.log1p, mp.sqrt)]
    functions = (mp.exp, mp.expm1, *[f() for f in size], mp.sin, lambda v: exact_erfcx(abs(v)))
    for result, function in zip(got, functions, strict=True):
        with mp.workdps(DIGITS):
            wanted = [function(mp.mpf(float(v))) for v in x]
        assert ulp_errors(result, wanted).max() <= 0.5001
