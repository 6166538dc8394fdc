"""The Hessian of the loss times a vector, exactly as back-propagation gives the gradient (Pearlmutter 1994).

A direction v in the space of what is trained moves every number of a network's forward and backward pass: `z_dot`,
`h_dot` and `delta_dot` are the derivatives along v of z, h and delta; those of the gradient are the Hessian times v.
Only second derivatives of activations and losses are not at hand. They are central differences of slopes, STEP to both
sides of each pre-activation, in float64: good to about 1e-9. Where one side crosses a kink, the other counts alone:
piecewise linear functions have exactly no curvature, as in automatic differentiation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradsim import jit
from gradsim.engine.contraction import contract, contract_shared, null
from gradsim.engine.network import Architecture, call_activation, call_backward, clear, copy, forward, gradient
from gradsim.lanes import aligned_empty, load, maximum, pointer, spread, store, where
from gradsim.losses import call_loss

# Of a pre-activation; the truncation of a central difference and the rounding of the slopes are then both near 1e-10.
STEP = 1e-5
# One side's difference counts alone where it is this much smaller than the other's.
KINK = 0.1
# Outputs are moved by this share of STEP times themselves where they are large, for rounding would hide less.
FAR = 1e-4
# Bytes for what the rows of a piece leave: with all rows in one piece, the passes of the network itself are made once.
PIECE_BYTES = 64_000_000


class Passes(NamedTuple):
    """Scratch of one thread, float64, `[layer][row, unit, 8]`: the passes of the networks as they are, their
    derivatives along a direction, and an activation or a loss moved along it."""

    z: np.ndarray
    h: np.ndarray
    slope: np.ndarray
    bend: np.ndarray  # dLoss/dh times the second derivative, of pointwise activations
    upstream: np.ndarray  # dLoss/dh
    delta: np.ndarray
    outputs: np.ndarray
    z_dot: np.ndarray
    h_dot: np.ndarray
    upstream_dot: np.ndarray
    delta_dot: np.ndarray
    moved_z: np.ndarray
    moved_h: np.ndarray
    moved_slope: np.ndarray
    moved_parameters: np.ndarray
    back: np.ndarray  # deltas with the moved activation
    still: np.ndarray
    gradients: np.ndarray  # of learned parameters: moved one way, the other way, not at all
    total: np.ndarray


def _numbers_a_row(architecture: Architecture) -> dict[str, int]:
    """How many numbers a sample leaves in each field of `Passes`."""
    outputs = architecture.widths[-1]
    fans_in = [m for m, _ in architecture.shapes[1:]]
    widest = max([outputs, *fans_in, *architecture.preactivations])
    numbers = dict.fromkeys(("z", "slope", "bend", "delta", "z_dot"), sum(architecture.preactivations) + outputs)
    numbers |= dict.fromkeys(("h", "upstream", "h_dot"), sum(fans_in)) | {"outputs": outputs}
    moving = ("upstream_dot", "delta_dot", "moved_z", "moved_h", "moved_slope", "back", "still")
    return numbers | dict.fromkeys(moving, widest)


def rows_at_once(architecture: Architecture, rows: int) -> int:
    """How many samples go through the networks at a time."""
    return max(1, min(rows, PIECE_BYTES // (64 * sum(_numbers_a_row(architecture).values()))))


def passes(architecture: Architecture, capacity: int) -> Passes:
    """Scratch for pieces of `capacity` rows."""
    learned = max(architecture.learned)
    sizes = {name: capacity * count for name, count in _numbers_a_row(architecture).items()}
    sizes |= {"moved_parameters": learned, "gradients": 3 * learned, "total": 1}
    return Passes(**{name: aligned_empty(max(1, sizes[name]) * 8, np.float64) for name in Passes._fields})


# --- derivatives by differences -------------------------------------------------------------------


@jit.device
def _either_side(after, before):
    """The derivative from the differences to both sides."""
    a, b = abs(after), abs(before)
    return where(a < KINK * b, after, where(b < KINK * a, before, 0.5 * (after + before)))


@jit.device
def _largest(values, first, count):
    """The largest magnitude of each lane; NaN where there is one."""
    out = spread(0, values)
    for i in range(first, first + count * 8, 8):
        x = abs(load(values, i))
        out = where((x > out) | (x != x), x, out)
    return out


@jit.device
def _step(largest, size):
    """How far to go along a direction whose largest number is given, so that it moves by STEP times `size`."""
    return where(largest == 0, 1, STEP * size / largest)


@jit.device
def _parameters(layer, group):
    """The parameters of a layer's activation, and their stride by unit; random ones at their mean."""
    if layer.learned >= 0:
        return pointer(group.trained, layer.learned * 8), layer.parameter_count
    return pointer(group.parameters, layer.parameters * 8), 0


@jit.device
def _second_derivative(layer, group, rows, capacity, p):
    """bend = f'' of a pointwise activation at z."""
    at = layer.z * capacity * 8
    count = rows * layer.fan_out * 8
    values, by_unit = _parameters(layer, group)
    z, h, slope = pointer(p.moved_z, 0), pointer(p.moved_h, 0), pointer(p.moved_slope, 0)
    for side in range(2):
        sign = 1 - 2 * side
        for i in range(0, count, 8):
            x = load(p.z, at + i)
            store(p.moved_z, i, x + sign * STEP * maximum(abs(x), 1))
        call_activation(layer.activation, z, h, slope, values, rows, layer.units, 0, by_unit)
        for i in range(0, count, 8):
            x = load(p.z, at + i)
            difference = (load(p.moved_slope, i) - load(p.slope, at + i)) / (sign * STEP * maximum(abs(x), 1))
            if side == 1:
                difference = _either_side(load(p.bend, at + i), difference)
            store(p.bend, at + i, difference)


@jit.device
def _move(layer, group, v, by, rows, capacity, p):
    """The activation of a layer at z + by z_dot, with learned parameters moved alike; where those are."""
    at = layer.z * capacity * 8
    for i in range(0, rows * layer.fan_out * 8, 8):
        store(p.moved_z, i, load(p.z, at + i) + by * load(p.z_dot, at + i))
    z, h, slope = pointer(p.moved_z, 0), pointer(p.moved_h, 0), pointer(p.moved_slope, 0)
    return _activate(layer, group, v, by, z, h, slope, rows, p)


@jit.device
def _activate(layer, group, v, by, z, h, slope, rows, p):
    """The activation of a layer at z, with learned parameters moved along v; where those are."""
    values, by_unit = _parameters(layer, group)
    if layer.learned >= 0:
        first = layer.learned * 8
        for i in range(0, layer.units * layer.parameter_count * 8, 8):
            store(p.moved_parameters, i, load(group.trained, first + i) + by * load(v, first + i))
        values = pointer(p.moved_parameters, 0)
    call_activation(layer.activation, z, h, slope, values, rows, layer.units, 0, by_unit)
    return values


@jit.device
def _step_of_layer(layer, v, rows, capacity, p):
    """How far along the direction a layer's pre-activations and learned parameters are moved."""
    largest = _largest(p.z_dot, layer.z * capacity * 8, rows * layer.fan_out)
    if layer.learned >= 0:
        largest = maximum(largest, _largest(v, layer.learned * 8, layer.units * layer.parameter_count))
    return _step(largest, 1)


@jit.device
def _outputs_dot(layer, group, v, rows, capacity, p):
    """h_dot of a layer whose activation is not pointwise, or learned."""
    at, count = layer.h * capacity * 8, rows * layer.outputs * 8
    step = _step_of_layer(layer, v, rows, capacity, p)
    at_z = layer.z * capacity * 8
    z, h, slope = pointer(p.z, at_z), pointer(p.moved_h, 0), pointer(p.moved_slope, 0)
    for side in range(2):
        by = (1 - 2 * side) * step
        if layer.learned >= 0:
            # Of these the slope in z is known, which at a kink is one side's and no mean of both.
            _activate(layer, group, v, by, z, h, slope, rows, p)
        else:
            _move(layer, group, v, by, rows, capacity, p)
        for i in range(0, count, 8):
            before = load(p.h_dot, at + i) if side == 1 else 0 * step
            store(p.h_dot, at + i, before + load(p.moved_h, i) / (2 * by))
    if layer.learned >= 0:
        for i in range(0, count, 8):
            store(p.h_dot, at + i, load(p.h_dot, at + i) + load(p.slope, at_z + i) * load(p.z_dot, at_z + i))


@jit.device
def _backward_dot(layer, group, v, rows, capacity, p, out):
    """delta_dot of such a layer from upstream_dot; on top of `out`, the product's numbers of its learned parameters."""
    step = _step_of_layer(layer, v, rows, capacity, p)
    at_z, at_h = layer.z * capacity * 8, layer.h * capacity * 8
    learned = layer.units * layer.parameter_count * 8 if layer.learned >= 0 else 0
    clear(p.gradients, 0, 3 * learned)
    plus, minus, none = pointer(p.gradients, 0), pointer(p.gradients, learned), pointer(p.gradients, 2 * learned)
    mine = pointer(out, layer.learned * 8) if learned else none
    z, h, slope = pointer(p.moved_z, 0), pointer(p.moved_h, 0), pointer(p.moved_slope, 0)
    up, back, units = pointer(p.upstream, at_h), pointer(p.back, 0), layer.units
    _, by_unit = _parameters(layer, group)
    values = _move(layer, group, v, step, rows, capacity, p)
    call_backward(layer.backward, z, h, slope, up, back, values, plus, rows, units, 0, by_unit)
    values = _move(layer, group, v, -step, rows, capacity, p)
    call_backward(layer.backward, z, h, slope, up, pointer(p.still, 0), values, minus, rows, units, 0, by_unit)
    values, by_unit = _parameters(layer, group)
    z, h, slope = pointer(p.z, at_z), pointer(p.h, at_h), pointer(p.slope, at_z)
    moved, unmoved = pointer(p.upstream_dot, 0), pointer(p.moved_z, 0)
    call_backward(layer.backward, z, h, slope, up, unmoved, values, none, rows, units, 0, by_unit)
    call_backward(layer.backward, z, h, slope, moved, pointer(p.delta_dot, 0), values, mine, rows, units, 0, by_unit)
    for i in range(0, rows * layer.fan_out * 8, 8):
        here = load(p.moved_z, i)
        bent = _either_side((load(p.back, i) - here) / step, (here - load(p.still, i)) / step)
        store(p.delta_dot, i, load(p.delta_dot, i) + bent)
    for i in range(0, learned, 8):
        here = load(p.gradients, 2 * learned + i)
        after, before = load(p.gradients, i) - here, here - load(p.gradients, learned + i)
        at = layer.learned * 8 + i
        store(out, at, load(out, at) + _either_side(after / step, before / step))


@jit.device
def _loss_dot(layer, loss, group, labels, targets, rows, capacity, divisor, p):
    """delta_dot of the output layer: the second derivatives of the loss times z_dot."""
    at, units = layer.z * capacity * 8, layer.fan_out
    count = rows * units
    largest = _largest(p.outputs, 0, count)
    step = _step(_largest(p.z_dot, at, count), maximum(FAR * largest, 1))
    for i in range(0, count * 8, 8):
        o, dot = load(p.outputs, i), load(p.z_dot, at + i)
        store(p.back, i, o + step * dot)
        store(p.still, i, o - step * dot)
    call_loss(loss, pointer(p.back, 0), labels, targets, group.loss, rows, units, divisor, p.total)
    call_loss(loss, pointer(p.still, 0), labels, targets, group.loss, rows, units, divisor, p.total)
    for i in range(0, count * 8, 8):
        here = load(p.delta, at + i)
        bent = _either_side((load(p.back, i) - here) / step, (here - load(p.still, i)) / step)
        store(p.delta_dot, i, bent)


# --- passes ---------------------------------------------------------------------------------------


@jit.device
def _through_weights(layer, weights, delta, first, out, at, rows, add):
    """out[row, unit] (+)= delta W^T."""
    m, n = layer.fan_in, layer.fan_out
    d, w, o = pointer(delta, first), pointer(weights, layer.weights * 8), pointer(out, at)
    contract(d, w, o, o if add else null(o), n * 8, 8, 8, n * 8, m * 8, 8, m * 8, 8, rows, m, n)


@jit.device
def _still_passes(layers, loss, group, data, labels, targets, rows, capacity, divisor, p):
    """Forward and backward pass of the networks as they are, and what of the second derivatives needs no direction."""
    forward(layers, group, data, p.z, p.h, p.slope, p.outputs, rows, capacity, True, 0, -1, 0, None)
    last = layers.size - 1
    at = layers[last].z * capacity * 8
    copy(p.outputs, 0, p.delta, at, rows * layers[last].fan_out * 8)
    call_loss(loss, pointer(p.delta, at), labels, targets, group.loss, rows, layers[last].fan_out, divisor, p.total)
    for i in range(last, 0, -1):
        layer, previous = layers[i], layers[i - 1]
        at_z, at_h = previous.z * capacity * 8, previous.h * capacity * 8
        _through_weights(layer, group.trained, p.delta, layer.z * capacity * 8, p.upstream, at_h, rows, False)
        if previous.backward == 0:
            _second_derivative(previous, group, rows, capacity, p)
            for k in range(0, rows * previous.fan_out * 8, 8):
                up = load(p.upstream, at_h + k)
                store(p.delta, at_z + k, up * load(p.slope, at_z + k))
                store(p.bend, at_z + k, up * load(p.bend, at_z + k))
        else:
            values, by_unit = _parameters(previous, group)
            z, h, slope = pointer(p.z, at_z), pointer(p.h, at_h), pointer(p.slope, at_z)
            up, delta, units = pointer(p.upstream, at_h), pointer(p.delta, at_z), previous.units
            unused = pointer(p.gradients, 0)
            call_backward(previous.backward, z, h, slope, up, delta, values, unused, rows, units, 0, by_unit)


@jit.device
def _forward_dot(layers, group, v, data, rows, capacity, p):
    """z_dot of all layers and h_dot of the hidden ones."""
    for i in range(layers.size):
        layer = layers[i]
        m, n = layer.fan_in, layer.fan_out
        at_z, at_h = layer.z * capacity * 8, layer.h * capacity * 8
        target, w = pointer(p.z_dot, at_z), pointer(v, layer.weights * 8)
        bias = pointer(v, layer.biases * 8) if layer.biases >= 0 else null(w)
        if i == 0:
            x = pointer(data, 0)
            contract_shared(x, w, target, bias, m, 1, n * 8, 8, n * 8, 8, 0, 8, rows, n, m)
        else:
            at = layers[i - 1].h * capacity * 8
            x, x_dot, own = pointer(p.h, at), pointer(p.h_dot, at), pointer(group.trained, layer.weights * 8)
            contract(x, w, target, bias, m * 8, 8, n * 8, 8, n * 8, 8, 0, 8, rows, n, m)
            contract(x_dot, own, target, target, m * 8, 8, n * 8, 8, n * 8, 8, n * 8, 8, rows, n, m)
        if i == layers.size - 1:
            break
        if layer.backward == 0:
            for k in range(0, rows * n * 8, 8):
                store(p.h_dot, at_h + k, load(p.slope, at_z + k) * load(p.z_dot, at_z + k))
        else:
            _outputs_dot(layer, group, v, rows, capacity, p)


@jit.device
def _backward_dots(layers, group, v, data, rows, capacity, add, p, out):
    """The Hessian times v into `out` from delta_dot of the output layer; `add`: on top of what is there."""
    for i in range(layers.size - 1, -1, -1):
        layer = layers[i]
        m, n = layer.fan_in, layer.fan_out
        at_z = layer.z * capacity * 8
        before = layers[i - 1].h if i > 0 else 0
        gradient(layer, i, p.h, before, data, p.delta_dot, out, add, rows, capacity)
        if i == 0:
            break
        x_dot, d = pointer(p.h_dot, before * capacity * 8), pointer(p.delta, at_z)
        mine = pointer(out, layer.weights * 8)
        contract(x_dot, d, mine, mine, 8, m * 8, n * 8, 8, n * 8, 8, n * 8, 8, m, n, rows)
        _through_weights(layer, group.trained, p.delta_dot, 0, p.upstream_dot, 0, rows, False)
        _through_weights(layer, v, p.delta, at_z, p.upstream_dot, 0, rows, True)
        previous = layers[i - 1]
        if previous.backward == 0:
            at = previous.z * capacity * 8
            for k in range(0, rows * previous.fan_out * 8, 8):
                straight = load(p.upstream_dot, k) * load(p.slope, at + k)
                store(p.delta_dot, k, straight + load(p.bend, at + k) * load(p.z_dot, at + k))
        else:
            _backward_dot(previous, group, v, rows, capacity, p, out)


@jit.device
def hessian_product(layers, loss, group, samples, rows, capacity, again, v, out, p):
    """out = H v for every lane, H of the mean loss of the first `rows` samples in all that is trained.

    again: whether nothing but v has changed since the last call.
    """
    features, outputs = layers[0].fan_in, layers[layers.size - 1].fan_out
    for i in range(layers.size):
        if layers[i].learned >= 0:
            clear(out, layers[i].learned * 8, layers[i].units * layers[i].parameter_count * 8)
    divisor = float(rows)
    start = 0
    while start < rows:
        piece = min(capacity, rows - start)
        data = samples.features[start * features :]
        labels, targets = samples.labels[start:], samples.targets[start * outputs :]
        if not again or rows > capacity:
            _still_passes(layers, loss, group, data, labels, targets, piece, capacity, divisor, p)
        _forward_dot(layers, group, v, data, piece, capacity, p)
        last = layers[layers.size - 1]
        _loss_dot(last, loss, group, labels, targets, piece, capacity, divisor, p)
        _backward_dots(layers, group, v, data, piece, capacity, start > 0, p, out)
        start += piece
