"""Per-layer statistics of one group at one moment, over the probe set, as docs/definitions.md defines them.

The probe set goes through the network in pieces of at most `capacity` rows, forward and back; sums are kept in float64.
Sums of squares are taken about the first value of the layer, so that a saturated layer's tiny spread survives.
"""

from __future__ import annotations

import numpy as np

from gradsim import jit
from gradsim.engine.network import clear, deltas_before, forward, gradient
from gradsim.lanes import (
    count_true,
    lane_count,
    load,
    load_wide,
    maximum,
    pointer,
    spread,
    sqrt,
    store,
    where,
    widen,
)
from gradsim.losses import call_loss

# The statistics, in the order of the records' axis and of the columns of `results.layers`.
STATISTICS = (
    "preactivation_mean",
    "preactivation_std",
    "activation_mean",
    "activation_std",
    "saturated_low",
    "saturated_high",
    "dead",
    "zero",
    "delta_rms",
    "gradient_rms",
    "weight_rms",
    "update_ratio",
    "sign_coherence",
    "distinct_units",
)
(
    Z_MEAN,
    Z_STD,
    H_MEAN,
    H_STD,
    LOW,
    HIGH,
    DEAD,
    ZERO,
    DELTA,
    GRADIENT,
    WEIGHT,
    UPDATE,
    COHERENCE,
    DISTINCT,
) = range(len(STATISTICS))

# While sums are being taken, fields that are filled only at the end hold the values that squares are taken about.
_Z_ORIGIN, _H_ORIGIN = GRADIENT, WEIGHT
DEAD_SLOPE = 1e-7
SATURATED_SHARE = 0.1
SAME_UNIT = 1e-6


@jit.device
def _add(out, field, value, like):
    at = field * lane_count(like)
    store(out, at, load_wide(out, at, value) + value)


@jit.device
def _moments(values, first, rows, count, mean, std, origin, out, like, begin):
    """Sums of values and of their squares about the first value."""
    size = lane_count(like)
    if begin:
        store(out, origin * size, widen(load(values, first)))
    zero = widen(spread(0, like))
    about = load_wide(out, origin * size, zero)
    for row in range(rows):
        s, ss = zero, zero
        for k in range(count):
            x = widen(load(values, first + (row * count + k) * size)) - about
            s, ss = s + x, ss + x * x
        _add(out, mean, s, like)
        _add(out, std, ss, like)


@jit.device
def _zeros(h, first, rows, count, out, like):
    """Counts of activations that are exactly 0."""
    size = lane_count(like)
    for row in range(rows):
        zeros = spread(0, like)
        for k in range(count):
            zeros = zeros + where(load(h, first + (row * count + k) * size) == 0, 1, 0)
        _add(out, ZERO, widen(zeros), like)


@jit.device
def _signal(layer, z, z_at, h, h_at, rows, out, like, begin):
    """Sums over pre-activations and outputs of a layer."""
    _moments(z, z_at, rows, layer.fan_out, Z_MEAN, Z_STD, _Z_ORIGIN, out, like, begin)
    _moments(h, h_at, rows, layer.outputs, H_MEAN, H_STD, _H_ORIGIN, out, like, begin)
    _zeros(h, h_at, rows, layer.outputs, out, like)


@jit.device
def _slopes(z, slope, first, rows, units, threshold, center, steepest, out, begin):
    """Counts of saturated (row, unit), and each unit's largest abs slope."""
    size = lane_count(slope)
    zero = spread(0, slope)
    for row in range(rows):
        low, high = zero, zero
        for unit in range(units):
            at = first + (row * units + unit) * size
            steep = abs(load(slope, at))
            flat = steep < threshold
            left = load(z, at) < center
            low = low + where(flat & left, 1, 0)
            high = high + where(flat & ~left, 1, 0)
            if begin and row == 0:
                store(steepest, unit * size, steep)
            else:
                store(steepest, unit * size, maximum(steep, load(steepest, unit * size)))
        _add(out, LOW, widen(low), slope)
        _add(out, HIGH, widen(high), slope)


@jit.device
def _deltas(delta, rows, units, inputs, inputs_at, data, fan_in, out):
    """Sum of squared deltas, and of sign coherence times units; `inputs_at` < 0 where inputs are data."""
    size = lane_count(delta)
    zero = spread(0, delta)
    for row in range(rows):
        squares = widen(zero)
        moved = zero
        for unit in range(units):
            d = load(delta, (row * units + unit) * size)
            squares = squares + widen(d) * widen(d)
            moved = moved + where(d != 0, 1, 0)
        signs = zero
        for i in range(fan_in):
            if inputs_at < 0:
                x = data[row * fan_in + i]
                signs = signs + ((x > 0) - (x < 0))
            else:
                h = load(inputs, inputs_at + (row * fan_in + i) * size)
                signs = signs + where(h > 0, 1, where(h < 0, -1, 0))
        _add(out, DELTA, squares, delta)
        _add(out, COHERENCE, widen(abs(signs) * moved) / fan_in, delta)


@jit.device
def mean_square(values, first, count):
    """Mean of the squares of `count` lane vectors, float64."""
    size = lane_count(values)
    total = widen(spread(0, values))
    for i in range(first, first + count * size, size):
        x = widen(load(values, i))
        total = total + x * x
    return total / count


@jit.device
def _distinct(weights, layer):
    """Share of units that differ from every earlier one in some incoming weight or the bias."""
    size = lane_count(weights)
    m, n = layer.fan_in, layer.fan_out
    rows = m + 1 if layer.biases >= 0 else m
    zero = spread(0, weights)
    distinct = zero
    for unit in range(n):
        repeated = zero
        for earlier in range(unit):
            same = zero == zero
            for i in range(rows):
                # The biases follow the weights, so they are one more row of W.
                a = load(weights, (layer.weights + i * n + unit) * size)
                b = load(weights, (layer.weights + i * n + earlier) * size)
                same = same & (abs(a - b) <= SAME_UNIT * maximum(abs(a), abs(b)))
                if count_true(same) == 0:
                    break
            repeated = where(same, 1, repeated)
        distinct = distinct + (1 - repeated)
    return distinct / n


@jit.device
def _finish(layers, weights, grad, saturation, steepest, rows, out):
    """Turn sums into statistics; `out` [layers, statistics, lanes]."""
    size = lane_count(weights)
    for i in range(layers.size):
        layer = layers[i]
        n = layer.fan_out
        mine = out[i]
        count, outputs = rows * n, rows * layer.outputs
        like = widen(spread(0, weights))
        for mean, std, origin, of in ((Z_MEAN, Z_STD, _Z_ORIGIN, count), (H_MEAN, H_STD, _H_ORIGIN, outputs)):
            offset = load_wide(mine, mean * size, like) / of
            variance = load_wide(mine, std * size, like) / of - offset * offset
            store(mine, mean * size, offset + load_wide(mine, origin * size, like))
            store(mine, std * size, sqrt(where(variance < 0, 0, variance)))
        for share, of in ((LOW, count), (HIGH, count), (ZERO, outputs), (COHERENCE, count)):
            store(mine, share * size, load_wide(mine, share * size, like) / of)
        dead = spread(0, weights)
        if layer.activation != 0:
            for unit in range(n):
                dead = dead + where(load(steepest, (layer.z + unit) * size) < DEAD_SLOPE, 1, 0)
            # Where the slope has no bound, nothing is flat against it.
            bounded = widen(load(saturation[i], 0)) < np.inf
            for share in (LOW, HIGH):
                store(mine, share * size, where(bounded, load_wide(mine, share * size, like), np.nan))
        store(mine, DEAD * size, widen(dead) / n)
        store(mine, DELTA * size, sqrt(load_wide(mine, DELTA * size, like) / count))
        store(mine, GRADIENT * size, sqrt(mean_square(grad, layer.weights * size, layer.fan_in * n)))
        store(mine, WEIGHT * size, sqrt(mean_square(weights, layer.weights * size, layer.fan_in * n)))
        store(mine, DISTINCT * size, widen(_distinct(weights, layer)))


@jit.device
def probe(layers, group, saturation, loss, samples, rows, work, capacity, out):
    """Fill `out` [layers, STATISTICS * lanes] for one group; `saturation` [hidden, (threshold, center) * lanes].

    The field `update_ratio` is left alone: it belongs to a step.
    """
    weights = group.trained
    size = lane_count(weights)
    features, units = layers[0].fan_in, layers[layers.size - 1].fan_out
    for i in range(layers.size):
        for field in range(len(STATISTICS)):
            if field != UPDATE:
                clear(out[i], field * size, size)
    start = 0
    while start < rows:
        piece = min(capacity, rows - start)
        begin = start == 0
        data = samples.features[start * features :]
        delta = pointer(work.delta, 0)
        forward(layers, group, data, work.z, work.h, work.slope, work.delta, piece, capacity, True, 0, -1, 0, None)
        for i in range(layers.size - 1):
            layer = layers[i]
            at = layer.z * capacity * size
            _signal(layer, work.z, at, work.h, layer.h * capacity * size, piece, out[i], weights, begin)
            limits = saturation[i]
            steepest = pointer(work.steepest, layer.z * size)
            threshold, center = load(limits, 0), load(limits, size)
            _slopes(work.z, work.slope, at, piece, layer.fan_out, threshold, center, steepest, out[i], begin)
        last = layers.size - 1
        _signal(layers[last], delta, 0, delta, 0, piece, out[last], weights, begin)
        labels, targets = samples.labels[start:], samples.targets[start * units :]
        call_loss(loss, delta, labels, targets, group.loss, piece, units, float(rows), work.total)
        for i in range(layers.size - 1, -1, -1):
            layer = layers[i]
            before = layers[i - 1].h if i > 0 else -1
            at = before * capacity * size
            _deltas(delta, piece, layer.fan_out, work.h, at, data, layer.fan_in, out[i])
            gradient(layer, i, work.h, before, data, delta, work.grad, not begin, piece, capacity)
            if i > 0:
                delta = deltas_before(
                    layer, layers[i - 1], group, work.z, delta, not begin, piece, capacity, False, work
                )
        start += piece
    _finish(layers, weights, work.grad, saturation, work.steepest, rows, out)
