"""The contraction against einsum: every remainder of every tile, all starts, shared and lanes, both precisions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gradsim import jit
from gradsim.engine.contraction import contract, contract_shared, contract_times, null
from gradsim.lanes import LANES, aligned_empty, pointer

# Tiles are 4x4 or 4x3, 8x2 or 4x2, 8x1, and as wide with one row: these leave every remainder of rows and columns.
ROWS = [*range(1, 10), 12, 13, 16, 17]
COLUMNS = [*range(1, 10), 11]
LENGTHS = [1, 2, 3, 7]
GUARD = 12345.0

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
every_start = pytest.mark.parametrize("start", ["none", "bias", "accumulate"])


@jit.device
def _start_of(c, start, given):
    """given 0: from zeros; 1: from `start`; 2: from what c holds."""
    first = null(pointer(c, 0))
    if given == 1:
        first = pointer(start, 0)
    elif given == 2:
        first = pointer(c, 0)
    return first


@jit.kernel
def _lanes(a, b, c, start, given, strides, sizes):
    at_a, at_b, at_c, first = pointer(a, 0), pointer(b, 0), pointer(c, 0), _start_of(c, start, given)
    a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n = strides
    m, n, k = sizes
    contract(at_a, at_b, at_c, first, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, m, n, k)


@jit.kernel
def _shared(a, b, c, start, given, strides, sizes):
    at_a, at_b, at_c, first = pointer(a, 0), pointer(b, 0), pointer(c, 0), _start_of(c, start, given)
    a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n = strides
    m, n, k = sizes
    contract_shared(at_a, at_b, at_c, first, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, m, n, k)


@jit.kernel
def _times(a, b, c, factor, strides, sizes):
    at_a, at_b, at_c, by = pointer(a, 0), pointer(b, 0), pointer(c, 0), pointer(factor, 0)
    a_m, a_k, b_k, b_n, c_m, c_n = strides
    m, n, k = sizes
    contract_times(at_a, at_b, at_c, by, a_m, a_k, b_k, b_n, c_m, c_n, 0, 0, m, n, k)


KERNELS = {"lanes": _lanes, "shared": _shared}


def strides_of(array, order):
    """Strides in elements of the leading axes, in the order asked for."""
    return tuple(array.strides[axis] // array.itemsize for axis in order)


def flat(array):
    out = aligned_empty(array.size, array.dtype)
    out[...] = array.ravel()
    return out


def run(kind, a, b, c, bias, start, transposed=(False, False)):
    """c[m, n] = start + sum_k a[m, k] b[k, n]; a operand that is stored transposed is given so to the kernel."""
    (rows, length), columns = a.shape[:2], b.shape[1]
    stored_a = a.swapaxes(0, 1).copy() if transposed[0] else a
    stored_b = b.swapaxes(0, 1).copy() if transposed[1] else b
    a_strides = strides_of(stored_a, (1, 0) if transposed[0] else (0, 1))
    b_strides = strides_of(stored_b, (1, 0) if transposed[1] else (0, 1))
    c_strides = strides_of(c, (0, 1))
    size = c.shape[2]
    start_strides = c_strides if start == "accumulate" else (0, size)
    given = ["none", "bias", "accumulate"].index(start)
    guarded = aligned_empty(c.size + 32, c.dtype)
    guarded[: c.size], guarded[c.size :] = c.ravel(), GUARD
    strides = (*a_strides, *b_strides, *c_strides, *start_strides)
    KERNELS[kind](flat(stored_a), flat(stored_b), guarded, flat(bias), given, strides, (rows, columns, length))
    assert (guarded[c.size :] == GUARD).all()
    return guarded[: c.size].reshape(c.shape)


def operands(kind, rows, columns, length, dtype, draw):
    size = LANES[np.dtype(dtype)]
    a = draw((rows, length) if kind == "shared" else (rows, length, size))
    return [
        x.astype(dtype) for x in (a, draw((length, columns, size)), draw((rows, columns, size)), draw((columns, size)))
    ]


def wanted(kind, a, b, c, bias, start):
    a, b, c, bias = (x.astype(np.float64) for x in (a, b, c, bias))
    product = np.einsum("mk,knl->mnl" if kind == "shared" else "mkl,knl->mnl", a, b)
    return product + {"none": 0, "bias": bias, "accumulate": c}[start]


@every_dtype
@every_start
@pytest.mark.parametrize("kind", KERNELS)
def test_whole_numbers_come_out_exact_in_every_shape(kind, start, dtype):
    """Small whole numbers have exact sums in any order, so that nothing may differ at all."""
    random = np.random.default_rng(0)
    for rows, columns, length in itertools.product(ROWS, COLUMNS, LENGTHS):
        arrays = operands(kind, rows, columns, length, dtype, lambda shape: random.integers(-8, 9, shape))
        got = run(kind, *arrays, start)
        np.testing.assert_array_equal(got, wanted(kind, *arrays, start), err_msg=f"{rows} x {columns}, length {length}")


@every_dtype
def test_a_factor_multiplies_what_comes_out(dtype):
    random = np.random.default_rng(5)
    for rows, columns, length in itertools.product(ROWS, COLUMNS, (1, 3)):
        a, b, c, _ = operands("lanes", rows, columns, length, dtype, lambda shape: random.integers(-8, 9, shape))
        factor, out = random.integers(-8, 9, c.shape).astype(dtype), flat(c)
        strides = (*strides_of(a, (0, 1)), *strides_of(b, (0, 1)), *strides_of(c, (0, 1)))
        _times(flat(a), flat(b), out, flat(factor), strides, (rows, columns, length))
        np.testing.assert_array_equal(out.reshape(c.shape), wanted("lanes", a, b, c, 0 * c[0], "none") * factor)


@every_dtype
@pytest.mark.parametrize("transposed", list(itertools.product([False, True], repeat=2)), ids=str)
@pytest.mark.parametrize("kind", KERNELS)
def test_operands_may_be_stored_transposed(kind, transposed, dtype):
    """As the gradient takes h, and the backward pass W."""
    random = np.random.default_rng(1)
    for rows, columns, length in [(1, 1, 1), (5, 7, 3), (8, 3, 9), (13, 4, 2), (4, 8, 16)]:
        arrays = operands(kind, rows, columns, length, dtype, lambda shape: random.integers(-8, 9, shape))
        got = run(kind, *arrays, "accumulate", transposed)
        np.testing.assert_array_equal(got, wanted(kind, *arrays, "accumulate"))


@every_dtype
@every_start
@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize(("rows", "columns", "length"), [(33, 17, 1000), (9, 10, 129), (3, 5, 31)])
def test_long_sums_are_as_accurate_as_their_length_allows(kind, rows, columns, length, start, dtype):
    random = np.random.default_rng(2)
    arrays = operands(kind, rows, columns, length, dtype, random.standard_normal)
    got, exact = run(kind, *arrays, start), wanted(kind, *arrays, start)
    scale = wanted(kind, *(np.abs(x) for x in arrays), start)
    assert got.dtype == dtype
    # One rounding a fused multiply-add, each of half an ulp of a partial sum.
    assert (np.abs(got - exact) <= (length + 1) / 2 * np.finfo(dtype).eps * scale).all()
    assert len(np.unique(got)) > got.size / 2


@every_dtype
def test_one_lane_knows_nothing_of_the_others(dtype):
    random = np.random.default_rng(3)
    a, b, c, bias = operands("lanes", 9, 7, 11, dtype, random.standard_normal)
    before = run("lanes", a, b, c, bias, "bias")
    for array, value in ((a, np.nan), (b, np.inf), (bias, -np.inf)):
        array[..., 3] = value
    after = run("lanes", a, b, c, bias, "bias")
    others = np.arange(c.shape[2]) != 3
    np.testing.assert_array_equal(after[..., others], before[..., others])
    assert np.isnan(after[..., 3]).all()


@every_dtype
def test_shared_and_lanes_agree_bit_for_bit(dtype):
    random = np.random.default_rng(4)
    a, b, c, bias = operands("shared", 10, 9, 65, dtype, random.standard_normal)
    spread = np.repeat(a[:, :, None], c.shape[2], axis=2)
    for start in ("none", "bias", "accumulate"):
        shared, lanes = run("shared", a, b, c, bias, start), run("lanes", spread, b, c, bias, start)
        np.testing.assert_array_equal(shared, lanes)
