"""Every activation of the table against its oracle: value, slope, parameter derivatives, kinks, limits, properties."""

from __future__ import annotations

import functools
from collections import Counter

import numpy as np
import pytest
from activation_facts import facts
from activation_help import (
    DTYPES,
    FOUNDING_AND_LIBRARIES,
    LAYER_SETTINGS,
    LAYERWISE,
    NAMES,
    OWN,
    bar,
    compile_everything,
    every_dtype,
    every_name,
    every_setting,
    exactly_at,
    results,
    rounded,
    setting_inputs,
)
from exactly import around, exact, excess, ulp_errors
from layer_help import layer_errors, vectors
from oracles import LAYER_ORACLES, ORACLES

import gradsim as gs
from gradsim.activations import ACTIVATIONS, get


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """All blocks of all activations in the disk cache, from as many processes as there are cores here."""
    compile_everything()


# --- accuracy ---------------------------------------------------------------------------


@every_dtype
@every_setting
def test_value_slope_and_parameter_derivatives_are_within_the_bar(act, dtype):
    x, at, kinks = setting_inputs(act, dtype), exactly_at(act, dtype), rounded(act, dtype).kinks
    assert len(np.unique(x)) >= 150
    got, wanted = results(act, x), [at(float(z)) for z in x]
    assert list(got) == list(wanted[0]) == ["value", "slope", *(f"d/d{p}" for p in act.parameters)]
    for what, numbers in got.items():
        assert numbers.dtype == dtype
        formula = functools.partial(lambda z, what: at(z)[what], what=what)
        error = excess(numbers, x, [w[what] for w in wanted], formula, bar(act.name), kinks)
        worst = error.argmax()
        assert error[worst] <= bar(act.name), (
            f"{what} of {act.label} at {x[worst]!r}: {numbers[worst]!r} is {error[worst]:.2f} ulp from "
            f"{float(wanted[worst][what])!r}"
        )


@every_dtype
@every_setting
def test_at_and_beside_kinks_what_is_a_float_is_exact(act, dtype):
    at, held = exactly_at(act, dtype), rounded(act, dtype)
    for kink in held.kinks:
        x = around([kink], dtype)
        got = results(act, x)
        for what in ("value", "slope"):
            wanted = [at(float(z))[what] for z in x]
            as_floats = np.array([dtype(float(w)) for w in wanted])
            is_float = np.array([w == float(f) for w, f in zip(wanted, as_floats, strict=True)])
            np.testing.assert_array_equal(got[what][is_float], as_floats[is_float], err_msg=f"{what} near {kink}")
            assert ulp_errors(got[what], wanted).max() <= bar(act.name)


@every_dtype
@every_setting
def test_limits_at_infinity_and_nan_in_nan_out(act, dtype):
    ends = np.array([-np.inf, np.inf, np.nan], dtype)
    at = exactly_at(act, dtype)
    wanted = [at(float(z)) for z in ends]
    for what, got in results(act, ends).items():
        limit = np.array([dtype(float(w[what])) for w in wanted])
        np.testing.assert_allclose(got, limit, rtol=np.finfo(dtype).eps, atol=0, err_msg=f"{what} at -inf, inf, nan")
        assert np.isnan(got[2])


@every_dtype
@every_setting
def test_a_nan_touches_no_other_lane(act, dtype):
    x = np.random.default_rng(0).normal(size=33).astype(dtype)
    clean = results(act, x)
    holes = [3, 20, 32]
    x[holes] = np.nan
    for what, got in results(act, x).items():
        wanted = clean[what].copy()
        wanted[holes] = np.nan
        np.testing.assert_array_equal(got, wanted, err_msg=what)


@every_dtype
@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu", "elu", "sigmoid", "softplus", "silu", "gelu"])
def test_every_way_to_ask_gives_the_same_numbers(name, dtype):
    """value alone, slope alone, each parameter's derivative alone: blocks of their own."""
    act = get(name)
    x = setting_inputs(act, dtype)
    got = results(act, x)
    np.testing.assert_allclose(act(x), got["value"], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(act.derivative(x), got["slope"])
    for parameter in act.parameters:
        np.testing.assert_allclose(
            act.parameter_derivative(x, parameter), got[f"d/d{parameter}"], rtol=4 * np.finfo(dtype).eps
        )
    assert all(len(np.unique(numbers)) > 1 for what, numbers in got.items() if (name, what) != ("identity", "slope"))


@every_dtype
@pytest.mark.parametrize("act", LAYER_SETTINGS, ids=lambda act: act.label)
def test_outputs_and_products_of_layers_are_within_the_bar(act, dtype):
    for z, upstream in vectors(act, dtype, 12):
        for what, (error, got) in layer_errors(act, z, upstream, bar(act.name)).items():
            assert got.dtype == dtype
            worst = error.argmax()
            assert error[worst] <= bar(act.name), (
                f"{what} of {act.label} at z = {z!r}, upstream {upstream!r}: {error[worst]:.2f} ulp, got {got!r}"
            )


def test_float32_sigmoid_slope_keeps_its_tail():
    got = get("sigmoid").derivative(np.array([20.0, -20.0], np.float32))
    assert got.dtype == np.float32
    assert ulp_errors(got, exact(lambda z: ORACLES["sigmoid"](z).slope, [20.0, -20.0])).max() <= 4
    np.testing.assert_allclose(got, 2.0611536e-9, rtol=4 * 2**-23)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu", "gelu"])
def test_slopes_do_not_vanish_before_the_numbers_do(name):
    for dtype, reach in ((np.float32, 12.0), (np.float64, 36.0)):
        slope = get(name).derivative(np.array([-reach, reach], dtype))
        assert (slope != 0).all()
    assert (get("sigmoid").derivative([-700.0, 700.0]) > 0).all()


# --- completeness and the record --------------------------------------------------------


def test_every_activation_has_an_oracle_and_every_oracle_its_activation():
    assert sorted(NAMES) == sorted(ORACLES)
    assert sorted(LAYERWISE) == sorted(LAYER_ORACLES)


@every_name
def test_the_oracle_takes_the_parameters_of_the_record(name):
    oracle, parameters = ORACLES[name], ACTIVATIONS[name].parameters
    assert oracle.parameters == tuple(parameters)
    assert oracle.defaults.items() <= {k: p.default for k, p in parameters.items()}.items()


def test_what_the_founding_texts_and_the_libraries_have_is_there():
    known = {*ACTIVATIONS, *(alias for act in ACTIVATIONS.values() for alias in act.aliases)}
    assert not set(FOUNDING_AND_LIBRARIES) - known


@pytest.mark.parametrize("name", OWN)
def test_the_record_says_what_is_needed(name):
    act = ACTIVATIONS[name]
    assert act.name == name
    assert act.formula
    assert act.reference
    assert act.__doc__
    assert act.__doc__.strip()[0].isupper()
    assert act.kind in ("pointwise", "layerwise")
    for parameter in act.parameters.values():
        assert parameter.low <= parameter.default <= parameter.high
        assert parameter.role in ("fixed", "learned", "random", "shape")
        assert parameter.role != "random" or (parameter.low, parameter.default, parameter.high) == (0, 0.5, 1)
    for alias in act.aliases:
        assert get(alias) is act
    assert get(name) is act is getattr(gs.activations, name)
    assert name in dir(gs.activations)


def test_no_name_is_taken_twice():
    taken = Counter(key for name in OWN for key in (name, *ACTIVATIONS[name].aliases))
    assert {key for key, count in taken.items() if count > 1} == set()


# --- properties -------------------------------------------------------------------------


@every_setting
def test_the_range_is_reached_and_not_left(act):
    assert act.range == pytest.approx(facts(act).range, rel=1e-9, abs=1e-9)
    for dtype in DTYPES.values():
        value = results(act, setting_inputs(act, dtype))["value"]
        value = value[~np.isnan(value)]
        slack = [16 * np.finfo(dtype).eps * abs(end) if np.isfinite(end) else 0 for end in act.range]
        assert value.min() >= act.range[0] - slack[0]
        assert value.max() <= act.range[1] + slack[1]


@every_setting
def test_the_slope_is_largest_where_the_record_says(act):
    assert act.max_slope == pytest.approx(facts(act).max_slope, rel=1e-12)
    # An unbounded slope need not be inf at the record's point: sinh(z) + sin(z) has no limit.
    assert facts(act).slope_at_steepest == pytest.approx(act.max_slope, rel=1e-9) or (
        act.max_slope == np.inf == abs(act.steepest_at)
    )


@every_setting
def test_saturation_symmetry_and_growth_are_those_of_the_record(act):
    found = facts(act)
    assert (act.saturates, act.zero_centered, act.monotonic) == (found.saturates, found.odd, found.monotonic)


@every_setting
def test_kinks_are_where_value_or_slope_jumps(act):
    jumps = facts(act).jumps
    assert all(jumps), f"nothing jumps at {[k for k, jump in zip(act.kinks, jumps, strict=True) if not jump]}"
    assert facts(act).unlisted_jumps == ()
    if jumps:
        assert act.smoothness == (-1 if "value" in jumps else 0)
    else:
        assert act.smoothness >= 1


# PyTorch's values at 0, and what mathematics leaves no doubt about.
AT_ZERO = {
    "identity": (0, 1),
    "relu": (0, 0),
    "leaky_relu": (0, 0.01),
    "elu": (0, 1),
    "sigmoid": (0.5, 0.25),
    "tanh": (0, 1),
    "softplus": (np.log(2), 0.5),
    "silu": (0, 0.5),
    "gelu": (0, 0.5),
}


@every_dtype
@pytest.mark.parametrize("name", AT_ZERO)
def test_value_and_slope_at_zero_are_exact(name, dtype):
    value, slope = get(name).value_and_derivative(np.array([0.0, -0.0], dtype))
    np.testing.assert_array_equal(value, np.full(2, AT_ZERO[name][0], dtype))
    np.testing.assert_array_equal(slope, np.full(2, AT_ZERO[name][1], dtype))


@every_dtype
def test_a_leaky_slope_of_zero_has_its_limit(dtype):
    act = get("leaky_relu", slope=0)
    value, slope = act.value_and_derivative(np.array([-np.inf, -1, np.inf], dtype))
    np.testing.assert_array_equal(value, [0, 0, np.inf])
    np.testing.assert_array_equal(slope, [0, 0, 1])
