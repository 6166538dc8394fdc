"""Activations on arrays: any shape and strides, float32 and float64, through the blocks that the trainer runs.

Small arrays go through a workspace whose addresses are known: asking NumPy for an address takes longer than computing a
few hundred numbers. Large ones are shared among threads; a block holds no lock. Every number is computed by itself, so
results depend neither on the size nor on the threads.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from gradsim.errors import UsageError, short
from gradsim.lanes import LANES, aligned_empty

if TYPE_CHECKING:
    from gradsim.activations.spec import Activation

# Numbers up to which copying takes less time than asking for addresses.
SMALL = 8192
# Numbers after which the time is looked at, and seconds of remaining work from which threads gain more than they cost.
PORTION = 1 << 16
WORTH_SHARING = 2e-3


def apply(act: Activation, z: object, output: str, out: np.ndarray | None = None, result: int = 0) -> tuple:
    """(value, slope) of a block of `act` over z; where only one result is wanted, both items are that one.

    `result = 1` wants the slope alone, `out` takes the one result that is wanted. A pandas Series or DataFrame comes
    back as one, a masked array with its mask, a single number as a NumPy number.
    """
    if type(z) is not np.ndarray and out is None:
        dressed = _dressed(z)
        if dressed is not None:
            return dressed(lambda part: apply(act, part, output, None, result))
    array = as_floats(z, act.name)
    if out is not None:
        check_out(out, array, act.name)
    runner = _runner(act, array.dtype, output, result)
    found = runner.large(array, out) if array.size > SMALL else runner.small(array)
    if out is not None:
        if array.size <= SMALL:
            out[...] = found[0]
        return out, out
    return (found[0], found[-1]) if array.ndim else (found[0][()], found[-1][()])


def as_floats(z: object, name: str) -> np.ndarray:
    """An array of float32 or float64 in the machine's byte order; UsageError for what is no real number."""
    try:
        array = np.asarray(z)
    except ValueError:  # lists of different lengths
        raise UsageError(f"{name}: cannot take {short(z)}; allowed: numbers, and arrays and lists of them") from None
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size in (4, 8):
        return array if array.dtype.isnative else array.astype(f"f{size}")
    if kind in "iub" or array.dtype == np.float16:
        return array.astype(np.float64)
    raise UsageError(f"{name}: cannot take an array of {array.dtype}; allowed: real numbers up to float64")


def check_out(out: object, array: np.ndarray, name: str) -> None:
    """Raise UsageError unless `out` can take results of the shape and precision of `array`."""
    if isinstance(out, np.ndarray):
        if out.shape == array.shape and out.dtype == array.dtype and out.flags.writeable:
            return
        got = f"{'' if out.flags.writeable else 'read-only '}{out.dtype} of shape {out.shape}"
    else:
        got = type(out).__name__
    raise UsageError(f"{name}: out must be a writeable {array.dtype} array of shape {array.shape}, got {got}")


# --- a block over arrays --------------------------------------------------------------------------


class _Workspace:
    """Inputs, values and slopes of a small array, at known addresses."""

    def __init__(self, dtype: np.dtype):
        self.inputs, *self.results = (aligned_empty(SMALL, dtype) for _ in range(3))
        self.inputs.fill(0)
        self.addresses = [_address(a) for a in (self.inputs, *self.results)]


_WORKSPACES: dict[np.dtype, list[_Workspace]] = {dtype: [] for dtype in LANES}


class _Runner:
    """A block with one setting's parameters. Runs of it may overlap in time."""

    def __init__(self, act: Activation, dtype: np.dtype, output: str, result: int):
        self.block = act.block(dtype, output)
        self.at = self.block.at
        self.lanes, self.itemsize = LANES[dtype], dtype.itemsize
        self.parameters = np.repeat(act.parameter_vector().astype(dtype), self.lanes)
        self.parameters_at = _address(self.parameters)
        self.wanted = (0, 1) if output == "value_and_slope" and result == 0 else (result,)
        self.spare = _WORKSPACES[dtype]

    def small(self, z: np.ndarray) -> list[np.ndarray]:
        """The wanted results of at most SMALL numbers; what fills up the last vector is not looked at."""
        try:
            work = self.spare.pop()
        except IndexError:  # other threads have them all
            work = _Workspace(z.dtype)
        size, shape = z.size, z.shape
        work.inputs[:size] = z.reshape(-1)
        self.at(*work.addresses, self.parameters_at, 1, -(-size // self.lanes), 0, 0)
        found = [work.results[i][:size].copy() for i in self.wanted]
        self.spare.append(work)
        return found if len(shape) == 1 else [r.reshape(shape) for r in found]

    def large(self, z: np.ndarray, out: np.ndarray | None) -> list[np.ndarray]:
        """The wanted results, straight from and to memory; into `out` where given."""
        if z.flags.f_contiguous and not z.flags.c_contiguous:
            return [r.T for r in self.large(z.T, None if out is None else out.T)]
        source = np.require(z, requirements="CA")
        results = [np.empty_like(source) for _ in self.wanted]
        if out is not None and out.flags.c_contiguous and out.flags.aligned:
            if _address(out) == _address(source) or not np.may_share_memory(source, out):
                results = [out]
        self._run(source.reshape(-1), results[0].reshape(-1), results[-1].reshape(-1))
        if out is not None and results[0] is not out:
            out[...] = results[0]
        return results

    def _run(self, z: np.ndarray, value: np.ndarray, slope: np.ndarray) -> None:
        """Over flat arrays. Where the slope alone is wanted it takes the value's place: a block writes it last."""
        whole = z.size // self.lanes
        addresses = [_address(a) for a in (z, value, slope)]

        def part(first: int, last: int) -> None:
            places = [a + first * self.lanes * self.itemsize for a in addresses]
            self.at(*places, self.parameters_at, 1, last - first, 0, 0)

        # The first portion shows what the others will take: with cheap functions memory sets the pace, not the cores.
        first = min(whole, PORTION // self.lanes)
        started = time.perf_counter()
        part(0, first)
        if (whole / first - 1) * (time.perf_counter() - started) < WORTH_SHARING:
            part(first, whole)
        else:
            ends = np.linspace(first, whole, 2 * _threads() + 1).astype(int).tolist()
            list(_pool().map(part, ends, ends[1:]))
        rest = whole * self.lanes
        if rest < z.size:
            for result, last in zip((value, slope), self.small(z[rest:]), strict=False):
                result[rest:] = last


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@functools.lru_cache(maxsize=512)
def _runner(act: Activation, dtype: np.dtype, output: str, result: int) -> _Runner:
    return _Runner(act, dtype, output, result)


def _threads() -> int:
    return os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_threads(), thread_name_prefix="gradsim-arrays")


# A forked process has none of the threads, and would wait for them.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


# --- pandas and masks -----------------------------------------------------------------------------


def _dressed(z: object) -> Callable | None:
    """For a Series, DataFrame or masked array: what applies a function to its numbers and makes the results alike."""
    # Whoever has one of these has imported the module.
    pandas, masked = sys.modules.get("pandas"), sys.modules.get("numpy.ma")
    if pandas is not None and isinstance(z, pandas.Series):
        return functools.partial(_over_series, z)
    if pandas is not None and isinstance(z, pandas.DataFrame):
        return functools.partial(_over_frame, z)
    if masked is not None and isinstance(z, masked.MaskedArray):
        return lambda of: tuple(masked.array(r, mask=masked.getmaskarray(z)) for r in of(z.data))
    return None


def _over_series(z, of: Callable) -> tuple:
    make = functools.partial(sys.modules["pandas"].Series, index=z.index, name=z.name, copy=False)
    if isinstance(z.dtype, np.dtype) or z.dtype.kind not in "fiub":
        return tuple(make(r) for r in of(z.to_numpy()))
    # Columns that may lack values, pandas' own or Arrow's: NaN on the way, missing again at the end.
    single = z.dtype.kind == "f" and getattr(z.dtype, "itemsize", 8) == 4
    found = [make(r) for r in of(z.to_numpy(np.float32 if single else np.float64, na_value=np.nan))]
    return tuple(r.astype(z.dtype) if z.dtype.kind == "f" else r for r in found)


def _over_frame(z, of: Callable) -> tuple:
    columns = []
    for i, name in enumerate(z.columns):
        try:
            columns.append(_over_series(z.iloc[:, i], of))
        except UsageError as error:
            raise UsageError(f"column {short(name)}: {error}") from None
    frames = [sys.modules["pandas"].DataFrame({i: c[k] for i, c in enumerate(columns)}, index=z.index) for k in (0, 1)]
    return tuple(frame.set_axis(z.columns, axis=1) for frame in frames)


def dressed_alike(z: object, result: np.ndarray) -> object:
    """The result as a Series or DataFrame with the labels of `z`, where it is one and has as many numbers."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(z, pandas.Series | pandas.DataFrame):
        return result
    if isinstance(z, pandas.Series):
        return pandas.Series(result, z.index if len(z) == len(result) else None, name=z.name)
    index, columns = (own if len(own) == n else None for own, n in zip((z.index, z.columns), result.shape, strict=True))
    return pandas.DataFrame(result, index, columns)
