"""Text formulas at +-inf and at poles, names that collide with nothing, and what single precision cannot carry."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from campaign_help import ids_of, refusal, small
from formula_help import exact, table_put_back

from gradsim import Campaign
from gradsim.activations import ACTIVATIONS, FormulaWarning, Parameter, from_formula
from gradsim.activations.symbolic.record import FUNCTIONS
from gradsim.lanes import __all__ as lane_names

INF = math.inf
DTYPES = {"float32": np.float32, "float64": np.float64}
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)


@pytest.fixture(autouse=True)
def table():
    """The table of activations, put back afterwards."""
    with table_put_back():
        yield ACTIVATIONS


# --- at +-inf ---------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize(
    ("text", "values", "slopes"),
    [
        ("tanh(0.1*z)", (-1, 1), (0, 0)),
        ("0.1*z", (-INF, INF), (0.1, 0.1)),
        ("z/pi", (-INF, INF), (1 / math.pi, 1 / math.pi)),
        ("where(z > 0, z, 0.1*z)", (-INF, INF), (0.1, 1)),
        ("cbrt(z)*1.1", (-INF, INF), (0, 0)),
        ("gelu(z)", (0, INF), (0, 1)),
        ("z*tanh(softplus(z))", (0, INF), (0, 1)),
        ("z*sigmoid(1.702*z)", (0, INF), (0, 1)),
        ("exp(-z**2)", (0, 0), (0, 0)),
        ("1/(1 + z**2)", (0, 0), (0, 0)),
        ("z/(1 + abs(z))", (-1, 1), (0, 0)),
        ("z**2 - 0.1*z**3", (INF, -INF), (-INF, -INF)),
    ],
)
def test_limits(text, values, slopes, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormulaWarning)  # cbrt has no slope at 0
        act = from_formula(text)
    ends = np.array([-INF, INF], dtype)
    value, slope = act.value_and_derivative(ends)
    np.testing.assert_array_equal(value, np.array(values, dtype))
    np.testing.assert_array_equal(slope, np.array(slopes, dtype))
    assert np.isnan(act.value_and_derivative(np.array([np.nan], dtype))).all()


@pytest.mark.parametrize("text", ["sin(z)", "z*sin(z)", "z**2*sin(z) + z**3*cos(z)"])
def test_what_oscillates_has_no_limit(text):
    act = from_formula(text)
    assert np.isnan(act(np.array([-INF, INF]))).all()


def test_limits_that_depend_on_a_parameter_are_not_made_up():
    """a gelu(z)/z tends to a."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormulaWarning)  # at 0
        act = from_formula("a*z*tanh(z)/z + z*exp(-z)*0 + a*gelu(z)/z", parameters={"a": 1.0})
    (value,) = act.with_values(a=3.0)(np.array([INF]))
    assert math.isnan(value) or value == 6


def test_a_limit_holds_for_other_values_of_a_parameter():
    act = from_formula("z*sigmoid(b*z)", parameters={"b": 1.0})
    ends = np.array([-INF, INF])
    np.testing.assert_array_equal(act.with_values(b=2.0)(ends), [0, INF])
    np.testing.assert_array_equal(act.with_values(b=-2.0)(ends)[:1], -INF)
    assert np.isnan(act.with_values(b=0.0)(ends)).all(), "z/2 has other limits"
    np.testing.assert_array_equal(act.parameter_derivative(ends, "b"), 0)


def test_constants_keep_their_digits_beside_parameters():
    act = from_formula("(0.1*b)*z - 0.1*z", parameters={"b": 1 + 2.0**-40})
    assert act([1.0])[0] == float(exact("(0.1*b)*z - 0.1*z", 1.0, b=1 + 2.0**-40)[0])


# --- poles ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "steep"),
    [
        ("1/z", (-INF, INF), INF),
        ("1/(z - 1)", (-INF, INF), INF),
        ("1/(z - 1)**2", (0, INF), INF),
        ("tan(z)", (-INF, INF), INF),
        ("log(abs(z - 2))", (-INF, INF), INF),
        ("asin(z)", (-math.pi / 2, math.pi / 2), INF),
        ("tanh(1000*(z - 1))", (-1, 1), 1000),
    ],
)
def test_range_and_slope_at_poles(text, values, steep):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormulaWarning)
        act = from_formula(text)
    assert act.range == pytest.approx(values, rel=1e-12)
    assert act.max_slope == pytest.approx(steep, rel=1e-12)


def test_a_range_is_never_nan():
    with pytest.warns(FormulaWarning):
        act = from_formula("sqrt(c - z**2)", parameters={"c": 4.0})
    assert act.range == pytest.approx((0, 2), abs=1e-6)
    low, high = act.with_values(c=-1.0).range
    assert low <= high


# --- names ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(lane_names) - FUNCTIONS.keys()))
def test_parameters_may_be_called_like_functions_of_lanes(name):
    text = f"{name}*abs(z)**1.3 + sigmoid(z)"
    act = from_formula(text, parameters={name: 2.0})
    value, slope, by_parameter = act.function(np.array([2.0]), 2.0)
    wanted = exact(text.replace(name + "*", "p*"), 2.0, p=2.0)
    np.testing.assert_allclose([value[0], slope[0], by_parameter[0]], np.array(wanted, float), rtol=1e-14)


def test_a_parameter_called_power_compiles():
    act = from_formula("power*abs(z)**1.3", parameters={"power": 1})
    assert act([2.0])[0] == pytest.approx(2**1.3, rel=1e-15)
    assert act.parameter_derivative([2.0], "power")[0] == pytest.approx(2**1.3, rel=1e-15)


@pytest.mark.parametrize("name", ["self", "name"])
def test_parameters_that_no_method_could_take(name):
    refusal(lambda: from_formula(f"{name}*z", parameters={name: 1}), repr(name), "has a meaning already")


@pytest.mark.parametrize("name", ["key", "values", "slope", "owner", "program", "function"])
def test_properties_of_any_parameter(name):
    act = from_formula(f"{name}*abs(z)", parameters={name: 2.0})
    assert act.kinks == (0,)
    assert act.range == (0, INF)
    assert act.max_slope == 2


@pytest.mark.parametrize("name", ["get", "spec", "ACTIVATIONS", "from_formula", "symbolic"])
def test_names_of_the_module_are_taken(name, table):
    refusal(lambda: from_formula("z*cos(z)", name=name), "'z*cos(z)'", f"gradsim.activations.{name}")
    assert name not in table


@pytest.mark.parametrize(("text", "name"), [("1e5*z", "e5"), ("1E5*z", "E5"), ("1E5*z", "E"), ("1.e5*z", "e5")])
def test_an_exponent_is_no_parameter(text, name):
    refusal(lambda: from_formula(text, parameters={name: 1.0}), repr(name), "does not occur")


def test_what_another_precision_is_called():
    from_formula("z*cos(z)", name="mine")
    refusal(
        lambda: from_formula("z*cos(z)", name="mine", precision="working"),
        "taken by the formula 'z*cos(z)' with precision 'extended'",
    )


# --- text and numbers -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["2e - 3*z", "2 e-3*z", "1 .5*z", "1. 5*z", "z * * 2", "where(z < = 0, z, 0)", "where(z = = 0, 1, z)", "z ^ ^ 2"],
)
def test_what_is_parsed_is_what_was_typed(text):
    refusal(lambda: from_formula(text), "cannot be read")


def test_spaces_that_mean_nothing():
    plain = from_formula("where(z>=-1 and z<1.5,z**2-2e-3*z,-z)")
    assert plain is from_formula(" where( z >= - 1  and\tz < 1.5 , z ^ 2 - 2e-3 * z , - z ) ")


def test_numpy_numbers_in_a_parameter_are_kept_by_a_campaign(tmp_path):
    parameter = Parameter(np.float64(1.5), low=np.float64(0), high=10**31, role="learned")
    formula = {"formula": "b*z", "name": "scaled", "parameters": {"b": parameter}}
    campaign = small(activation=formula)
    kept = ACTIVATIONS["scaled"].parameters["b"]
    assert [type(v) for v in (kept.default, kept.low, kept.high)] == [float] * 3
    (tmp_path / "c.toml").write_text(campaign.to_toml())
    del ACTIVATIONS["scaled"]
    assert ids_of(Campaign.from_toml(tmp_path / "c.toml")) == ids_of(campaign)
    assert ACTIVATIONS["scaled"].parameters["b"] == kept


@pytest.mark.parametrize("value", [1e100, -4e38, Parameter(1e39), {"default": 1e39, "role": "learned"}])
def test_parameters_that_float32_cannot_hold(value):
    refusal(lambda: from_formula("b*z", parameters={"b": value}), "'b' is", "3e38")


def test_working_precision_is_judged_in_float32_too():
    text = "z**8/(1 + z**8)"
    with pytest.warns(FormulaWarning, match="in float32 the value is finite but overflows on the way") as caught:
        act = from_formula(text, precision="working")
    assert len(caught) == 1
    assert np.isnan(act(np.float32([1e5]))).all()
    assert act([1e5])[0] == 1
