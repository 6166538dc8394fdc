"""Activations from Python: arrays of every kind, `out`, `scalar`, names, parameters, and a user's own."""

from __future__ import annotations

import functools

import naive_activations
import numba
import numpy as np
import pytest
from activation_help import NAMES, SETTINGS, every_dtype, every_name, every_setting, inputs

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


# --- the interface on arrays ------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 16, 17, 1000])
def test_any_size_and_no_element_depends_on_the_others(size, dtype):
    x = np.random.default_rng(size).normal(size=size).astype(dtype) * 3
    for act in (get("silu"), get("elu", alpha=0.7)):
        value, slope = act.value_and_derivative(x)
        assert value.shape == slope.shape == (size,)
        for i in range(0, size, max(1, size // 40)):
            assert act.value_and_derivative(x[i : i + 1]) == (value[i], slope[i])


@every_dtype
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 0, 3), (4, 3, 2)], ids=str)
def test_shape_and_dtype_are_kept(shape, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype) if shape else np.array(0.3, dtype)
    act = get("leaky_relu")
    for result in (act(x), act.derivative(x), *act.value_and_derivative(x), act.parameter_derivative(x, "slope")):
        assert result.shape == shape
        assert result.dtype == dtype
    np.testing.assert_array_equal(act(x), np.where(x > 0, x, x * dtype(0.01)))


@pytest.mark.parametrize("number", [0.5, np.float64(0.5), np.array(0.5)], ids=["float", "numpy float", "0-d array"])
def test_a_number_gives_a_number(number):
    assert np.shape(get("tanh")(number)) == ()
    assert np.shape(get("tanh").derivative(number)) == ()
    assert float(get("tanh")(number)) == pytest.approx(np.tanh(0.5), rel=1e-15)


@every_dtype
def test_any_strides(dtype):
    base = np.random.default_rng(1).normal(size=(6, 40)).astype(dtype)
    act = get("tanh")
    wanted, slope = act.value_and_derivative(base)
    views = [np.s_[::-1], np.s_[:, ::-1], np.s_[::2, 1::3], np.s_[:, 5], np.s_[3]]
    for view in views:
        np.testing.assert_array_equal(act(base[view]), wanted[view])
        np.testing.assert_array_equal(act.derivative(base[view]), slope[view])
    np.testing.assert_array_equal(act(base.T), wanted.T)
    np.testing.assert_array_equal(act(np.asfortranarray(base)), wanted)
    np.testing.assert_array_equal(act(np.broadcast_to(base[0], (3, 40))), np.broadcast_to(wanted[0], (3, 40)))
    at_odd_bytes = np.frombuffer(b"x" + base.tobytes(), np.uint8)[1:].view(dtype).reshape(base.shape)
    np.testing.assert_array_equal(act(at_odd_bytes), wanted)
    assert np.array_equal(base, np.random.default_rng(1).normal(size=(6, 40)).astype(dtype))


def test_lists_and_integers_are_promoted_to_float64():
    act = get("elu")
    wanted = act(np.array([-2.0, 0.0, 3.0]))
    kinds = [[-2, 0, 3], (-2.0, 0.0, 3.0), np.array([-2, 0, 3]), np.array([-2, 0, 3], np.int8), np.float16([-2, 0, 3])]
    for given in kinds:
        assert act(given).dtype == np.float64
        np.testing.assert_array_equal(act(given), wanted)
    assert act(np.array([True, False])).tolist() == [1.0, 0.0]
    assert act(np.array([3], np.uint64)).dtype == np.float64
    assert act([]).shape == (0,)
    # The other byte order is the same numbers, and comes back in the machine's.
    for given in (np.array([-2, 0, 3], ">f8"), np.array([-2, 0, 3], "<f8")):
        assert act(given).dtype == np.float64
        np.testing.assert_array_equal(act(given), wanted)


@every_dtype
def test_out_is_written_and_returned(dtype):
    x = np.random.default_rng(2).normal(size=(5, 7)).astype(dtype)
    act = get("leaky_relu", slope=0.3)
    for method in (act, act.derivative, functools.partial(act.parameter_derivative, name="slope")):
        wanted = method(x)
        wide = np.full((5, 14), np.nan, dtype)
        for out in (np.empty_like(x), np.empty((7, 5), dtype).T, wide[:, ::2]):
            assert method(x, out=out) is out
            np.testing.assert_array_equal(out, wanted)
        assert np.isnan(wide[:, 1::2]).all()
        in_place = x.copy()
        method(in_place, out=in_place)
        np.testing.assert_array_equal(in_place, wanted)


@every_dtype
def test_out_may_overlap_the_input_as_in_numpy(dtype):
    for moved in (1, -1):
        x = np.linspace(-3, 3, 101, dtype=dtype)
        source, out = (x[:-1], x[1:]) if moved > 0 else (x[1:], x[:-1])
        wanted = get("tanh")(source.copy())
        get("tanh")(source, out=out)
        np.testing.assert_array_equal(out, wanted)


def read_only(shape):
    out = np.empty(shape)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    ("out", "hint"),
    [
        (read_only(3), "writeable"),
        (np.empty(4), "(4,)"),
        (np.empty((1, 3)), "(1, 3)"),
        (np.empty(3, np.float32), "float32"),
        ([0.0, 0.0, 0.0], "list"),
    ],
    ids=["read only", "longer", "other shape", "other dtype", "no array"],
)
def test_an_unfit_out_is_refused_in_one_line(out, hint):
    for method in (get("relu"), get("relu").derivative):
        with pytest.raises(UsageError, match=r"relu: out must be") as refused:
            method([1.0, 2.0, 3.0], out=out)
        assert hint in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [[1j, 2], np.array([1, None]), "text", ["a"], None, np.array(["2020-01-01"], "datetime64[D]")],
    ids=["complex", "object", "text", "list of text", "None", "dates"],
)
def test_what_is_no_real_number_is_refused_in_one_line(given):
    with pytest.raises(UsageError, match="tanh: cannot take") as refused:
        get("tanh")(given)
    assert "\n" not in str(refused.value)


@every_setting
def test_the_formula_itself_runs_on_numpy_arrays(act):
    """The same function, read as plain Python, gives the same numbers to within NumPy's own roundings."""
    z = np.concatenate([np.linspace(-30, 30, 601), [1e3, -1e3]])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        value, slope, *rest = act.function(z, *act.values.values())
    compiled = act.value_and_derivative(z)
    # fma is two roundings here, which costs gelu's square of z, and what cancels, their last digits.
    np.testing.assert_allclose(value, compiled[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slope, compiled[1], rtol=1e-12, atol=1e-14)
    for name, derivative in zip(act.parameters, rest, strict=True):
        np.testing.assert_allclose(derivative, act.parameter_derivative(z, name), rtol=1e-12, atol=1e-14)


@every_dtype
@every_name
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


def test_a_name_like_no_other_lists_all():
    with pytest.raises(UsageError, match="allowed") as refused:
        get("xyzzy")
    for name in NAMES:
        assert name in str(refused.value)
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
