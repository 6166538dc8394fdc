"""The oracles prove themselves: derivative rules against differences, digits against more digits, known limits."""

from __future__ import annotations

import math

import naive_activations
import numpy as np
import pytest
from mpmath import mp
from naive_activations import ACTIVATIONS
from oracles import DIGITS, ORACLES, Oracle, dual, oracle, table
from oracles.dual import Dual
from oracles.table import limit_of

SMOOTH = """
    exp expm1 log log1p sigmoid softplus log_sigmoid sqrt cbrt tanh sinh cosh sech sech_squared log_cosh asinh acosh
    atanh sin cos tan sinc atan asin erf erfc gaussian_pdf gaussian_cdf
"""
FLAT = ("sign", "step", "floor", "ceil", "nearest")
POINTS = ["0.3", "-0.7", "1.5", "-2.6", "3.7", "30.25", "-30.25", "1e-30", "-1e-30", "1e-7", "-1e-60"]


def number(z, tangents=(1,)):
    return Dual(mp.mpf(z), tuple(mp.mpf(t) for t in tangents))


def difference(function, z, digits=1000):
    """The slope by a central difference with very many digits."""
    with mp.workdps(digits):
        h = mp.mpf("1e-100") * max(abs(mp.mpf(z)), mp.mpf("1e-60"))
        return (function(mp.mpf(z) + h) - function(mp.mpf(z) - h)) / (2 * h)


# --- dual numbers -----------------------------------------------------------------------


@pytest.mark.parametrize("z", POINTS)
@pytest.mark.parametrize("name", SMOOTH.split())
def test_value_and_slope_of_every_function(name, z):
    function = getattr(dual, name)
    with mp.workdps(DIGITS):
        found, plain = function(number(z)), function(mp.mpf(z))
        assert type(plain) is mp.mpf
        assert found.value == plain or (mp.isnan(found.value) and mp.isnan(plain))
        if mp.isnan(plain):
            assert name in ("log", "log1p", "sqrt", "acosh", "atanh", "asin")
            return
        slope = difference(function, z)
        assert abs(found.tangents[0] - slope) <= mp.mpf("1e-45") * abs(slope)
    with mp.workdps(400):
        more = function(mp.mpf(z))
        assert abs(plain - more) <= mp.mpf("1e-45") * abs(more)


@pytest.mark.parametrize("z", [2.5, -2.5, 0.75, -7.0, 3.0])
@pytest.mark.parametrize("name", FLAT)
def test_functions_that_are_flat_between_jumps(name, z):
    with mp.workdps(DIGITS):
        found = getattr(dual, name)(number(z))
    wanted = {"sign": np.sign, "step": lambda x: x > 0, "floor": np.floor, "ceil": np.ceil, "nearest": np.rint}[name](z)
    assert (found.value, *found.tangents) == (wanted, 0)


def test_arithmetic_in_two_variables():
    with mp.workdps(DIGITS):
        x, y = number("1.3", (1, 0)), number("-0.4", (0, 1))
        result = (2 * x - y / 3 + 1) * (x * y - 5) / (1 - x) - (7 - y) ** 2 + 2**x + x**y + 3 / y

        def plain(x, y):
            return (2 * x - y / 3 + 1) * (x * y - 5) / (1 - x) - (7 - y) ** 2 + mp.mpf(2) ** x + x**y + 3 / y

        assert abs(result.value - plain(x.value, y.value)) < mp.mpf("1e-45")
        for tangent, partial in zip(
            result.tangents,
            (difference(lambda v: plain(v, y.value), x.value), difference(lambda v: plain(x.value, v), y.value)),
            strict=True,
        ):
            assert abs(tangent - partial) < mp.mpf("1e-44") * abs(partial)


def test_comparisons_and_choices_follow_the_value():
    x, y = number(2, (1, 0)), number(2, (0, 1))
    assert x == y == 2
    assert x >= 2 >= y
    assert not x > y
    assert not x < 2
    assert x != 3 > y
    assert -x < 0 < x
    assert dual.maximum(x, 2) == 2  # at a tie the plain number: slope 0
    assert dual.maximum(x, 1).tangents == (1, 0)
    assert dual.minimum(0, x) == 0
    assert dual.maximum(x, y).tangents == dual.minimum(x, y).tangents == (0.5, 0.5)
    assert dual.clip(x, -1, 1) == 1
    assert abs(number(0)).tangents == (0,)
    assert abs(number(-3)).tangents == (-1,)


@pytest.mark.parametrize(
    ("base", "exponent", "wanted"),
    [
        ("2", "0.5", ("0.5", None)),
        ("-2", "3", ("12", None)),
        ("0", "2", ("0", "0")),
        ("0", "1", ("1", "0")),
        ("-2", "0.5", ("nan", "nan")),
    ],
)
def test_powers(base, exponent, wanted):
    with mp.workdps(DIGITS):
        found = dual.power(number(base, (1, 0)), number(exponent, (0, 1)))
        if base == "2":
            root = mp.sqrt(2)
            wanted = (1 / (2 * root), root * mp.log(2))
        for tangent, right in zip(found.tangents, wanted, strict=True):
            if right is not None:
                right = mp.mpf(right)
                assert abs(tangent - right) < mp.mpf("1e-48") or (mp.isnan(tangent) and mp.isnan(right))


def test_huge_arguments_take_no_time_and_keep_their_digits():
    with mp.workdps(DIGITS):
        assert dual.exp(mp.mpf("-1e20000")) == 0
        assert dual.exp(mp.mpf("1e20000")) == mp.inf
        assert mp.almosteq(dual.log(dual.exp(mp.mpf("-1e308"))), mp.mpf("-1e308"), mp.mpf("1e-45"))
        assert dual.softplus(mp.mpf("1e308")) == mp.mpf("1e308")
        assert 0 < dual.gaussian_cdf(mp.mpf("-1e200")) < dual.gaussian_cdf(mp.mpf("-1e19"))
        assert abs(float(dual.sin(mp.mpf(1e308))) - math.sin(1e308)) < 1e-15


# --- oracles ----------------------------------------------------------------------------

FAR_AND_WIDE = [0.0, 5e-324, -1e-300, 1e-20, -1e-9, 3e-4, -0.1, 0.7, -1.2, 2.9, -5.5, 13.7]
FAR_AND_WIDE += [-18.0, 90.0, -300.0, 1e5, -1e8]


@pytest.mark.parametrize("name", ORACLES)
def test_the_oracle_keeps_its_digits(name):
    """Every literature formula cancels somewhere: at 50 digits 20 have to be left of whatever a float can hold."""
    oracle = ORACLES[name]
    richer = Oracle(oracle.function, oracle.limits, 1300)
    given = {k: 0.3 for k in oracle.parameters if k not in oracle.defaults}
    for z in [
        0.0,
        5e-324,
        -1e-300,
        1e-20,
        -1e-9,
        3e-4,
        -0.1,
        0.7,
        -1.2,
        2.9,
        -5.5,
        13.7,
        -18.0,
        90.0,
        -300.0,
        1e5,
        -1e8,
    ]:
        for wanted, got in zip(flat(richer(z, **given)), flat(oracle(z, **given)), strict=True):
            assert (
                abs(got - wanted) <= mp.mpf("1e-20") * abs(wanted)
                or abs(got - wanted) < mp.mpf("1e-340")
                or (mp.isnan(got) and mp.isnan(wanted))
            ), f"{name}: more than 30 digits cancel at {z}: use expm1, log1p, ... or @oracle(digits=...)"


def flat(exact):
    return [exact.value, exact.slope, *exact.parameters.values()]


@pytest.mark.parametrize("name", ORACLES)
def test_nan_in_nan_out_and_the_precision_of_others_is_left_alone(name):
    before = mp.prec
    given = {k: 0.3 for k in ORACLES[name].parameters if k not in ORACLES[name].defaults}
    assert all(mp.isnan(x) for x in flat(ORACLES[name](math.nan, **given)))
    ORACLES[name](0.5, **given)
    assert mp.prec == before


@pytest.mark.parametrize(
    ("function", "at_minus_inf", "at_inf"),
    [
        (dual.tanh, (-1, 0), (1, 0)),
        (dual.asinh, (-mp.inf, 0), (mp.inf, 0)),
        (dual.sin, (mp.nan, mp.nan), (mp.nan, mp.nan)),
        (dual.sinc, (0, 0), (0, 0)),
        (dual.exp, (0, 0), (mp.inf, mp.inf)),
        (lambda z: z / (1 + abs(z)), (-1, 0), (1, 0)),
        (lambda z: z * dual.sin(z), (mp.nan, mp.nan), (mp.nan, mp.nan)),
        (lambda z: z + dual.sin(z), (-mp.inf, mp.nan), (mp.inf, mp.nan)),
        (lambda z: dual.sqrt(abs(z)), (mp.inf, 0), (mp.inf, 0)),
        (lambda z: z * z * z / 7, (-mp.inf, mp.inf), (mp.inf, mp.inf)),
    ],
)
def test_limits_are_found_from_afar(function, at_minus_inf, at_inf):
    oracle = Oracle(lambda z: function(z))
    np.testing.assert_array_equal(np.array(oracle.value_and_slope(-math.inf), float), np.array(at_minus_inf, float))
    np.testing.assert_array_equal(np.array(oracle.value_and_slope(math.inf), float), np.array(at_inf, float))


def test_limits_that_are_given_go_first():
    oracle = Oracle(lambda z, a: a * dual.sin(z), {"inf": (7,), "-inf": lambda a: (a, 2, 3)})
    assert oracle(math.inf, a=2.0)[0] == 7
    assert mp.isnan(oracle(math.inf, a=2.0).slope)
    assert oracle(-math.inf, a=2.5) == (2.5, 2, {"a": 3})
    assert oracle.value_and_slope(-math.inf, a=2.5) == (2.5, 2)


def test_an_unsteady_sequence_has_no_limit():
    assert mp.isnan(limit_of(tuple(map(mp.mpf, (1, 2, 1, 2)))))
    assert limit_of(tuple(map(mp.mpf, (3, 3, 3)))) == 3


def test_unknown_parameters_are_refused():
    with pytest.raises(TypeError, match="no parameter"):
        ORACLES["elu"](0.0, beta=2)


def test_a_second_oracle_of_a_name_is_noticed(monkeypatch):
    assert table.REPEATED == []
    monkeypatch.setattr(table, "REPEATED", noticed := [])
    before = ORACLES["elu"]
    assert oracle(lambda z: z, name="elu") is not before
    assert ORACLES["elu"] is before
    assert noticed == ["two oracles for 'elu': in oracles.founding and test_oracles"]


def test_a_twin_that_is_not_written_out_is_answered_by_its_oracle():
    by_oracle = naive_activations._ByOracle()
    z = np.array([[-2.0, 0.0, 1.5], [math.inf, -math.inf, math.nan]])
    for name, values in (("gelu", {}), ("elu", {"alpha": 1.7})):
        for got, written in zip(by_oracle[name](z, **values), ACTIVATIONS[name](z, **values), strict=True):
            assert got.shape == z.shape
            np.testing.assert_allclose(got, written, rtol=1e-14)
