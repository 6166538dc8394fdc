"""Pairs of float64 lanes against 60 digits: operators, what is not finite, formulas in which terms cancel."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest
from exactly import ulp_errors
from extended_help import DIGITS, NAN, SPECIAL, assert_well_formed, good_bits, numbers, pairs, parts
from lane_kernels import on_lanes, on_singles
from mpmath import mp

from gradsim import jit, lanes
from gradsim.lanes import (
    constant,
    copysign,
    exp,
    extend,
    floor,
    fma,
    lane_count,
    load,
    maximum,
    minimum,
    rint,
    rounded,
    sqrt,
    store,
    where,
)
from gradsim.lanes.extended import low_part

every_width = pytest.mark.parametrize("run", [on_lanes, on_singles], ids=["full width", "lanes of one"])


# --- operators ------------------------------------------------------------------------------------


def arithmetic(x, low, y):
    # Adding 0 would lose the sign of -0.
    a = where(low == 0, x, extend(x) + low)
    b = where(low == 0, y, extend(y) - low * 0.3)
    return (
        *parts(b),
        *parts(a + b),
        *parts(a - b),
        *parts(a * b),
        *parts(a / b),
        *parts(sqrt(abs(a))),
        *parts(fma(a, b, a)),
        *parts(a + y),
        *parts(y - a),
        *parts(a * y),
        *parts(a / y),
        *parts(1 / a),
        *parts(0.1 * a),
        *parts(2 - a),
        *parts(fma(y, a, 3)),
        *parts(-a),
        *parts(abs(a)),
        *parts(copysign(a, y)),
        *parts(copysign(3, a)),
    )


def exact_arithmetic(a, b, y):
    return (
        b,
        a + b,
        a - b,
        a * b,
        a / b,
        mp.sqrt(abs(a)),
        a * b + a,
        a + y,
        y - a,
        a * y,
        a / y,
        1 / a,
        mp.mpf(0.1) * a,
        2 - a,
        y * a + 3,
        -a,
        abs(a),
        abs(a) * mp.sign(y),
        3 * mp.sign(a),
    )


@every_width
def test_every_operator_keeps_100_bits(run):
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, 400)) * np.exp(random.uniform(-30, 30, (2, 400)))
    x[:200] = y[:200] * random.choice([1, -1, 1.001], 200)  # cancellation
    low = pairs(x)
    got = run(arithmetic, 38, x, low, y).reshape(19, 2, -1)
    with mp.workdps(DIGITS):
        a, b, plain = numbers(x, low), numbers(*got[0]), [mp.mpf(float(v)) for v in y]
        wanted = [exact_arithmetic(*each) for each in zip(a, b, plain, strict=True)]
        sizes = [abs(u) + abs(v) + abs(u * v) + 3 for u, v in zip(a, plain, strict=True)]
        sums = (1, 2, 6, 7, 8, 13, 14)  # what cancels is right to its terms' size
        for k in range(1, 19):
            high, rest = got[k]
            assert_well_formed(high, rest)
            assert good_bits(high, rest, [w[k] for w in wanted], sizes if k in sums else None) > 100, k
        np.testing.assert_array_equal(got[15][0], -x)


def ordinary(x, y):
    """What arithmetic on the high parts alone gives, in the order of `arithmetic`; None where low counts."""
    return (y, x + y, x - y, x * y, x / y, np.sqrt(abs(x)), None, x + y, y - x, x * y, x / y, 1 / x, 0.1 * x, 2 - x)


@every_width
def test_what_is_not_finite_goes_through_as_in_ordinary_arithmetic(run):
    x, y = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    got = run(arithmetic, 38, x, np.zeros(x.size), y).reshape(19, 2, -1)
    with np.errstate(all="ignore"):
        wanted = ordinary(x, y)
    for (high, low), ordinarily in zip(got, (*wanted, *[None] * 5), strict=True):
        assert_well_formed(high, low)
        if ordinarily is not None:
            np.testing.assert_array_equal(high, ordinarily)
    for k in (3, 4, 11):  # products and quotients have the signs of zeros
        zero = wanted[k] == 0
        assert zero.any()
        np.testing.assert_array_equal(np.signbit(got[k][0][zero]), np.signbit(wanted[k][zero]))


def relations(x, low, y):
    a, b = extend(x) + low, extend(y)
    return (
        where(a < b, 1, 0) * x,
        where(a <= b, 1, 0) * x,
        where(a > b, 1, 0) * x,
        where(a >= b, 1, 0) * x,
        where(a == b, 1, 0) * x,
        where(a != b, 1, 0) * x,
        where(a < y, 1, 0) * x,
        where(2.5 >= b, 1, 0) * x,  # noqa: SIM300
    )


@every_width
def test_comparisons_look_at_low_where_high_is_equal(run):
    x = np.array([1.0, 1, 1, 1, 1, 3, 3, -1, -1])
    low = np.array([0, 1e-20, -1e-20, 1e-20, -1e-20, 1e-20, -1e-20, 1e-20, -1e-20])
    y = np.array([1.0, 1, 1, 2, 0, 1, 5, -1, -1])
    exact_x = numbers(x, low)
    relate = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne, operator.lt)
    wanted = [[relation(a, b) for a, b in zip(exact_x, y, strict=True)] for relation in relate]
    wanted.append(y <= 2.5)
    np.testing.assert_array_equal(run(relations, 8, x, low, y), np.array(wanted) * x)
    nothing = run(relations, 8, np.full(3, 2.0), np.full(3, NAN), np.array([NAN, 1, 2]))
    np.testing.assert_array_equal(nothing[:, 0], [0, 0, 0, 0, 0, 2, 0, 0])


def selections(x, low, y):
    a, b = extend(x) + low, extend(y)
    return (
        *parts(where(y > 0, a, b)),
        *parts(where(a < b, a, 2)),
        *parts(where(a > 0, y, a)),
        *parts(minimum(a, b)),
        *parts(maximum(a, b)),
        *parts(maximum(a, 0)),
        *parts(floor(a)),
        *parts(rint(a)),
    )


@every_width
def test_choices_and_whole_numbers(run):
    x = np.array([1.0, 1, 1, 2.5, 2.5, 3.5, 3.5, -2.5, -2.5, 2.0**60, 2.0**60, 7.3, -7.3, 0.5, 1.5, 2.0**52, -3, 1e300])
    low = np.array([0, 1, -1, 1, -1, 1, -1, 1, -1, 3e20 + 1e19, -77e18, 1, 1, 0, 0, 5e19, -1e-10, 0]) * 1e-20
    y = np.roll(x, 3)
    got = run(selections, 16, x, low, y).reshape(8, 2, -1)
    for high, rest in got:
        assert_well_formed(high, rest)
    with mp.workdps(DIGITS):
        a, b = numbers(x, low), [mp.mpf(float(v)) for v in y]
        wanted = [
            [u if v > 0 else v for u, v in zip(a, b, strict=True)],
            [u if u < v else 2 for u, v in zip(a, b, strict=True)],
            [v if u > 0 else u for u, v in zip(a, b, strict=True)],
            [min(u, v) for u, v in zip(a, b, strict=True)],
            [max(u, v) for u, v in zip(a, b, strict=True)],
            [max(u, 0) for u in a],
            [mp.floor(u) for u in a],
            [mp.nint(u) for u in a],
        ]
        for (high, rest), exactly in zip(got, wanted, strict=True):
            assert numbers(high, rest) == exactly
    nan = run(selections, 16, np.array([NAN, 1, 1]), np.zeros(3), np.array([1, NAN, 2])).reshape(8, 2, -1)
    assert np.isnan(nan[3:5, 0, :2]).all()
    assert np.isfinite(nan[3:5, 0, 2]).all()


def test_fast_math_of_a_kernel_does_not_reach_inside_an_operator():
    @jit.kernel  # may reorder its own sums
    def low_parts(x, y, out):
        size = lane_count(x)
        for i in range(x.size // size):
            a = extend(load(x, i * size)) + load(y, i * size)
            store(out, i * size, low_part(a * a))

    random = np.random.default_rng(2)
    x, y = random.normal(size=800), random.normal(size=800) * 1e-10
    out = np.empty(800)
    low_parts(x, y, out)
    high = (x + y) * (x + y)
    with mp.workdps(DIGITS):
        wanted = [(mp.mpf(float(u)) + mp.mpf(float(v))) ** 2 for u, v in zip(x, y, strict=True)]
        got = [w - mp.mpf(float(low)) for w, low in zip(wanted, out, strict=True)]
    np.testing.assert_allclose(np.array([float(g) for g in got]), high, rtol=5e-16)
    assert good_bits(np.array([float(g) for g in got]), out, wanted) > 100


def accumulated(x, low, y):
    total = 0.0
    for k in range(3):
        total = total + (extend(x) + low) * k
        total = total + y
    return parts(total)


def test_numbers_and_lanes_become_pairs_where_branches_meet():
    x = np.array([0.1, -3.0, 7e5])
    low = pairs(x)
    high, rest = on_lanes(accumulated, 2, x, low, -2 * x)
    with mp.workdps(DIGITS):
        wanted = [3 * a - 6 * mp.mpf(float(v)) for a, v in zip(numbers(x, low), x, strict=True)]
    assert good_bits(high, rest, wanted) > 98


# --- what it is for -------------------------------------------------------------------------------


def remainder(x, unused, y):
    plain = (exp(x) - 1 - x) / (x * x)
    x = extend(x)
    return plain, rounded((exp(x) - 1 - x) / (x * x))


def test_a_formula_as_it_stands_survives_cancellation():
    # exp(x) - 1 - x is about x^2/2: with 0.02 < x < 0.05 some 11 bits cancel.
    x = np.random.default_rng(4).uniform(0.02, 0.05, 500)
    plain, rounded_once = on_lanes(remainder, 2, x, x, x)
    with mp.workdps(DIGITS):
        wanted = [(mp.exp(v) - 1 - v) / v**2 for v in map(mp.mpf, x.tolist())]
    assert ulp_errors(plain, wanted).max() > 500
    assert ulp_errors(rounded_once, wanted).max() <= 0.501


def circumference(x, unused, y):
    pi = constant(math.pi, 1.2246467991473532e-16, extend(x))
    return rounded(extend(x) * pi), x * constant(math.pi, 1.2246467991473532e-16, x)


def test_a_constant_has_the_digits_of_what_it_stands_beside():
    x = np.random.default_rng(5).uniform(1, 2, 300)
    exactly, plainly = on_lanes(circumference, 2, x, x, x)
    with mp.workdps(DIGITS):
        assert ulp_errors(exactly, [mp.mpf(v) * mp.pi for v in x.tolist()]).max() <= 0.501
    np.testing.assert_array_equal(plainly, x * math.pi)


def test_outside_compiled_code_numbers_stay_what_they_are():
    x = np.linspace(-1, 1, 5)
    assert extend(x) is x
    assert rounded(x) is x
    assert constant(math.pi, 1.2246467991473532e-16, x) == math.pi
    assert lanes.extend is extend
