"""Activations from Python: the formulas in NumPy, `scalar`, names, parameters, and a user's own."""

from __future__ import annotations

import naive_activations
import numba
import numpy as np
import pytest
from activation_help import NAMES, SETTINGS, every_dtype, every_setting, inputs

import gradsim as gs
from gradsim.activations import ACTIVATIONS, Activation, Parameter, get, pointwise, registry
from gradsim.errors import UsageError
from gradsim.lanes import exp, where


@pytest.fixture
def table():
    """The table of activations; what a test enters is gone afterwards."""
    before, aliases = dict(ACTIVATIONS), dict(registry._ALIASES)
    yield ACTIVATIONS
    for current, kept in ((ACTIVATIONS, before), (registry._ALIASES, aliases)):
        current.clear()
        current.update(kept)


# --- one formula, three ways --------------------------------------------------------------


@every_setting
def test_the_formula_itself_runs_on_numpy_arrays(act):
    """The same function, read as plain Python, gives the same numbers to within NumPy's own roundings."""
    z = np.concatenate([np.linspace(-30, 30, 601), [1e3, -1e3]])
    with np.errstate(all="ignore"):
        value, slope, *rest = act.function(z, *map(np.float64, act.values.values()))
    wanted = [*act.value_and_derivative(z), *(act.parameter_derivative(z, name) for name in act.parameters)]
    # In plain float64: what cancels loses digits that blocks keep by fused and extended arithmetic.
    for got, exact in zip((value, slope, *rest), wanted, strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-9, atol=1e-10)


# One a family: each is compiled anew for the caller.
LAST_OF_FAMILY = {ACTIVATIONS[name].function.__module__: name for name in NAMES}


@every_dtype
@pytest.mark.parametrize("name", ["gelu", "leaky_relu", *LAST_OF_FAMILY.values()])
def test_scalar_works_inside_a_users_njit(name, dtype):
    act = ACTIVATIONS[name]
    scalar, z = act.scalar, inputs(name, dtype)[::37]
    values = tuple(dtype(v) for v in act.values.values())

    @numba.njit
    def outer(z, value, slope):
        for i in range(z.size):
            value[i], slope[i] = scalar(z[i], *values)

    value, slope = np.empty_like(z), np.empty_like(z)
    outer(z, value, slope)
    # The compiler may fuse other multiplications and additions here than in the array's block.
    for got, wanted in zip((value, slope), act.value_and_derivative(z), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e2 * np.finfo(dtype).eps, atol=np.finfo(dtype).smallest_normal)
    assert np.isnan(scalar(dtype(np.nan), *values)).all()


# --- names and parameters ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "near"), [("rleu", "relu"), ("sigmoidd", "sigmoid"), ("leakyrelu", "leaky_relu"), ("Tanh", "tanh")]
)
def test_an_unknown_name_offers_the_nearest(name, near):
    with pytest.raises(UsageError, match=f"unknown activation {name!r}.*{near!r}") as refused:
        get(name)
    assert "\n" not in str(refused.value)


def test_a_name_like_no_other_says_what_there_is():
    with pytest.raises(UsageError, match="unknown activation 'xyzzy'; allowed: ") as refused:
        get("xyzzy")
    shown = [name for name in NAMES if f" {name}," in str(refused.value)]
    assert len(shown) >= min(len(NAMES), 15)
    assert f"({len(ACTIVATIONS) + len(registry._ALIASES)} in all)" in str(refused.value)
    with pytest.raises(AttributeError, match="xyzzy"):
        _ = gs.activations.xyzzy


@pytest.mark.parametrize("name", [5, None, ["relu"], 1.5], ids=str)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UsageError, match="activation"):
        get(name)


def test_parameters_are_checked():
    for given in (1e7, -1e7, np.inf, np.nan):
        with pytest.raises(UsageError, match=r"'leaky_relu': parameter 'slope' is .*; allowed: -1e\+06 to 1e\+06"):
            get("leaky_relu", slope=given)
    with pytest.raises(UsageError, match="'alpha' is -1; allowed: 0 to"):
        get("elu", alpha=-1)
    for given in ("0.1", None, True, [0.1]):
        with pytest.raises(UsageError, match="a number is needed"):
            get("leaky_relu", slope=given)
    with pytest.raises(UsageError, match="no parameter 'slop'; did you mean 'slope'"):
        get("leaky_relu", slop=1)
    with pytest.raises(UsageError, match="no parameter 'slope'; it takes none"):
        get("relu", slope=1)
    with pytest.raises(UsageError, match="no parameter 'slop'; did you mean 'slope'"):
        get("leaky_relu").parameter_derivative([1.0], "slop")
    with pytest.raises(UsageError, match="it takes none"):
        get("relu").parameter_derivative([1.0], "slope")


def test_other_values_leave_the_table_alone():
    act = get("leaky_relu", slope=0.2)
    assert act.values == {"slope": 0.2}
    assert act.label == "leaky_relu(slope=0.2)"
    assert ACTIVATIONS["leaky_relu"].values == {"slope": 0.01}
    assert act.with_values(slope=np.float32(0.5)).values == {"slope": 0.5}
    assert get(act, slope=3).values == {"slope": 3.0}
    assert act([-1.0]) == -0.2
    assert act.parameter_vector().tolist() == [0.2]


# --- a user's own -----------------------------------------------------------------------


def test_a_users_own_works_by_name_and_trains(table, monkeypatch):
    @gs.activations.pointwise(r"a z / (1 + |z|)", aliases=("soft",), parameters={"a": Parameter(1.5, 0, 10)})
    def my_softsign(z, a):
        """Softsign, scaled."""
        d = 1 / (1 + abs(z))
        return a * z * d, a * d * d, z * d

    assert isinstance(my_softsign, Activation)
    assert get("my_softsign") is get("soft") is gs.activations.my_softsign is my_softsign
    z = np.linspace(-3, 3, 33)
    np.testing.assert_allclose(my_softsign(z), 1.5 * z / (1 + np.abs(z)), rtol=1e-15)
    np.testing.assert_allclose(get("soft", a=2).derivative(z), 2 / (1 + np.abs(z)) ** 2, rtol=1e-15)
    with pytest.raises(UsageError, match="allowed: 0 to 10"):
        get("my_softsign", a=11)

    def in_numpy(z, a):
        return a * z / (1 + np.abs(z)), a / (1 + np.abs(z)) ** 2

    monkeypatch.setitem(naive_activations.ACTIVATIONS, "my_softsign", in_numpy)
    import naive

    random = np.random.default_rng(3)
    X, y = random.normal(size=(20, 3)), random.integers(0, 2, 20)
    campaign = gs.Campaign(
        dataset=(X, y), activation="my_softsign(a=2.5)", depth=2, width=4, steps=5, batch_size="full", dtype="float64"
    )
    (run_id,) = campaign.plan.run_ids(np.arange(1))
    X, y, _, _ = campaign.data()
    _, losses = naive.train(
        campaign.initial_weights(run_id),
        X,
        y,
        campaign.batch_indices(),
        [("my_softsign", {"a": 2.5})] * 2,
        "softmax_cross_entropy",
    )
    np.testing.assert_allclose(campaign.replay(run_id).loss, losses, rtol=1e-12)


def test_a_plain_number_is_a_parameters_default(table):
    @pointwise("b z", parameters={"b": 2})
    def scaled(z, b):
        return b * z, where(z == z, b, z), z

    assert scaled.parameters["b"] == Parameter(2.0)
    np.testing.assert_array_equal(scaled([1.0, -2.0]), [2, -4])


def test_a_parameter_is_not_called_as_what_a_block_gives(table):
    def scaled(z, value):
        return value * z, value, z

    for name in ("value", "value_and_slope", "backward"):
        with pytest.raises(UsageError, match=f"'scaled': no parameter can have the name '{name}'"):
            pointwise("b z", parameters={name: 2.0})(scaled)
    assert "scaled" not in ACTIVATIONS


def test_a_constant_slope_may_be_a_bare_number(table):
    @pointwise("3 z")
    def triple(z):
        return 3 * z, 3

    np.testing.assert_array_equal(triple.derivative(np.ones(20, np.float32)), np.full(20, 3, np.float32))
    assert triple.scalar(2.0) == (6.0, 3.0)


def test_the_same_definition_may_run_twice(table):
    for constant in (2.0, 3.0):

        @pointwise("c z")
        def again(z):
            return constant * z, constant  # noqa: B023

    assert get("again")([1.0]) == 3


def test_a_taken_name_is_refused(table):
    def other(z):
        return z, z

    for name in ("relu", "swish"):
        with pytest.raises(UsageError, match=f"activation name {name!r} is taken"):
            pointwise("z", name=name)(other)
    with pytest.raises(UsageError, match="activation name 'silu' is taken"):
        pointwise("z", name="my_own", aliases=("silu",))(other)
    assert get("relu") is SETTINGS[NAMES.index("relu")]
    assert "my_own" not in ACTIVATIONS


def test_a_function_that_is_called_like_a_builtin_does_not_replace_it(table):
    """At the top of a user's module its qualified name is just the name."""

    def relu(z):
        return 2 * z, 2

    relu.__qualname__ = "relu"
    with pytest.raises(UsageError, match="activation name 'relu' is taken"):
        pointwise("2 z")(relu)
    np.testing.assert_array_equal(get("relu")([-1.0, 1.0]), [0, 1])


def test_the_steepest_point_is_searched_for_where_it_is_not_given(table):
    @pointwise("e^{-z^2}")
    def bell(z):
        e = exp(-(z * z))
        return e, -2 * z * e

    assert bell.max_slope == pytest.approx(np.sqrt(2 / np.e), rel=1e-6)
    assert abs(bell.steepest_at) == pytest.approx(np.sqrt(0.5), abs=1e-3)
