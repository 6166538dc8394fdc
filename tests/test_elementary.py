"""The elementary functions on lane vectors against 50 digits: exp, log and theirs, erfcx, sine and cosine of turns."""

from __future__ import annotations

import numpy as np
import pytest
from exactly import around, exact, normal_results, ulp_errors
from lane_kernels import on_lanes, on_singles
from mpmath import mp

from gradsim import lanes
from gradsim.lanes import (
    LANES,
    cos_sin_turns,
    erfcx,
    erfcx_fit,
    exp,
    exp_expm1,
    expm1,
    log,
    log1p,
)

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
every_width = pytest.mark.parametrize("run", [on_lanes, on_singles], ids=["full width", "lanes of one"])


def exponentials(x):
    e, e_minus_1 = exp_expm1(x)
    return exp(x), e, e_minus_1, expm1(x)


def logarithms(x):
    return log(x), log1p(x)


def tails(x):
    return erfcx(x), erfcx_fit(2 * x / (x + 3))


# Half an ulp is the rounding of a perfect function; each bound is what 100,000 inputs and more showed, rounded up.
EXP_ULP, EXPM1_ULP, LOG_ULP, LOG1P_ULP, ERFCX_ULP = 1.2, 1.8, 0.85, 0.9, 3.0


def both_widths(formula, outputs, x):
    """Results in full width; those on lanes of one are tested to the same bounds by standing beside them."""
    return np.concatenate([on_lanes(formula, outputs, x), on_singles(formula, outputs, x)], axis=1), np.tile(x, 2)


@every_dtype
def test_exp_and_expm1_against_50_digits(dtype):
    limits = np.finfo(dtype)
    smallest, largest = np.log(float(limits.smallest_subnormal)), np.log(float(limits.max))
    random = np.random.default_rng(7)
    x = np.concatenate(
        [
            np.linspace(smallest - 2, largest + 2, 1500),
            random.uniform(-2, 2, 1000),
            [s * v for v in np.geomspace(1e-30, 1, 200) for s in (1, -1)],
            around([np.log(float(limits.smallest_normal)), largest, smallest, -smallest], dtype),
            around(np.log(2) * np.arange(-9, 9, 0.5), dtype),
        ]
    ).astype(dtype)
    got, x = both_widths(exponentials, 4, x)
    wanted, wanted_minus_1 = exact(mp.exp, x), exact(mp.expm1, x)
    for result in got[:2]:
        assert ulp_errors(result, wanted).max() <= EXP_ULP
    for result in got[2:]:
        assert ulp_errors(result, wanted_minus_1).max() <= EXPM1_ULP
    assert np.isinf(got).any(axis=1).all()
    assert (got[0] == 0).any()
    assert (~normal_results(wanted, dtype) & (got[0] > 0) & (got[0] < 1)).sum() > 20


@every_dtype
def test_log_and_log1p_against_50_digits(dtype):
    limits = np.finfo(dtype)
    random = np.random.default_rng(8)
    x = np.concatenate(
        [
            np.exp(random.uniform(np.log(float(limits.smallest_subnormal)), np.log(float(limits.max)), 1200)),
            random.uniform(0.4, 2, 1200),
            [1 + s * v for v in np.geomspace(1e-16, 0.4, 150) for s in (1, -1)],
            around([1, np.sqrt(0.5), np.sqrt(2), limits.max / 2, 2 * float(limits.smallest_normal)], dtype),
        ]
    ).astype(dtype)
    got, at = both_widths(logarithms, 2, x[x > 0])
    assert ulp_errors(got[0], exact(mp.log, at)).max() <= LOG_ULP
    assert ulp_errors(got[1], exact(mp.log1p, at)).max() <= LOG1P_ULP
    assert (at < limits.smallest_normal).sum() > 20

    below = np.concatenate([-np.geomspace(limits.smallest_subnormal, 0.9, 1000), random.uniform(-1, 0, 1000)])
    below = np.concatenate([below.astype(dtype), np.nextafter(around([-1], dtype)[-3:], dtype(0))])
    got, at = both_widths(logarithms, 2, below[below > -1])
    assert ulp_errors(got[1], exact(mp.log1p, at)).max() <= LOG1P_ULP


def exact_erfcx(x):
    """exp(x^2) erfc(x); its asymptotic series where mpmath's erfc would underflow."""
    if x < 1e4:
        return mp.exp(x * x) * mp.erfc(x)
    return (1 - 1 / (2 * x * x) + 3 / (4 * x**4) - 15 / (8 * x**6)) / (x * mp.sqrt(mp.pi))


@every_dtype
def test_erfcx_against_50_digits(dtype):
    x = np.concatenate(
        [
            np.geomspace(1e-30, float(np.finfo(dtype).max) / 4, 1000),
            np.linspace(0, 10, 1500),
            np.linspace(10, 100, 500),
            around([0.5, 1, 3, 1e18], dtype),
        ]
    ).astype(dtype)
    got, at = both_widths(tails, 2, x)
    wanted = exact(exact_erfcx, at)
    normal = normal_results(wanted, dtype)
    assert ulp_errors(got[0], wanted)[normal].max() <= ERFCX_ULP
    # The smooth part is added to 1: its error counts in units of 1.
    fit = exact(lambda x: (1 + 2 * x) * exact_erfcx(x) - 1, at)
    modest = at < 1e15
    errors = got[1].astype(np.float64) - np.array([float(f) for f in fit])
    assert np.abs(errors[modest]).max() <= 2 * np.finfo(dtype).eps
    np.testing.assert_array_equal(on_lanes(tails, 2, np.zeros(3, dtype)), [[1, 1, 1], [0, 0, 0]])


def turn(x):
    return cos_sin_turns(x)


@every_width
def test_cos_and_sin_of_turns_against_50_digits(run):
    u = np.concatenate(
        [
            np.linspace(0, 1, 2000, endpoint=False),
            around(np.arange(1, 8) / 8, np.float64),
            np.geomspace(1e-300, 0.1, 500),
        ]
    )
    cosine, sine = run(turn, 2, u)
    wanted_cosine, wanted_sine = exact(lambda u: mp.cospi(2 * u), u), exact(lambda u: mp.sinpi(2 * u), u)
    # Half of float64's last digit of 1 is 1.1e-16; near the zeros the digits of a relative error are kept as well.
    for got, wanted in ((cosine, wanted_cosine), (sine, wanted_sine)):
        assert np.abs(got - np.array([float(w) for w in wanted])).max() <= 2.3e-16
        assert ulp_errors(got, wanted).max() <= 2.5
    quarters = np.arange(4) / 4
    np.testing.assert_array_equal(run(turn, 2, quarters), [[1, 0, -1, 0], [0, 1, 0, -1]])


def every_elementary(x):
    e, e_minus_1 = exp_expm1(x)
    return exp(x), e, e_minus_1, expm1(x), log(x), log1p(x)


INF, NAN = np.inf, np.nan
# (x, (exp, exp, expm1, expm1, log, log1p))
SPECIAL = [
    (0.0, (1, 1, 0.0, 0.0, -INF, 0.0)),
    (-0.0, (1, 1, -0.0, -0.0, -INF, -0.0)),
    (INF, (INF, INF, INF, INF, INF, INF)),
    (-INF, (0, 0, -1, -1, NAN, NAN)),
    (NAN, (NAN, NAN, NAN, NAN, NAN, NAN)),
    (1.0, (np.exp(1), np.exp(1), np.expm1(1), np.expm1(1), 0.0, np.log(2))),
    (-1.0, (np.exp(-1), np.exp(-1), np.expm1(-1), np.expm1(-1), NAN, -INF)),
    (-2.0, (np.exp(-2), np.exp(-2), np.expm1(-2), np.expm1(-2), NAN, NAN)),
    (1e30, (INF, INF, INF, INF, np.log(1e30), np.log(1e30))),
    (-1e30, (0, 0, -1, -1, NAN, NAN)),
]


@every_dtype
@every_width
@pytest.mark.parametrize(("x", "wanted"), SPECIAL, ids=[str(x) for x, _ in SPECIAL])
def test_elementary_functions_at_special_values(run, x, wanted, dtype):
    got = run(every_elementary, 6, np.full(1, x, dtype))[:, 0]
    np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(dtype).eps, atol=0)
    signed = ~np.isnan(wanted)
    if x == 0:
        signed[2:4] = False  # expm1(-0) is 0: its sign would cost an instruction in every elu
    np.testing.assert_array_equal(np.signbit(got)[signed], np.signbit(np.array(wanted))[signed])


@every_dtype
@every_width
def test_erfcx_at_special_values(run, dtype):
    got = run(tails, 1 + 1, np.array([0.0, -0.0, NAN, 1e30, np.finfo(dtype).smallest_subnormal], dtype))[0]
    np.testing.assert_allclose(got, [1, 1, NAN, 1 / (1e30 * np.sqrt(np.pi)), 1], rtol=4 * np.finfo(dtype).eps)


@every_dtype
def test_subnormal_inputs_are_not_flushed(dtype):
    x = np.array([1, 5, 1000], dtype) * np.finfo(dtype).smallest_subnormal
    got = on_lanes(every_elementary, 6, x)
    for result in (got[2], got[3], got[5]):
        np.testing.assert_array_equal(result, x)
    assert ulp_errors(got[4], exact(mp.log, x)).max() <= LOG_ULP


@every_dtype
def test_a_result_does_not_depend_on_its_lane(dtype):
    size = LANES[np.dtype(dtype)]
    x = np.random.default_rng(9).normal(size=size).astype(dtype)
    first = on_lanes(every_elementary, 6, x)
    for shift in range(1, size):
        np.testing.assert_array_equal(on_lanes(every_elementary, 6, np.roll(x, shift)), np.roll(first, shift, axis=1))
    alone = x.copy()
    alone[1:] = np.nan
    np.testing.assert_array_equal(on_lanes(every_elementary, 6, alone)[:, 0], first[:, 0])


@every_dtype
def test_outside_compiled_code_the_names_are_numpys(dtype):
    x = np.linspace(0.01, 0.9, 50, dtype=dtype)
    for name in ("exp", "expm1", "log", "log1p", "sqrt", "floor", "rint"):
        np.testing.assert_array_equal(getattr(lanes, name)(x), getattr(np, name)(x))
    np.testing.assert_array_equal(np.array(exp_expm1(x)), np.array([np.exp(x), np.expm1(x)]))
    compiled = np.concatenate([on_lanes(tails, 2, x), on_lanes(logarithms, 2, x)])
    plain = np.array([erfcx(x), erfcx_fit(2 * x / (x + 3)), log(x), log1p(x)])
    np.testing.assert_allclose(plain, compiled, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(cos_sin_turns(x), on_lanes(turn, 2, x.astype(np.float64)), atol=1e-6)
