"""Running a formula on lane vectors in tests: in full width, and on lanes of one."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from gradsim import jit
from gradsim.lanes import LANES, lane, lane_count, single, store, tuple_loader


@functools.cache
def _kernels(formula: Callable, inputs: int) -> tuple[Callable, Callable]:
    inlined = jit.formula(formula)
    load_inputs = tuple_loader(inputs)

    @jit.kernel
    def wide(x, out):
        """x flat [vectors, inputs, lanes], out flat [outputs, vectors, lanes]."""
        size = lane_count(x)
        vectors = x.size // (inputs * size)
        for i in range(vectors):
            results = inlined(*load_inputs(x, i * inputs * size))
            for k in range(len(results)):
                store(out, (k * vectors + i) * size, results[k])

    if inputs == 1:

        @jit.kernel
        def narrow(x, out):
            for i in range(x.shape[1]):
                results = inlined(single(x[0, i]))
                for k in range(len(results)):
                    out[k, i] = lane(results[k], 0)

    else:

        @jit.kernel
        def narrow(x, out):
            for i in range(x.shape[1]):
                results = inlined(single(x[0, i]), single(x[1, i]), single(x[2, i]))
                for k in range(len(results)):
                    out[k, i] = lane(results[k], 0)

    return wide, narrow


def on_lanes(formula: Callable, outputs: int, *inputs: np.ndarray) -> np.ndarray:
    """[outputs, n]: `formula(*lanes) -> tuple of lanes` over flat inputs, in full-width vectors."""
    dtype, n = inputs[0].dtype, inputs[0].size
    size = LANES[dtype]
    padded = np.ones((len(inputs), -(-n // size) * size), dtype)
    padded[:, :n] = inputs
    vectors = np.ascontiguousarray(padded.reshape(len(inputs), -1, size).swapaxes(0, 1))
    out = np.empty((outputs, padded.shape[1]), dtype)
    _kernels(formula, len(inputs))[0](vectors.reshape(-1), out.reshape(-1))
    return out[:, :n]


def on_singles(formula: Callable, outputs: int, *inputs: np.ndarray) -> np.ndarray:
    """The same number by number, on lanes of one."""
    out = np.empty((outputs, inputs[0].size), inputs[0].dtype)
    _kernels(formula, len(inputs))[1](np.stack(inputs), out)
    return out
