"""Hyperbolic functions and the logistic family on lane vectors against 50 digits, tails and overflow included."""

from __future__ import annotations

import numpy as np
import pytest
from exactly import around, exact, normal_results, ulp_errors
from lane_kernels import on_lanes, on_singles
from mpmath import mp

from gradsim import lanes
from gradsim.lanes import asinh, cosh, log_sigmoid, sech_squared, sigmoid, sinh, softplus, tanh

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
every_width = pytest.mark.parametrize("run", [on_lanes, on_singles], ids=["full width", "lanes of one"])

# name: (exact function, bound). Each bound is what 4 million inputs showed, rounded up.
EXACT = {
    "tanh": (mp.tanh, 2.8),
    "sinh": (mp.sinh, 2.6),
    "cosh": (mp.cosh, 2.6),
    "sech_squared": (lambda x: mp.sech(x) ** 2, 3.3),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), 2.6),
    "softplus": (lambda x: mp.log1p(mp.exp(x)) if x < 200 else x, 1.8),
    "log_sigmoid": (lambda x: -mp.log1p(mp.exp(-x)) if x > -200 else x, 1.8),
    "asinh": (mp.asinh, 1.8),
}


def every_hyperbolic(x):
    return tanh(x), sinh(x), cosh(x), sech_squared(x), sigmoid(x), softplus(x), log_sigmoid(x), asinh(x)


def moderate_arguments(dtype):
    """Where every function but asinh is told apart from its limits."""
    limits = np.finfo(dtype)
    random = np.random.default_rng(31)
    overflow = np.log(float(limits.max))
    tiny = np.geomspace(float(limits.smallest_subnormal), 1, 200)
    x = np.concatenate(
        [
            random.uniform(-2, 2, 500),
            random.uniform(-12, 12, 500),
            np.linspace(-1.05 * overflow, 1.05 * overflow, 600),
            tiny,
            -tiny,
            around([1, -1, 30, 40, -40, 5.5, np.arcsinh(float(limits.max)), np.log(2) / 2], dtype),
        ]
    )
    return x.astype(dtype)


def both_widths(x):
    return np.concatenate([on_lanes(every_hyperbolic, 8, x), on_singles(every_hyperbolic, 8, x)], axis=1)


@every_dtype
@pytest.mark.parametrize("name", EXACT)
def test_hyperbolic_functions_against_50_digits(name, dtype):
    x = moderate_arguments(dtype)
    function, bound = EXACT[name]
    got, wanted = both_widths(x)[list(EXACT).index(name)], exact(function, x) * 2
    normal = normal_results(wanted, dtype)
    assert normal.sum() > x.size
    # Beyond half of the largest number `ulp_errors` counts in half units.
    upper = np.array([abs(w) > np.finfo(dtype).max / 2 for w in wanted])
    errors = ulp_errors(got, wanted)
    assert errors[normal & ~upper].max() <= bound
    assert not (normal & upper).any() or errors[normal & upper].max() <= 2 * bound
    # Gradual underflow: within a few of the smallest numbers.
    assert errors[~normal].max() <= 2


@every_dtype
def test_asinh_to_the_largest_number(dtype):
    sizes = np.geomspace(0.01, float(np.finfo(dtype).max) * (1 - 1e-7), 800)
    x = np.concatenate([sizes, -sizes, around([1e18, np.finfo(dtype).max / 2], dtype)]).astype(dtype)
    errors = ulp_errors(both_widths(x)[-1], exact(mp.asinh, x) * 2)
    assert errors.max() <= EXACT["asinh"][1]


LOG_2, INF, NAN = np.log(2), np.inf, np.nan
# (x, results in the order of EXACT)
SPECIAL = [
    (0.0, (0.0, 0.0, 1, 1, 0.5, LOG_2, -LOG_2, 0.0)),
    (-0.0, (-0.0, -0.0, 1, 1, 0.5, LOG_2, -LOG_2, -0.0)),
    (INF, (1, INF, INF, 0, 1, INF, -0.0, INF)),
    (-INF, (-1, -INF, INF, 0, 0, 0, -INF, -INF)),
    (NAN, (NAN,) * 8),
    (1e30, (1, INF, INF, 0, 1, 1e30, -0.0, np.arcsinh(1e30))),
    (-1e30, (-1, -INF, INF, 0, 0, 0, -1e30, -np.arcsinh(1e30))),
    (3e38, (1, INF, INF, 0, 1, 3e38, -0.0, np.arcsinh(3e38))),
]


@every_dtype
@every_width
@pytest.mark.parametrize(("x", "wanted"), SPECIAL, ids=[str(x) for x, _ in SPECIAL])
def test_hyperbolic_functions_at_special_values(run, x, wanted, dtype):
    if abs(x) == 1e30 and dtype == np.float64:
        x, wanted = x * 1e270, [w * 1e270 if abs(w) == 1e30 else w for w in wanted]
        wanted = [np.arcsinh(x) if 60 < abs(w) < 80 else w for w in wanted]
    got = run(every_hyperbolic, 8, np.full(1, x, dtype))[:, 0]
    np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(dtype).eps, atol=0)
    odd = [0, 1, 7]
    np.testing.assert_array_equal(np.signbit(got)[odd], np.signbit(np.array(wanted))[odd])


@every_dtype
def test_subnormal_arguments_pass_through_the_odd_functions(dtype):
    x = np.array([1, -3, 1000], dtype) * np.finfo(dtype).smallest_subnormal
    got = on_lanes(every_hyperbolic, 8, x)
    for k in (0, 1, 7):
        np.testing.assert_array_equal(got[k], x)


@every_dtype
def test_outside_compiled_code_the_names_are_numpys_and_safe_in_the_tails(dtype):
    x = np.linspace(-80, 80, 641, dtype=dtype)
    compiled = on_lanes(every_hyperbolic, 8, x)
    for name, wanted in zip(EXACT, compiled, strict=True):
        got = getattr(lanes, name)(x)
        assert got.dtype == dtype
        normal = abs(wanted) > np.finfo(dtype).smallest_normal
        np.testing.assert_allclose(got[normal], wanted[normal], rtol=8 * np.finfo(dtype).eps)
