"""Sine, cosine, tangent and their inverses on lane vectors against 50 digits, up to the largest finite number."""

from __future__ import annotations

import numpy as np
import pytest
from exactly import around, exact, ulp_errors
from lane_kernels import on_lanes, on_singles
from mpmath import mp

from gradsim import lanes
from gradsim.lanes import LANES, acos, asin, atan, cos, sin, sin_cos, tan

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
every_width = pytest.mark.parametrize("run", [on_lanes, on_singles], ids=["full width", "lanes of one"])

# Half an ulp is the rounding of a perfect function; each bound is what 300,000 inputs and more showed, rounded up.
SIN_ULP, TAN_ULP, ATAN_ULP, ASIN_ULP = 1.0, 2.8, 1.25, 2.4
INF, NAN = np.inf, np.nan


def circular(x):
    sine, cosine = sin_cos(x)
    return sin(x), cos(x), sine, cosine, tan(x)


def inverse(x):
    return atan(x), asin(x), acos(x)


def hard_arguments(dtype):
    """Floats q 2^e that are closest to multiples of pi/2: q denominators of the continued fraction of 2^e 2/pi."""
    digits = np.finfo(dtype).nmant + 1
    with mp.workdps(500):
        scaled = int(mp.floor(2 / mp.pi * mp.mpf(2) ** 1400))
    found = []
    for e in range(1 - digits, np.finfo(dtype).maxexp - digits + 1):
        a, b = scaled << (e + digits), 1 << (1400 + digits)
        last = before, q = 1, 0
        while q < 2**digits:
            last = before, q
            whole, rest = divmod(a, b)
            a, b, before, q = b, rest, q, whole * q + before
        found += [float(q) * 2.0**e for q in last]
    return np.unique(np.array([x for x in found if x > 1], dtype))


def arguments(dtype):
    limits = np.finfo(dtype)
    random = np.random.default_rng(21)
    sizes = np.geomspace(float(limits.smallest_subnormal), float(limits.max) * (1 - 1e-7), 800)
    x = np.concatenate(
        [
            random.uniform(-4, 4, 1000),
            random.uniform(-200, 200, 500),
            sizes * random.choice([-1, 1], sizes.size),
            around(np.pi / 2 * np.arange(-5, 6), dtype),
            around(np.pi / 2 * random.integers(1, 10**6, 50), dtype, reach=1),
            around([np.pi / 4, 1e5, 1e6, -1e6], dtype),
            [limits.max, -limits.max, 6381956970095103 * 2.0**797 if dtype == np.float64 else 16367173 * 2.0**72],
        ]
    )
    return x.astype(dtype)


def both_widths(formula, outputs, x):
    return np.concatenate([on_lanes(formula, outputs, x), on_singles(formula, outputs, x)], axis=1), np.tile(x, 2)


def assert_circular(x):
    got, at = both_widths(circular, 5, x)
    sine, cosine, tangent = exact(mp.sin, x) * 2, exact(mp.cos, x) * 2, exact(mp.tan, x) * 2
    for result, wanted, bound in zip(
        got, (sine, cosine, sine, cosine, tangent), (*[SIN_ULP] * 4, TAN_ULP), strict=True
    ):
        errors = ulp_errors(result, wanted)
        assert errors.max() <= bound, at[errors.argmax()]


@every_dtype
def test_sin_cos_and_tan_against_50_digits(dtype):
    x = arguments(dtype)
    assert (abs(x) < 1e-30).sum() > 50
    assert (abs(x) > 1e30).sum() > 50
    assert_circular(x)


@every_dtype
def test_sin_and_cos_next_to_their_zeros(dtype):
    x = hard_arguments(dtype)
    zeros = np.minimum(*(np.array([abs(float(v)) for v in exact(f, x)]) for f in (mp.sin, mp.cos)))
    eps = np.finfo(dtype).eps
    assert x.size > np.finfo(dtype).maxexp
    assert np.median(zeros) < eps
    assert zeros.min() < eps / 50
    assert_circular(x)


@every_dtype
def test_large_lanes_leave_their_neighbors_alone(dtype):
    size = LANES[np.dtype(dtype)]
    x = np.random.default_rng(22).uniform(-100, 100, size).astype(dtype)
    alone = on_lanes(circular, 5, x)
    for other in (1e30, -1e7, INF, NAN):
        mixed = x.copy()
        mixed[1::2] = other
        np.testing.assert_array_equal(on_lanes(circular, 5, mixed)[:, ::2], alone[:, ::2])
        np.testing.assert_array_equal(on_lanes(circular, 5, mixed)[:, 1], on_lanes(circular, 5, mixed[1:2])[:, 0])


@every_dtype
def test_atan_asin_and_acos_against_50_digits(dtype):
    limits = np.finfo(dtype)
    random = np.random.default_rng(23)
    sizes = np.geomspace(float(limits.smallest_subnormal), float(limits.max) * (1 - 1e-7), 500)
    x = np.concatenate([random.uniform(-3, 3, 1500), sizes, -sizes, around([1, -1], dtype)]).astype(dtype)
    got, at = both_widths(inverse, 3, x)
    assert ulp_errors(got[0], exact(mp.atan, at)).max() <= ATAN_ULP

    near_1 = 1 - np.geomspace(limits.epsneg, 0.5, 300)
    got, at = both_widths(inverse, 3, np.concatenate([x[abs(x) <= 1], near_1, -near_1]).astype(dtype))
    assert at.size > 1500
    assert ulp_errors(got[1], exact(mp.asin, at)).max() <= ASIN_ULP
    assert ulp_errors(got[2], exact(mp.acos, at)).max() <= ASIN_ULP


HALF_PI = np.pi / 2
# (x, (sin, cos, sin, cos, tan), (atan, asin, acos))
SPECIAL = [
    (0.0, (0.0, 1, 0.0, 1, 0.0), (0.0, 0.0, HALF_PI)),
    (-0.0, (-0.0, 1, -0.0, 1, -0.0), (-0.0, -0.0, HALF_PI)),
    (1.0, (np.sin(1), np.cos(1), np.sin(1), np.cos(1), np.tan(1)), (np.pi / 4, HALF_PI, 0)),
    (-1.0, (-np.sin(1), np.cos(1), -np.sin(1), np.cos(1), -np.tan(1)), (-np.pi / 4, -HALF_PI, np.pi)),
    (INF, (NAN,) * 5, (HALF_PI, NAN, NAN)),
    (-INF, (NAN,) * 5, (-HALF_PI, NAN, NAN)),
    (NAN, (NAN,) * 5, (NAN, NAN, NAN)),
]


@every_dtype
@every_width
@pytest.mark.parametrize(("x", "direct", "back"), SPECIAL, ids=[str(row[0]) for row in SPECIAL])
def test_trigonometric_functions_at_special_values(run, x, direct, back, dtype):
    at = np.full(1, x, dtype)
    got, wanted = np.concatenate([run(circular, 5, at), run(inverse, 3, at)])[:, 0], np.array([*direct, *back])
    np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(dtype).eps, atol=0)
    signed = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[signed], np.signbit(wanted)[signed])


@every_dtype
def test_subnormal_arguments_are_their_own_sines_and_angles(dtype):
    x = np.array([1, -3, 1000], dtype) * np.finfo(dtype).smallest_subnormal
    got = on_lanes(circular, 5, x)
    for result in (got[0], got[2], got[4], *on_lanes(inverse, 3, x)[:2]):
        np.testing.assert_array_equal(result, x)


@every_dtype
def test_sine_is_odd_and_cosine_even_bit_for_bit(dtype):
    x = arguments(dtype)
    got, mirrored = on_lanes(circular, 5, x), on_lanes(circular, 5, -x)
    np.testing.assert_array_equal(mirrored, got * np.array([-1, 1, -1, 1, -1], dtype)[:, None])
    np.testing.assert_array_equal(got[:2], got[2:4])


@every_dtype
def test_outside_compiled_code_the_names_are_numpys(dtype):
    x = np.linspace(-0.9, 0.9, 50, dtype=dtype)
    plain = {"sin": "sin", "cos": "cos", "tan": "tan", "atan": "arctan", "asin": "arcsin", "acos": "arccos"}
    for name, numpys in plain.items():
        np.testing.assert_array_equal(getattr(lanes, name)(x), getattr(np, numpys)(x))
    np.testing.assert_array_equal(np.array(sin_cos(x)), np.array([np.sin(x), np.cos(x)]))
