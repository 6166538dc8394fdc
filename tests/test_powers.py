"""x^y, the cube root and base 2 on lane vectors against exact numbers."""

from __future__ import annotations

import numpy as np
import pytest
from exactly import around, exact, normal_results, ulp_errors
from lane_kernels import on_lanes, on_singles
from mpmath import mp

from gradsim import lanes
from gradsim.lanes import cbrt, exp2, log2, power

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
every_width = pytest.mark.parametrize("run", [on_lanes, on_singles], ids=["full width", "lanes of one"])

# What 60,000 inputs and more showed, rounded up.
POWER_ULP = {np.float32: 0.6, np.float64: 1.4}
CBRT_ULP, EXP2_ULP, LOG2_ULP = 0.6, 1.1, 1.6


def powers(x, y, z):
    """z is there because `on_singles` takes one input or three."""
    return (power(x, y),)


def base_2(x):
    return cbrt(x), exp2(x), log2(x)


def with_numbers(x):
    return power(x, 2.5), power(2, x), power(x, 3), power(x, 0)


def both_widths(formula, outputs, *inputs):
    return np.concatenate([on_lanes(formula, outputs, *inputs), on_singles(formula, outputs, *inputs)], axis=1)


@every_dtype
def test_power_against_50_digits(dtype):
    limits = np.finfo(dtype)
    random = np.random.default_rng(51)
    small, large = np.log(float(limits.smallest_subnormal)), np.log(float(limits.max))
    wide = np.exp(random.uniform(small, large, 600))
    near_1 = np.exp(random.uniform(-0.4, 0.4, 600))
    # Exponents that spread the results over the whole range, where the logarithm's error counts most.
    exponents = [random.uniform(-1.05, 1.02, 600) * large / np.maximum(abs(np.log(b)), 1e-3) for b in (wide, near_1)]
    x = np.concatenate([wide, near_1, random.uniform(0, 9, 300)]).astype(dtype)
    y = np.concatenate([*exponents, random.uniform(-4, 4, 300)]).astype(dtype)
    got = both_widths(powers, 1, x, y, y)[0]
    with mp.workdps(50):
        wanted = [mp.mpf(float(a)) ** mp.mpf(float(b)) for a, b in zip(x, y, strict=True)] * 2
    errors, normal = ulp_errors(got, wanted), normal_results(wanted, dtype)
    below = normal & (abs(got) < limits.max / 2)
    assert below.sum() > 2000
    assert errors[below].max() <= POWER_ULP[dtype]
    assert (np.array([w < limits.smallest_normal for w in wanted]) & (got > 0)).sum() > 5
    assert np.isinf(got).any()
    assert errors[~normal].max() <= 1


INF, NAN = np.inf, np.nan
SPECIAL = [
    (0, 0, 1),
    (0, 0.5, 0),
    (0, -1, INF),
    (INF, 0, 1),
    (INF, 2, INF),
    (INF, -2, 0),
    (1, INF, 1),
    (1, NAN, 1),
    (NAN, 0, 1),
    (NAN, 1, NAN),
    (2, NAN, NAN),
    (2, INF, INF),
    (2, -INF, 0),
    (0.5, INF, 0),
    (0.5, -INF, INF),
    (-2, 2, NAN),
    (1e30, 1e30, INF),
    (1e30, -1e30, 0),
    (4, 0.5, 2),
    (3, 4, 81),
    (10, -2, 0.01),
]


@every_dtype
@every_width
def test_power_at_special_values(run, dtype):
    x, y, wanted = np.array(SPECIAL, dtype).T.copy()
    got = run(powers, 1, x, y, y)[0]
    np.testing.assert_array_equal(got, wanted)


@every_dtype
def test_base_or_exponent_may_be_a_number(dtype):
    x = np.linspace(0.1, 5, 100, dtype=dtype)
    wanted = [x.astype(np.longdouble) ** 2.5, np.exp2(x.astype(np.longdouble)), x.astype(np.longdouble) ** 3, x * 0 + 1]
    np.testing.assert_allclose(on_lanes(with_numbers, 4, x), np.array(wanted), rtol=2 * np.finfo(dtype).eps)


@every_dtype
def test_cube_root_and_base_2_against_50_digits(dtype):
    limits = np.finfo(dtype)
    sizes = np.geomspace(float(limits.smallest_subnormal), float(limits.max) * (1 - 1e-7), 1000)
    x = np.concatenate([sizes, -sizes, around([1, 1e-25, 1e-250, limits.max / 2], dtype)]).astype(dtype)
    x = x[np.isfinite(x) & (x != 0)]
    got = both_widths(base_2, 3, x)
    cube_root = exact(lambda v: mp.sign(v) * mp.cbrt(abs(v)), x) * 2
    assert ulp_errors(got[0], cube_root).max() <= CBRT_ULP
    positive = np.tile(x, 2) > 0
    logarithms = exact(lambda v: mp.log(v, 2), x[x > 0]) * 2
    assert ulp_errors(got[2][positive], logarithms).max() <= LOG2_ULP
    assert np.isnan(got[2][~positive]).all()

    x = np.linspace(limits.minexp - limits.nmant - 2, limits.maxexp + 1, 1500)
    x = np.concatenate([x, np.geomspace(1e-30, 2, 300), around([0.5, -0.5, 1.5], dtype)]).astype(dtype)
    wanted = exact(lambda v: mp.mpf(2) ** v, x) * 2
    got = both_widths(base_2, 3, x)[1]
    errors, below = ulp_errors(got, wanted), np.array([w < limits.max / 2 for w in wanted])
    assert errors[below].max() <= EXP2_ULP
    assert errors[~below].max() <= 2 * EXP2_ULP


@every_dtype
@every_width
def test_base_2_is_exact_for_whole_numbers(run, dtype):
    limits = np.finfo(dtype)
    n = np.arange(limits.minexp - limits.nmant, limits.maxexp).astype(dtype)
    x = np.ldexp(dtype(1), n.astype(int))
    np.testing.assert_array_equal(run(base_2, 3, n)[1], x)
    np.testing.assert_array_equal(run(base_2, 3, x)[2], n)
    cubes = np.arange(-30, 31).astype(dtype)
    np.testing.assert_array_equal(run(base_2, 3, cubes**3)[0], cubes)


@every_dtype
@every_width
def test_cube_root_and_base_2_at_special_values(run, dtype):
    got = run(base_2, 3, np.array([0.0, -0.0, INF, -INF, NAN], dtype))
    wanted = np.array([[0, -0.0, INF, -INF, NAN], [1, 1, INF, 0, NAN], [-INF, -INF, INF, NAN, NAN]])
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(np.signbit(got[0, :4]), [False, True, False, True])


@every_dtype
def test_outside_compiled_code_the_names_are_numpys(dtype):
    x = np.linspace(0.1, 5, 50, dtype=dtype)
    for name in ("cbrt", "exp2", "log2"):
        np.testing.assert_array_equal(getattr(lanes, name)(x), getattr(np, name)(x))
    np.testing.assert_array_equal(power(x, 2.5), np.power(x, 2.5))
