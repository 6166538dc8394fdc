"""Lane vectors: every operator against NumPy's, memory, integer lanes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from exactly import ulp_errors
from lane_kernels import on_lanes, on_singles
from mpmath import mp

from gradsim import jit, lanes
from gradsim.lanes import (
    LANES,
    aligned_empty,
    as_lanes,
    bits,
    copysign,
    count_true,
    floor,
    fma,
    from_bits,
    group_count,
    lane,
    lane_count,
    load,
    load_wide,
    maximum,
    minimum,
    narrow,
    pointer,
    pointers,
    rint,
    single,
    spread,
    sqrt,
    store,
    tuple_loader,
    where,
    widen,
)

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
every_width = pytest.mark.parametrize("run", [on_lanes, on_singles], ids=["full width", "lanes of one"])


def special(dtype):
    """Every kind of number: zeros, subnormals, normals, limits, infinities, NaN."""
    limits = np.finfo(dtype)
    sizes = [0.0, limits.smallest_subnormal, limits.smallest_normal, 0.3, 0.5, 1.0, 1.5, 2.5, 1e6 + 0.5, limits.max]
    return np.array([s * v for v in (*sizes, np.inf) for s in (1, -1)] + [np.nan], dtype)


def triples(dtype):
    """All pairs of special numbers with a third that varies, and as many random numbers."""
    x, y = (a.ravel() for a in np.meshgrid(special(dtype), special(dtype)))
    random = np.random.default_rng(0).normal(size=(3, x.size)).astype(dtype)
    mixed = np.stack([x, y, np.roll(x, 5)])
    return np.concatenate([mixed, random], axis=1)


# --- operators --------------------------------------------------------------------------


def operators(x, y, z):
    return (
        x + y,
        x - y,
        x * y,
        x / y,
        -x,
        abs(x),
        x + 1,
        0.1 + x,
        x - 0.1,
        3 - x,
        x * 0.1,
        x / 3,
        1 / x,
        x + True,
        sqrt(x),
        floor(x),
        rint(x),
        minimum(x, y),
        maximum(x, y),
        minimum(x, 0),
        maximum(0.5, x),
        copysign(x, y),
        copysign(2, y),
    )


def choices(x, y, z):
    return (
        where(x < y, x, z),
        where(x <= y, x, z),
        where(x > y, x, z),
        where(x >= y, x, z),
        where(x == y, x, z),
        where(x != y, x, z),
        where(x > 0, 1, 0),
        where(x == x, z, 0.1),
        where((x < y) & (y < z), x, z),
        where((x < y) | (y < z), x, z),
        where((x < y) ^ (y < z), x, z),
        where(~(x < y), x, z),
        where(0.5 > x, x, z),  # noqa: SIM300
        where(x < 0.1, where(y < 0.1, 1, x), -2),
    )


def numbers_as(function, dtype, *inputs):
    """The formula on NumPy arrays, its bare numbers in the inputs' precision."""
    with np.errstate(all="ignore"):
        return np.array([np.broadcast_to(r, inputs[0].shape).astype(dtype) for r in function(*inputs)])


@every_dtype
@every_width
@pytest.mark.parametrize(("function", "outputs"), [(operators, 23), (choices, 14)], ids=["arithmetic", "comparisons"])
def test_operators_are_those_of_numpy(function, outputs, run, dtype):
    x, y, z = triples(dtype)
    got, wanted = run(function, outputs, x, y, z), numbers_as(function, dtype, x, y, z)
    np.testing.assert_array_equal(got, wanted)
    # Signs of zeros too: 0 and -0 are equal, and 1/z is not. Which zero a minimum of both zeros is, is left open.
    signed = np.isfinite(wanted)
    if function is operators:
        signed[17:20] &= x != 0
    np.testing.assert_array_equal(np.signbit(got)[signed], np.signbit(wanted)[signed])


def fused(x, y, z):
    return fma(x, y, z), fma(x, 0.1, z), fma(3, y, -1)


@every_dtype
@every_width
def test_fma_rounds_once(run, dtype):
    x, y, z = np.random.default_rng(1).normal(size=(3, 1000)).astype(dtype)
    # x y + z cancels almost all digits: with two roundings nothing of the result would be right.
    z[::2] = -(x * y)[::2]
    got = run(fused, 3, x, y, z)
    tenth = mp.mpf(float(dtype(0.1)))
    for result, formula in zip(
        got,
        (lambda a, b, c: a * b + c, lambda a, b, c: a * tenth + c, lambda a, b, c: 3 * b - 1),
        strict=True,
    ):
        with mp.workdps(60):
            wanted = [formula(*(mp.mpf(float(v)) for v in row)) for row in zip(x, y, z, strict=True)]
        assert ulp_errors(result, wanted).max() <= 0.5
    assert np.abs(got[0][::2]).max() < np.finfo(dtype).eps * np.abs(x * y).max()
    special_row = [np.array([v], dtype) for v in (np.inf, 0.0, 1.0)]
    assert np.isnan(run(fused, 3, *special_row)[0, 0])


def literal(x, y, z):
    return (x + 0.1 - x, (x * 0 + 16777216.0) + 1 - 16777216.0)


@every_dtype
def test_literals_take_the_precision_of_the_lanes(dtype):
    got = on_lanes(literal, 2, *np.zeros((3, 5), dtype))
    np.testing.assert_array_equal(got[0], np.full(5, 0.1, dtype))
    # 2^24 + 1 is no float32.
    np.testing.assert_array_equal(got[1], np.full(5, 0 if dtype is np.float32 else 1, dtype))


@jit.kernel
def _counts(x, y, out):
    size = lane_count(x)
    for i in range(0, x.size, size):
        a, b = load(x, i), load(y, i)
        out[i // size, 0] = count_true(a < b)
        out[i // size, 1] = count_true((a < b) | (a == b))
        out[i // size, 2] = count_true(a == a)
        out[i // size, 3] = count_true(~(a == a))


@jit.kernel
def _count_single(x, out):
    for i in range(x.size):
        out[i] = count_true(single(x[i]) < 0)


@every_dtype
def test_count_true_counts_every_lane(dtype):
    size = LANES[np.dtype(dtype)]
    x, y = np.random.default_rng(2).integers(0, 3, size=(2, 50 * size)).astype(dtype)
    x[::7] = np.nan
    got = np.empty((50, 4), np.int64)
    _counts(x, y, got)
    x, y = x.reshape(50, size), y.reshape(50, size)
    np.testing.assert_array_equal(got, np.stack([c.sum(axis=1) for c in (x < y, x <= y, x == x, x != x)], axis=1))
    assert len(np.unique(got[:, 0])) > 3
    out = np.empty(3, np.int64)
    _count_single(np.array([-1, 0, np.nan], dtype), out)
    assert out.tolist() == [1, 0, 0]


# --- integer lanes ----------------------------------------------------------------------


def integer_operators(x, y, z):
    a, b = bits(x), bits(y)
    return (
        from_bits(a + b),
        from_bits(a - b),
        from_bits(a * b),
        from_bits(a << 5),
        from_bits(a >> 5),
        from_bits(a & b),
        from_bits(a | b),
        from_bits(a ^ b),
        from_bits(~a),
        from_bits(a + 0x7FFFFFFF),
        from_bits(0xFFFFFFFF - a),
        from_bits(where(a < b, a, b)),
        from_bits(where(a >= b, a, 7)),
        from_bits(where(a == b, a, a ^ b)),
        where(a > b, x, y),
    )


def words(dtype, seed):
    """Bit patterns of all kinds, NaN's left out: arithmetic on NaN's payload is the processor's affair."""
    unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
    return np.random.default_rng(seed).integers(0, np.iinfo(unsigned).max, 400, unsigned, endpoint=True)


@every_dtype
@every_width
def test_integer_lanes_are_unsigned_and_wrap(run, dtype):
    a, b = words(dtype, 3), words(dtype, 4)
    b[::9] = a[::9]
    x, y = a.view(dtype), b.view(dtype)
    got = run(integer_operators, 15, x, y, x).view(a.dtype)
    low = a.dtype.type
    with np.errstate(over="ignore"):
        wanted = [
            a + b,
            a - b,
            a * b,
            a << low(5),
            a >> low(5),
            a & b,
            a | b,
            a ^ b,
            ~a,
            a + low(0x7FFFFFFF),
            low(0xFFFFFFFF) - a,
            np.where(a < b, a, b),
            np.where(a >= b, a, low(7)),
            np.where(a == b, a, a ^ b),
            np.where(a > b, a, b),
        ]
    np.testing.assert_array_equal(got, np.array(wanted))


# --- memory -----------------------------------------------------------------------------


@jit.kernel
def _move(source, at, out, to):
    store(out, to, load(source, at) + 1)


@jit.kernel
def _move_by_pointer(source, at, out, to):
    store(pointer(out, to), 0, load(pointer(source, at), 0) + 1)


class _Places(NamedTuple):
    source: np.ndarray
    first: int
    names: np.ndarray  # of no lanes: stays an array
    out: np.ndarray


@jit.kernel
def _move_by_pointers(places, at, to):
    here = pointers(places)
    store(here.out, to, load(here.source, at) + here.first)
    return here.names.size


def _move_in_a_tuple(source, at, out, to):
    assert _move_by_pointers(_Places(source, 1, np.arange(7), out), at, to) == 7


@every_dtype
@pytest.mark.parametrize(
    "move", [_move, _move_by_pointer, _move_in_a_tuple], ids=["array", "pointer", "tuple of pointers"]
)
@pytest.mark.parametrize(("at", "to"), [(0, 0), (3, 1), (16, 7)])
def test_load_and_store_touch_exactly_their_lanes(move, at, to, dtype):
    size = LANES[np.dtype(dtype)]
    source, out = np.arange(50, dtype=dtype), np.full(40, -1, dtype)
    move(source, at, out, to)
    wanted = np.full(40, -1, dtype)
    wanted[to : to + size] = np.arange(at, at + size) + 1
    np.testing.assert_array_equal(out, wanted)


@jit.kernel
def _other_widths(x, wide, out32, out64, numbers):
    v = load(x, 0)
    size = lane_count(x)
    doubled = load_wide(wide, 0, v) + widen(v)
    store(out64, 0, doubled)
    store(out32, 0, narrow(doubled, v) + spread(2.5, x) + as_lanes(1, v) + as_lanes(v, v))
    a, b, c = tuple_loader_of_3(x, size)
    store(out32, size, a + 10 * b + 100 * c)
    for i in range(size):
        numbers[i] = lane(v, i)


tuple_loader_of_3 = tuple_loader(3)


@every_dtype
def test_wide_lanes_tuples_and_single_lanes(dtype):
    size = LANES[np.dtype(dtype)]
    x = np.random.default_rng(5).normal(size=4 * size).astype(dtype)
    wide = np.random.default_rng(6).normal(size=size)
    narrowed, widened, numbers = np.empty(2 * size, dtype), np.empty(size), np.empty(size, dtype)
    _other_widths(x, wide, narrowed, widened, numbers)
    v = x[:size]
    np.testing.assert_array_equal(widened, wide + v.astype(np.float64))
    np.testing.assert_array_equal(narrowed[:size], (((wide + v).astype(dtype) + dtype(2.5)) + 1) + v)
    a, b, c = x[size:].reshape(3, size)
    np.testing.assert_allclose(narrowed[size:], a + 10 * b + 100 * c, rtol=1e-6 if dtype is np.float32 else 1e-14)
    np.testing.assert_array_equal(numbers, v)


@pytest.mark.parametrize("shape", [0, 1, 17, (3, 5), (2, 3, 16)], ids=str)
@every_dtype
def test_aligned_empty_is_aligned_and_of_that_shape(shape, dtype):
    made = [aligned_empty(shape, dtype) for _ in range(5)]
    for array in made:
        assert array.size == 0 or array.ctypes.data % 64 == 0
        assert array.shape == ((shape,) if isinstance(shape, int) else shape)
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        array.fill(1)


def test_group_count_rounds_up():
    for dtype, size in LANES.items():
        counts = (0, 1, size, size + 1, 10 * size)
        assert [group_count(n, dtype) for n in counts] == [0, 1, 1, 2, 10]
    # Random numbers and Hessians are made by eights; float32 has two registers' worth or one.
    assert LANES[np.dtype("float64")] == 8
    assert LANES[np.dtype("float32")] in (8, 16)


def test_every_public_name_exists_and_has_a_docstring_where_it_is_a_function():
    for name in lanes.__all__:
        value = getattr(lanes, name)
        if callable(value):
            assert value.__doc__, name
