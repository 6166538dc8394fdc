"""The engine on plain arrays: for benchmarks, and for anyone who brings weights and batches of their own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from gradsim.activations import get
from gradsim.engine.network import Architecture, lanes_array
from gradsim.engine.train import Networks, Samples, Task, saturation_limits
from gradsim.lanes import LANES, aligned_empty
from gradsim.losses import LOSSES
from gradsim.optimizers import OPTIMIZERS

# Chunks a thread: enough that threads finish together.
CHUNKS = 4
# The kernels are compiled for arrays that can be written to.
REQUIRED = ("C", "W")


def train_arrays(
    weights: Sequence[tuple[np.ndarray, np.ndarray]],
    X: np.ndarray,
    y: np.ndarray,
    activation: str,
    loss: str,
    learning_rate: np.ndarray,
    threads: int = 1,
    optimizer: str = "sgd",
) -> tuple[list[tuple[np.ndarray, np.ndarray]], float]:
    """Train networks on a given stream of batches, by an optimizer with its defaults; nothing is recorded.

    weights: `(W [networks, fan_in, fan_out], b [networks, fan_out])` a layer, not changed; the precision is theirs.
    X [steps, batch, features]; y int [steps, batch] labels or float [steps, batch, outputs]; learning_rate [networks].
    Returns the trained weights in the same form, and the seconds that the kernels took.
    """
    dtype = weights[0][0].dtype
    widths = (weights[0][0].shape[1], *(W.shape[2] for W, _ in weights))
    task = task_of(Architecture(widths, (get(activation),) * (len(widths) - 2)), dtype, X, y, loss, optimizer)
    networks = networks_of(task, weights, learning_rate)
    groups = len(networks.weights)
    bounds = np.linspace(0, groups, min(groups, CHUNKS * threads) + 1).round().astype(int)
    works = [task.workspace() for _ in range(threads)]
    parts = [_part(networks, a, b) for a, b in pairwise(bounds)]
    records = [task.records(len(p.weights)) for p in parts]
    stop = np.zeros(1, np.int64)

    def work(thread: int) -> None:
        for part, record in list(zip(parts, records, strict=True))[thread::threads]:
            task.run(part, record, works[thread], stop)

    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(work, range(threads)))
        seconds = time.perf_counter() - start
    return _weights(task, networks, len(learning_rate)), seconds


def task_of(
    architecture: Architecture, dtype: np.dtype, X: np.ndarray, y: np.ndarray, loss: str, optimizer: str = "sgd"
) -> Task:
    """The task of training on a stream of batches, as `train_arrays` takes them, with nothing recorded."""
    steps, batch, _ = X.shape
    labels = y.ndim == 2
    empty = np.empty(0, dtype)
    # One batch for all steps needs no gathering.
    one = steps == 1 or (X.strides[0] == 0 and y.strides[0] == 0)
    X, y = (X[:1], y[:1]) if one else (X, y)
    return Task(
        architecture=architecture,
        dtype=dtype,
        loss=loss,
        optimizer=optimizer,
        train=Samples(
            np.require(X, dtype, REQUIRED).reshape(-1),
            np.require(y, np.int64, REQUIRED).reshape(-1) if labels else np.empty(0, np.int64),
            empty if labels else np.require(y, dtype, REQUIRED).reshape(-1),
        ),
        test=Samples(empty, np.empty(0, np.int64), empty),
        classes=0,
        batches=np.empty((steps, 0), np.int64) if one else np.arange(steps * batch).reshape(steps, batch),
        checkpoints=np.zeros(0, np.int64),
        probe_samples=0,
        statistics=False,
    )


def networks_of(task: Task, weights: Sequence[tuple[np.ndarray, np.ndarray]], rates: np.ndarray) -> Networks:
    """Networks in groups, from weights and learning rates as `train_arrays` takes them, the rest at its defaults."""
    n, architecture, dtype = len(rates), task.architecture, task.dtype
    starts = [
        np.tile(a.parameter_vector(), units)
        for a, units in zip(architecture.activations, architecture.widths[1:-1], strict=True)
    ]
    parts = []
    for i, layer in enumerate(weights):
        parts += [part.reshape(n, -1) for part in layer]
        if architecture.learned[i]:
            parts.append(np.tile(starts[i].astype(dtype), (n, 1)))
    flat = np.concatenate(parts, axis=1)
    lanes = lanes_array(flat, dtype)
    stored = aligned_empty((len(lanes), lanes.shape[1] * lanes.shape[2]), dtype)
    stored[...] = lanes.reshape(len(lanes), -1)
    defaults = [parameter.default for parameter in OPTIMIZERS[task.optimizer].parameters.values()]
    given = np.empty((n, architecture.depth, 1 + len(defaults)), dtype)
    given[:, :, 0], given[:, :, 1:] = np.asarray(rates, dtype)[:, None], defaults
    numbers = lanes_array(given, dtype)
    numbers = numbers.reshape(*numbers.shape[:2], -1)
    values = [v for a in architecture.activations for v in a.parameter_vector()] or [0.0]
    parameters = np.tile(np.repeat(np.array(values, dtype), LANES[dtype]), (len(lanes), 1))
    limits = np.zeros((len(lanes), len(architecture.activations), LANES[dtype]))
    seeds = np.arange(len(lanes) * LANES[dtype], dtype=np.uint64).reshape(len(lanes), -1).view(np.float64)
    own = np.array(list(LOSSES[task.loss].defaults.values()) or [0.0], dtype)
    return Networks(
        stored,
        parameters,
        numbers,
        saturation_limits(limits, limits, dtype),
        seeds,
        np.empty((len(lanes), 0), dtype),
        np.tile(np.repeat(own, LANES[dtype]), (len(lanes), 1)),
    )


def _part(networks: Networks, first: int, last: int) -> Networks:
    return Networks(*(a[first:last] for a in networks))


def _weights(task: Task, networks: Networks, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    size = LANES[task.dtype]
    by_run = np.moveaxis(networks.weights.reshape(len(networks.weights), -1, size), -1, 1).reshape(
        -1, task.architecture.parameter_count
    )
    layers = task.architecture.split(by_run[:n].T)
    return [(np.moveaxis(W, -1, 0), np.moveaxis(b, -1, 0)) for W, b in layers]
