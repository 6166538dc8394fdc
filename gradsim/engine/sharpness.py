"""Sharpness: the largest eigenvalue of the Hessian of the training loss, of eight networks at a time.

Lanczos's method (1950) builds, a product with the Hessian at a time, a tridiagonal matrix whose largest eigenvalue, the
Ritz value, tends to the Hessian's from below. Only that eigenvalue is wanted, so no vectors are kept but three: what is
lost without orthogonalizing against the others are repetitions of eigenvalues already found (Paige 1980). It needs a
fraction of the products that power iteration does, and finds the largest number whatever the most negative one is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradsim import jit
from gradsim.engine.hessian import hessian_product, passes, rows_at_once
from gradsim.engine.network import Architecture, Group, copy
from gradsim.engine.random import STREAM_DIRECTIONS, fill
from gradsim.lanes import aligned_empty, count_true, load, maximum, pointers, spread, sqrt, store, where
from gradsim.losses import LOSSES

if TYPE_CHECKING:
    from gradsim.engine.train import Networks, Samples, Task

# A Ritz value has settled when its residual, which bounds its distance from an eigenvalue and whose square bounds it
# where no other is near, is this share of it, or of the whole spectrum's reach.
TOLERANCE, NOTHING = 1e-4, 1e-8
# Products with the Hessian: at least so many, for a start that hardly holds the largest eigenvalue's vector passes for
# settled without it; at most so many.
LEAST_PRODUCTS, MOST_PRODUCTS = 10, 200
# Halvings of an interval that is no longer than the last off-diagonal element.
_HALVINGS = 45


# --- the tridiagonal matrix -----------------------------------------------------------------------


@jit.device
def _is_above(x, diagonal, off, count):
    """Whether x lies above every eigenvalue: all pivots of x - T are positive."""
    pivot = x - load(diagonal, 0)
    above = pivot > 0
    for i in range(1, count):
        b = load(off, (i - 1) * 8)
        pivot = x - load(diagonal, i * 8) - b * b / pivot
        above = above & (pivot > 0)
    return above


@jit.device
def _largest_eigenvalue(diagonal, off, count, low, high):
    """By bisection, from below `high`, which is not under it."""
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = _is_above(middle, diagonal, off, count)
        low, high = where(above, low, middle), where(above, middle, high)
    return high


@jit.device
def _last_component(value, diagonal, off, count):
    """Of the normalized eigenvector of T's largest eigenvalue: the last pivot's slope is one over its square."""
    pivot, slope = value - load(diagonal, 0), spread(1, diagonal)
    for i in range(1, count):
        b = load(off, (i - 1) * 8)
        slope = 1 + b * b * slope / (pivot * pivot)
        pivot = value - load(diagonal, i * 8) - b * b / pivot
    return 1 / sqrt(slope)


# --- Lanczos --------------------------------------------------------------------------------------


@jit.device
def _dot(a, b):
    total = spread(0, a)
    for i in range(0, a.size, 8):
        total = total + load(a, i) * load(b, i)
    return total


@jit.device
def _subtract(a, factor, b):
    """a = a - factor b."""
    for i in range(0, a.size, 8):
        store(a, i, load(a, i) - factor * load(b, i))


@jit.device
def _divide(a, length):
    """a = a / length, 0 where that is 0."""
    factor = where(length == 0, 0, 1 / length)
    for i in range(0, a.size, 8):
        store(a, i, load(a, i) * factor)


@jit.device
def _largest_of_one(layers, loss, group, samples, rows, capacity, start, vectors, matrix, p, stop):
    """The largest eigenvalue of the Hessian in each lane: the last estimate where it has not settled, NaN where
    numbers are not finite."""
    v, before, product = vectors[0], vectors[1], vectors[2]
    diagonal, off = matrix[0], matrix[1]
    copy(start, 0, v, 0, v.size)
    _divide(v, sqrt(_dot(v, v)))
    zero = spread(0, v)
    found, reach, last = zero, zero, zero
    settled = zero != zero
    count = 0
    while count < MOST_PRODUCTS and count_true(settled) < 8 and not stop[0]:
        hessian_product(layers, loss, group, samples, rows, capacity, count > 0, v, product, p)
        if count > 0:
            _subtract(product, last, before)
        on = _dot(v, product)
        _subtract(product, on, v)
        store(diagonal, count * 8, on)
        low = on if count == 0 else maximum(found, on)
        value = _largest_eigenvalue(diagonal, off, count + 1, low, low + last)
        last = sqrt(_dot(product, product))
        store(off, count * 8, last)
        count += 1
        reach = maximum(reach, abs(on) + last)
        residual = last * _last_component(value, diagonal, off, count)
        near = residual <= NOTHING * reach
        if count >= LEAST_PRODUCTS:
            near = near | (residual <= TOLERANCE * abs(value))
        lost = ~(last - last == 0)
        found = where(settled, found, where(lost, np.nan, value))
        settled = settled | near | lost
        _divide(product, last)
        v, before, product = product, v, before
    return found


@jit.kernel
def _sharpness(layers, loss, moments, group, samples, rows, capacity, start, vectors, matrix, p, out, stop):
    """out[moments, 8], of eight networks [moments, P * 8]; True unless stopped."""
    p = pointers(p)
    for i in range(moments.shape[0]):
        here = pointers(Group(moments[i], group.parameters, group.seeds, group.drawn, group.loss))
        found = _largest_of_one(layers, loss, here, samples, rows, capacity, start, vectors, matrix, p, stop)
        if stop[0]:
            return False
        store(out[i], 0, found)
    return True


# --- from arrays ----------------------------------------------------------------------------------


def _probe_set(task: Task) -> Samples:
    """The probe set in float64."""
    data, rows, widths = task.train, task.probe_samples, task.architecture.widths
    features = np.ascontiguousarray(data.features[: rows * widths[0]], np.float64)
    targets = np.ascontiguousarray(data.targets[: rows * widths[-1]], np.float64)
    return data._replace(features=features, targets=targets)


def _directions(architecture: Architecture, campaign_seed: int, key: np.ndarray) -> np.ndarray:
    """Where Lanczos's method starts [P * 8]: normal numbers by the seed, 0 for parameters that are not trained."""
    count = architecture.parameter_count
    out = aligned_empty((count + 1) * 8, np.float64)
    fill(campaign_seed, key, 0, STREAM_DIRECTIONS, count, True, out)
    trained = np.ones(count, bool)
    for layer, act in zip(architecture.layers(np.float64), architecture.activations, strict=False):
        for unit in range(layer["units"] if act.learned else 0):
            first = layer["learned"] + unit * len(act.parameters)
            trained[first : first + len(act.parameters)] = [name in act.learned for name in act.parameters]
    return out[: count * 8] * np.repeat(trained, 8)


def measure_sharpness(task: Task, networks: Networks, snapshots: np.ndarray, stop: np.ndarray, out: np.ndarray) -> bool:
    """Fill `out` [groups, moments, L] from weights at these moments, [groups, moments, P * L]; False where stopped.

    Of the mean loss of the task's probe set in all that is trained. Networks of float32 are taken as they are and
    treated in float64.
    """
    architecture, loss, double = task.architecture, LOSSES[task.loss].block(np.float64), np.float64
    layers, samples = architecture.layers(double), _probe_set(task)
    capacity, count = rows_at_once(architecture, task.probe_samples), architecture.parameter_count
    scratch = passes(architecture, capacity)
    vectors, matrix = aligned_empty((3, count * 8), double), aligned_empty((2, MOST_PRODUCTS * 8), double)
    found = aligned_empty((out.shape[1], 8), double)
    for group in range(len(out)):
        for first in range(0, out.shape[2], 8):

            def lanes(values: np.ndarray, first: int = first) -> np.ndarray:
                mine = values.reshape(*values.shape[:-1], -1, out.shape[2])[..., first : first + 8]
                return np.ascontiguousarray(mine, double).reshape(*values.shape[:-1], -1)

            moments, key = lanes(snapshots[group]), np.ascontiguousarray(networks.seeds[group, first : first + 8])
            parameters, numbers = lanes(networks.parameters[group]), lanes(networks.loss[group])
            shared = Group(moments[0], parameters, key, key, numbers)
            start = _directions(architecture, task.campaign_seed, key)
            if not _sharpness(
                layers,
                loss.address,
                moments,
                shared,
                samples,
                task.probe_samples,
                capacity,
                start,
                vectors,
                matrix,
                scratch,
                found,
                stop,
            ):
                return False
            out[group, :, first : first + 8] = found
    return True
