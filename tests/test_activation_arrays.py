"""Activations on arrays of every kind: sizes, strides, threads, pandas, `out`; and what is refused."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from activation_help import every_dtype

from gradsim.activations import arrays, get
from gradsim.errors import UsageError


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


@pytest.mark.parametrize(
    "number", [0.5, np.float64(0.5), np.array(0.5), np.float32(0.5)], ids=["float", "float64", "0-d array", "float32"]
)
def test_a_number_gives_a_number(number):
    act, kind = get("tanh"), type(np.asarray(number)[()])
    for result in (act(number), act.derivative(number), *act.value_and_derivative(number)):
        assert type(result) is kind
    assert act(number) == pytest.approx(np.tanh(0.5), rel=1e-6 if kind is np.float32 else 1e-15)


@every_dtype
@pytest.mark.parametrize("size", [arrays.SMALL - 1, arrays.SMALL, arrays.SMALL + 1, arrays.PORTION + 7])
def test_small_and_large_arrays_give_the_same_bits(size, dtype):
    x = np.random.default_rng(size).normal(size=size).astype(dtype) * 3
    act = get("leaky_relu", slope=0.3)
    for method in (act, act.derivative, get("gelu"), get("gelu").derivative):
        wanted = np.concatenate([method(part) for part in np.array_split(x, 9)])
        np.testing.assert_array_equal(method(x), wanted)
        np.testing.assert_array_equal(method(x, out=np.empty_like(x)), wanted)
        in_place = x.copy()
        assert method(in_place, out=in_place) is in_place
        np.testing.assert_array_equal(in_place, wanted)
        # Behind the array's last number nothing is written.
        wide = np.full(size + 40, np.nan, dtype)
        method(x, out=wide[20:-20])
        np.testing.assert_array_equal(wide[20:-20], wanted)
        assert np.isnan(wide[:20]).all()
        assert np.isnan(wide[-20:]).all()


# --- threads ----------------------------------------------------------------------------


def names_of_threads(monkeypatch, act, dtype, x) -> set[str]:
    """The threads on which a block runs for x."""
    runner, seen = arrays._runner(act, np.dtype(dtype), "value_and_slope", 0), set()
    at = runner.at

    def noting(*arguments):
        seen.add(threading.current_thread().name)
        at(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "at", noting)
        act.value_and_derivative(x)
    return seen


@every_dtype
def test_threads_change_no_bit(monkeypatch, dtype):
    x = np.random.default_rng(5).normal(size=300_001).astype(dtype) * 4
    act = get("silu")
    monkeypatch.setattr(arrays, "_threads", lambda: 3)
    results = {}
    for name, least in (("alone", np.inf), ("together", -np.inf)):
        monkeypatch.setattr(arrays, "WORTH_SHARING", least)
        arrays._pool.cache_clear()
        results[name] = [act(x), act.derivative(x), *act.value_and_derivative(x), act(x, out=np.empty_like(x))]
        others = names_of_threads(monkeypatch, act, dtype, x) - {threading.main_thread().name}
        assert bool(others) == (name == "together")
    arrays._pool.cache_clear()
    for alone, together in zip(*results.values(), strict=True):
        np.testing.assert_array_equal(alone, together)


def test_callers_on_many_threads_do_not_mix():
    x = np.random.default_rng(6).normal(size=(40, 700)).astype(np.float32)
    act = get("gelu")
    wanted = act(x)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            np.testing.assert_array_equal(list(pool.map(act, x)), wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_threads_of_its_own():
    code = """
import os, warnings
import numpy as np
from gradsim.activations import arrays, get
arrays.WORTH_SHARING = -1
x = np.linspace(-3, 3, 200_000)
wanted = get("relu")(x)
warnings.simplefilter("ignore")  # Python warns of forks beside threads
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(get("relu")(x), wanted) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "0\n", done.stderr


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


@every_dtype
def test_fortran_order_stays_and_is_not_copied_for(dtype):
    x = np.asfortranarray(np.random.default_rng(3).normal(size=(300, 70)).astype(dtype))
    act = get("tanh")
    value, slope = act.value_and_derivative(x)
    assert value.flags.f_contiguous
    np.testing.assert_array_equal(value, act(np.ascontiguousarray(x)))
    np.testing.assert_array_equal(slope, act.derivative(np.ascontiguousarray(x)))
    for out in (np.empty_like(x), np.empty(x.shape, dtype), x):
        assert act(x, out=out) is out
        np.testing.assert_array_equal(out, value)


# --- pandas and masks -------------------------------------------------------------------


@every_dtype
def test_a_series_comes_back_as_one(dtype):
    x = pd.Series([-1.5, 0, 2, np.nan], index=list("abcd"), name="z", dtype=dtype)
    act = get("leaky_relu")
    for result, wanted in (
        (act(x), act(x.to_numpy())),
        (act.derivative(x), act.derivative(x.to_numpy())),
        (act.value_and_derivative(x)[1], act.derivative(x.to_numpy())),
        (act.parameter_derivative(x, "slope"), act.parameter_derivative(x.to_numpy(), "slope")),
    ):
        pd.testing.assert_series_equal(result, pd.Series(wanted, index=x.index, name="z"))
    out = np.empty(4, dtype)
    assert act(x, out=out) is out
    np.testing.assert_array_equal(out, act(x.to_numpy()))


def test_a_frame_comes_back_as_one():
    x = pd.DataFrame({"a": [1.0, -2], "b": np.float32([3, -4]), "c": [1, -1], "d": [True, False]}, index=[7, 9])
    x.columns = pd.MultiIndex.from_tuples([("p", 1), ("p", 1), ("q", 1), ("q", 2)])
    value, slope = get("elu").value_and_derivative(x)
    for result, numbers in ((value, get("elu")), (slope, get("elu").derivative)):
        assert result.columns.equals(x.columns)
        assert result.index.equals(x.index)
        assert [str(t) for t in result.dtypes] == ["float64", "float32", "float64", "float64"]
        for i in range(4):
            np.testing.assert_array_equal(result.iloc[:, i], numbers(x.iloc[:, i].to_numpy()))
    empty = pd.DataFrame(index=[1, 2])
    pd.testing.assert_frame_equal(get("elu")(empty), empty, check_column_type=False)
    assert get("elu")(pd.DataFrame({"a": []})).shape == (0, 1)


@pytest.mark.parametrize(
    ("dtype", "kept"), [("Float32", "Float32"), ("Float64", "Float64"), ("Int64", "float64"), ("boolean", "float64")]
)
def test_missing_values_stay_missing(dtype, kept):
    result = get("tanh")(pd.Series([1, None, 0], dtype=dtype))
    assert str(result.dtype) == kept
    assert result.isna().tolist() == [False, True, False]
    assert result[0] == pytest.approx(np.tanh(1), rel=1e-6)


def test_a_column_that_is_no_number_is_named():
    with pytest.raises(UsageError, match="column 'b': tanh: cannot take an array of object") as refused:
        get("tanh")(pd.DataFrame({"a": [1.0], "b": pd.Series(["x"], dtype=object)}))
    assert "\n" not in str(refused.value)


def test_a_mask_stays():
    result, slope = get("tanh").value_and_derivative(np.ma.masked_invalid([1.0, np.nan, -2.0]))
    assert result.mask.tolist() == slope.mask.tolist() == [False, True, False]
    np.testing.assert_array_equal(result.compressed(), get("tanh")([1.0, -2.0]))


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
        (read_only(3), "read-only float64"),
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
    [
        pytest.param([1j, 2], id="complex"),
        pytest.param(np.array([1, None]), id="object"),
        pytest.param("text", id="text"),
        pytest.param(["a"], id="list of text"),
        pytest.param(None, id="None"),
        pytest.param(np.array(["2020-01-01"], "datetime64[D]"), id="dates"),
        pytest.param([[1.0], [1.0, 2.0]], id="ragged"),
        pytest.param(np.zeros(2, [("a", "f8")]), id="structured"),
        pytest.param(np.longdouble(1), id="long double"),
        pytest.param({"a": 1}, id="dict"),
        pytest.param(10**400, id="huge"),
        pytest.param(pd.Series(["a"]), id="series of text"),
        pytest.param(pd.Series(pd.to_datetime(["2020-01-01"])), id="series of dates"),
    ],
)
def test_what_is_no_real_number_is_refused_in_one_line(given):
    with pytest.raises(UsageError, match="tanh: cannot take") as refused:
        get("tanh")(given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("upstream", [np.ones(2), np.ones((2, 4)), np.ones((1, 1, 2)), 1.0])
def test_what_comes_back_to_a_layer_has_the_shape_of_its_outputs(upstream):
    with pytest.raises(UsageError, match=r"glu: upstream has the shape .*; needed: \(2, 2\)"):
        get("glu").vjp(np.ones((2, 4)), upstream, axis=1)


def test_layers_keep_labels_of_pandas():
    frame = pd.DataFrame([[1.0, 2, 3, 4], [5, 6, 7, 9]], index=["a", "b"], columns=list("wxyz"))
    softmax, glu = get("softmax"), get("glu")
    out = softmax(frame)
    pd.testing.assert_frame_equal(out, pd.DataFrame(softmax(frame.to_numpy()), frame.index, frame.columns))
    assert list(softmax.vjp(frame, out).columns) == list("wxyz")
    halved = glu(frame)
    assert list(halved.index) == ["a", "b"]
    assert list(halved.columns) == [0, 1]
    series = pd.Series([1.0, 2], index=["p", "q"], name="s")
    pd.testing.assert_series_equal(softmax(series), pd.Series(softmax([1.0, 2]), series.index, name="s"))
