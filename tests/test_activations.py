"""Every activation of the table: value, slope, parameter derivatives against 50 digits; properties, kinks, limits."""

from __future__ import annotations

import functools

import naive_activations
import numpy as np
import pytest
from activation_help import NAMES, SETTINGS, every_dtype, every_name, every_setting, inputs
from exactly import DIGITS, around, exact, normal_results, ulp_errors
from mpmath import mp
from naive_activations import MAX_SLOPE, ORACLES

import gradsim as gs
from gradsim.activations import ACTIVATIONS, get

# --- accuracy ---------------------------------------------------------------------------


def oracle_of(act, dtype):
    """The exact (value, slope) with the parameters as the lanes hold them."""
    values = {k: float(dtype(v)) for k, v in act.values.items()}
    return functools.partial(ORACLES[act.name], **values)


@functools.cache
def reference(index, dtype):
    """Inputs for a setting, and the exact values and slopes there."""
    act = SETTINGS[index]
    x = inputs(act.name, dtype)
    return x, *zip(*exact(oracle_of(act, dtype), x), strict=True)


def excess(got, x, wanted, formula):
    """Error in ulp beyond what moving the input by one ulp explains, where the result is a normal number."""
    error = np.where(normal_results(wanted, got.dtype), ulp_errors(got, wanted), 0)
    for i in np.flatnonzero(error > 4):
        neighbors = [np.nextafter(x[i], x.dtype.type(end)) for end in (-np.inf, np.inf)]
        with mp.workdps(DIGITS):
            moved = max(abs(other - wanted[i]) for other in exact(formula, neighbors))
            error[i] -= float(moved / mp.mpf(float(np.spacing(np.abs(got.dtype.type(float(wanted[i])))))))
    return error


@every_dtype
@every_setting
def test_value_and_slope_are_within_4_ulp(act, dtype):
    x, *wanted = reference(SETTINGS.index(act), dtype)
    assert x.size >= 3000
    assert len(np.unique(x)) > 3000
    oracle = oracle_of(act, dtype)
    value, slope = act.value_and_derivative(x)
    for part, (what, got) in enumerate((("value", value), ("slope", slope))):
        error = excess(got, x, wanted[part], lambda z, part=part: oracle(z)[part])
        worst = error.argmax()
        assert error[worst] <= 4, f"{what} of {act.label} at {x[worst]!r}: {error[worst]:.2f} ulp"
        assert act.name == "identity" or len(np.unique(got)) > (100 if part == 0 or not act.kinks else 1)
    np.testing.assert_allclose(act(x), value, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(act.derivative(x), slope)


@every_dtype
@every_setting
def test_results_too_small_for_normal_numbers_fade_gradually(act, dtype):
    """Below the normal numbers the error stays within a few of the smallest steps."""
    x, *wanted = reference(SETTINGS.index(act), dtype)
    for got, exactly in zip(act.value_and_derivative(x), wanted, strict=True):
        tiny = ~normal_results(exactly, dtype) & (np.abs([float(w) for w in exactly]) < 1)
        if tiny.any():
            assert ulp_errors(got[tiny], [w for w, small in zip(exactly, tiny, strict=True) if small]).max() <= 8


@every_dtype
@pytest.mark.parametrize("act", [a for a in SETTINGS if a.parameters], ids=lambda act: act.label)
def test_parameter_derivatives_against_central_differences(act, dtype):
    x = inputs(act.name, dtype)
    formula = ORACLES[act.name].__wrapped__
    values = {k: mp.mpf(float(dtype(v))) for k, v in act.values.items()}
    for name in act.parameters:
        with mp.workdps(DIGITS):
            h = mp.mpf("1e-15")

        def difference(z, name=name, h=h):
            above, below = (formula(z, **values | {name: values[name] + step})[0] for step in (h, -h))
            return (above - below) / (2 * h)

        got = act.parameter_derivative(x, name)
        assert excess(got, x, exact(difference, x), difference).max() <= 4
        assert len(np.unique(got)) > 100
        assert got.dtype == dtype


def test_float32_sigmoid_slope_keeps_its_tail():
    got = get("sigmoid").derivative(np.array([20.0, -20.0], np.float32))
    assert got.dtype == np.float32
    assert ulp_errors(got, exact(lambda z: ORACLES["sigmoid"](z)[1], [20.0, -20.0])).max() <= 4
    np.testing.assert_allclose(got, 2.0611536e-9, rtol=4 * 2**-23)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu", "gelu"])
def test_slopes_do_not_vanish_before_the_numbers_do(name):
    for dtype, reach in ((np.float32, 12.0), (np.float64, 36.0)):
        slope = get(name).derivative(np.array([-reach, reach], dtype))
        assert (slope != 0).all()
    assert (get("sigmoid").derivative([-700.0, 700.0]) > 0).all()


# --- completeness and properties --------------------------------------------------------


def test_every_activation_has_an_oracle():
    missing = {
        table: set(NAMES) - set(entries) for table, entries in vars(naive_activations).items() if table in TABLES
    }
    assert len(missing) == len(TABLES)
    assert not any(missing.values()), f"tests/naive_activations.py lacks {missing}"


TABLES = ("ORACLES", "ACTIVATIONS", "MAX_SLOPE")


@every_name
def test_the_record_says_what_is_needed(name):
    act = ACTIVATIONS[name]
    assert act.name == name
    assert act.formula
    assert act.reference
    assert act.__doc__
    assert act.kind in ("pointwise", "layerwise")
    for parameter in act.parameters.values():
        assert parameter.low <= parameter.default <= parameter.high
    for alias in act.aliases:
        assert get(alias) is act
    assert get(name) is act is getattr(gs.activations, name)
    assert name in dir(gs.activations)


@every_setting
def test_properties_hold(act):
    x = np.concatenate([np.linspace(-40, 40, 8001), [-1e4, 1e4]])
    value, slope = act.value_and_derivative(x)
    low, high = act.range
    if act.label == act.name:  # the range is that of the default parameters
        assert value.min() >= low
        assert value.max() <= high
        for bound in act.range:
            if np.isfinite(bound):
                assert np.abs(value - bound).min() < 1e-4
    assert act.monotonic == bool((slope >= 0).all() and (np.diff(value[:-2]) >= 0).all())
    if act.zero_centered:
        assert act([0.0])[0] == 0
        assert low < 0 < high
    flat = tuple(bool(s == 0) for s in act.derivative([-np.inf, np.inf]))
    sides = {(True, True): "both", (True, False): "low", (False, True): "high", (False, False): "none"}
    assert act.saturates == sides[flat]
    for kink in act.kinks:
        left, right = act.derivative(np.nextafter(kink, [-np.inf, np.inf]))
        assert left != right


@every_setting
def test_steepest_point(act):
    largest, point = MAX_SLOPE[act.name](**act.values)
    assert act.max_slope == pytest.approx(largest, rel=1e-14)
    slopes = np.abs(act.derivative(np.linspace(-50, 50, 20001)))
    assert largest * (1 - 1e-6) <= slopes.max() <= largest * (1 + 1e-15)
    # What divides low from high: no flat input lies between the package's point and the twin's.
    if not np.isnan(point):
        between = np.linspace(*sorted(np.clip([act.steepest_at, point], -50, 50)), 101)[1:-1]
        assert (np.abs(act.derivative(between)) >= 0.1 * largest).all()
        at = np.array([act.steepest_at])
        assert np.abs(act.derivative(at))[0] == pytest.approx(largest, rel=1e-12)


# --- kinks, limits, NaN -----------------------------------------------------------------

# PyTorch's values at the kink.
AT_ZERO = {
    "identity": lambda: (0, 1),
    "relu": lambda: (0, 0),
    "leaky_relu": lambda slope=0.01: (0, slope),
    "elu": lambda alpha=1.0: (0, alpha),
    "sigmoid": lambda: (0.5, 0.25),
    "tanh": lambda: (0, 1),
    "softplus": lambda: (np.log(2), 0.5),
    "silu": lambda: (0, 0.5),
    "gelu": lambda: (0, 0.5),
}


@every_dtype
@every_setting
def test_value_and_slope_at_zero_are_exact(act, dtype):
    if act.name not in AT_ZERO:
        pytest.skip("no convention at 0")
    value, slope = act.value_and_derivative(np.array([0.0, -0.0], dtype))
    wanted = AT_ZERO[act.name](**act.values)
    np.testing.assert_array_equal(value, np.full(2, wanted[0], dtype))
    np.testing.assert_array_equal(slope, np.full(2, wanted[1], dtype))


@every_dtype
@every_setting
def test_next_to_a_kink_both_sides_are_exact(act, dtype):
    oracle = oracle_of(act, dtype)
    for kink in act.kinks:
        x = around([kink], dtype)
        value, slope = act.value_and_derivative(x)
        np.testing.assert_array_equal(slope, [dtype(float(oracle(z)[1])) for z in x])
        np.testing.assert_array_equal(value, [dtype(float(oracle(z)[0])) for z in x])


@every_dtype
@every_setting
def test_limits_at_infinity_and_the_largest_numbers(act, dtype):
    ends = np.array([-np.inf, np.inf], dtype)
    oracle = oracle_of(act, dtype)
    wanted = np.array([[float(v) for v in oracle(z)] for z in ends]).T
    value, slope = act.value_and_derivative(ends)
    np.testing.assert_array_equal(value, wanted[0].astype(dtype))
    np.testing.assert_array_equal(slope, wanted[1].astype(dtype))
    np.testing.assert_array_equal(act(ends), value)
    largest = np.array([-1, 1], dtype) * np.finfo(dtype).max
    wanted = np.array([[float(v) for v in oracle(z)] for z in largest]).T
    got = act.value_and_derivative(largest)
    for part in range(2):
        np.testing.assert_allclose(got[part], wanted[part].astype(dtype), rtol=4 * np.finfo(dtype).eps)


@every_dtype
@every_setting
def test_nan_in_nan_out(act, dtype):
    z = np.zeros(33, dtype)
    z[[3, 20, 32]] = np.nan
    results = [act(z), *act.value_and_derivative(z), *(act.parameter_derivative(z, p) for p in act.parameters)]
    for result in results:
        np.testing.assert_array_equal(np.isnan(result), np.isnan(z))


@every_dtype
def test_a_leaky_slope_of_zero_has_its_limit(dtype):
    act = get("leaky_relu", slope=0)
    value, slope = act.value_and_derivative(np.array([-np.inf, -1, np.inf], dtype))
    np.testing.assert_array_equal(value, [0, 0, np.inf])
    np.testing.assert_array_equal(slope, [0, 0, 1])
