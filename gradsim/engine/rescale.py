"""Initial weights that look at data: a layer at a time, scaled by what its pre-activations are on some samples.

Eight networks at a time in float64; random parameters of activations are at their mean, as in every evaluation.
"""

from __future__ import annotations

import numpy as np

from gradsim import jit
from gradsim.engine.contraction import contract, contract_shared, null
from gradsim.engine.network import call_activation
from gradsim.lanes import aligned_empty, count_true, load, pointer, spread, sqrt, store, where

METHODS = ("lsuv", "data_dependent")
# The first training samples that networks are scaled on, and how many numbers of a layer a network may hold for them.
SAMPLES, MOST_ACTIVATIONS = 256, 1_048_576
# A unit whose pre-activations spread by less than this share of their size is constant but for rounding.
_CONSTANT = 1e-10


def sample_count(widest: int) -> int:
    """How many samples networks are scaled on, of at most `widest` pre-activations or units in a layer."""
    return min(SAMPLES, max(1, MOST_ACTIVATIONS // widest))


@jit.device
def _preactivations(layer, index, trained, x, h, z, rows):
    """z = h W + b of one layer, or x W + b of the first, whose data all lanes share."""
    m, n = layer.fan_in, layer.fan_out
    w, target = pointer(trained, layer.weights * 8), pointer(z, 0)
    bias = pointer(trained, layer.biases * 8) if layer.biases >= 0 else null(target)
    if index == 0:
        contract_shared(pointer(x, 0), w, target, bias, m, 1, n * 8, 8, n * 8, 8, 0, 8, rows, n, m)
    else:
        contract(pointer(h, 0), w, target, bias, m * 8, 8, n * 8, 8, n * 8, 8, 0, 8, rows, n, m)


@jit.device
def _activations(layer, trained, parameters, z, h, slope, rows):
    """h = f(z) of one layer."""
    zs, hs, steep = pointer(z, 0), pointer(h, 0), pointer(slope, 0)
    if layer.learned >= 0:
        values = pointer(trained, layer.learned * 8)
        call_activation(layer.value, zs, hs, steep, values, rows, layer.units, 0, layer.parameter_count)
    else:
        values = pointer(parameters, layer.parameters * 8)
        call_activation(layer.value, zs, hs, steep, values, rows, layer.units, 0, 0)


@jit.device
def _mean(values, first, count, stride):
    total = spread(0, values)
    for i in range(first, first + count * stride, stride):
        total = total + load(values, i)
    return total / count


@jit.device
def _variance(values, first, count, stride, mean):
    total = spread(0, values)
    for i in range(first, first + count * stride, stride):
        x = load(values, i) - mean
        total = total + x * x
    return total / count


@jit.device
def _scale(values, first, count, stride, factor):
    for i in range(first, first + count * stride, stride):
        store(values, i, factor * load(values, i))


@jit.device
def _to_unit_variance(layer, index, trained, x, h, z, rows, numbers):
    """Divide W by the standard deviation of z until its variance is within the tolerance of 1, or the rounds are over.

    Lanes that are done, or whose variance is 0 or not finite, are left as they are.
    """
    tolerance, rounds = load(numbers, 0), load(numbers, 8)
    count = rows * layer.fan_out
    done = 0
    while True:
        variance = _variance(z, 0, count, 8, _mean(z, 0, count, 8))
        usable = (variance > 0) & (variance < np.inf)
        going = usable & (abs(variance - 1) >= tolerance) & (rounds > done)
        if count_true(going) == 0:
            return
        factor = where(going, 1 / sqrt(where(usable, variance, 1)), 1)
        _scale(trained, layer.weights * 8, layer.fan_in * layer.fan_out, 8, factor)
        _preactivations(layer, index, trained, x, h, z, rows)
        done += 1


@jit.device
def _standardize_units(layer, trained, z, rows):
    """Scale and shift W[:, j] and b[j] so that z[:, j] has mean 0 and variance 1; without biases only the variance."""
    m, n = layer.fan_in, layer.fan_out
    for j in range(n):
        mean = _mean(z, j * 8, rows, n * 8)
        std = sqrt(_variance(z, j * 8, rows, n * 8, mean))
        # A unit that does not vary on the samples is left as it is.
        varies = (std > _CONSTANT * abs(mean)) & (std > 0) & (std < np.inf)
        factor = where(varies, 1 / std, 1)
        _scale(trained, (layer.weights + j) * 8, m, n * 8, factor)
        shift = spread(0, z)
        if layer.biases >= 0:
            at = (layer.biases + j) * 8
            shift = where(varies, mean, 0)
            store(trained, at, factor * (load(trained, at) - shift))
        for row in range(rows):
            at = (row * n + j) * 8
            store(z, at, factor * (load(z, at) - shift))


@jit.kernel
def _rescale(layers, by_unit, numbers, parameters, x, rows, out, z, h, other, slope):
    """All layers of all groups in order: numbers [groups, layers, MOST_NUMBERS * 8], parameters [groups, A * 8]."""
    for g in range(out.shape[0]):
        trained = out[g]
        for i in range(layers.size):
            layer = layers[i]
            _preactivations(layer, i, trained, x, h, z, rows)
            if by_unit:
                _standardize_units(layer, trained, z, rows)
            else:
                _to_unit_variance(layer, i, trained, x, h, z, rows, numbers[g, i])
            if i + 1 < layers.size:
                _activations(layer, trained, parameters[g], z, other, slope, rows)
                h, other = other, h


def rescale(
    layers: np.ndarray,
    by_unit: bool,
    numbers: np.ndarray,
    parameters: np.ndarray,
    samples: np.ndarray,
    out: np.ndarray,
) -> None:
    """Rescale drawn networks, in place, on float64 samples [rows, features].

    by_unit: each unit to mean 0 and variance 1 (Krähenbühl et al. 2016); else each layer to variance 1, numbers being
    (tolerance, rounds) (Mishkin & Matas 2016). numbers [groups, layers, MOST_NUMBERS, 8], parameters of the activations
    [groups, A, 8], out [groups, P * 8].
    """
    widest = int(max(layers["fan_out"].max(), layers["outputs"].max()))
    rows = min(len(samples), sample_count(widest))
    scratch = [aligned_empty(rows * widest * 8, np.float64) for _ in range(4)]
    x = np.ascontiguousarray(samples[:rows], np.float64).reshape(-1)
    lanes = np.ascontiguousarray(numbers).reshape(*numbers.shape[:2], -1)
    values = aligned_empty((len(parameters), parameters.shape[1] * 8), np.float64)
    values[...] = parameters.reshape(len(parameters), -1)
    _rescale(layers, by_unit, lanes, values, x, rows, out, *scratch)
