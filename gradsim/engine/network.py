"""One group of networks: where its numbers lie, and its forward and backward pass.

Everything is a flat array of lane vectors, the network last. What is trained in a group is, layer by layer,
`W[fan_in, fan_out, lanes]`, then `b[fan_out, lanes]`, then the activation's learned parameters `[units, parameters,
lanes]`; activations are `h[row, unit, lanes]`. In training the pre-activations are overwritten by the activations where
h and the slopes are all that is needed to go back; a probe keeps both.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.activations.spec import Activation
from gradsim.engine import clock
from gradsim.engine.contraction import contract, contract_shared, contract_times, descend, descend_shared, null
from gradsim.engine.random import draw_noise
from gradsim.lanes import LANES, call_address, group_count, lane_count, load, pointer, spread, store

# What the kernels know of a layer; offsets are in lane vectors, -1 where there is none.
LAYER = np.dtype(
    [
        ("fan_in", np.int64),
        ("fan_out", np.int64),  # pre-activations
        ("units", np.int64),
        ("outputs", np.int64),
        ("weights", np.int64),
        ("biases", np.int64),
        ("trained", np.int64),  # how many numbers are trained: weights, biases, learned parameters
        ("z", np.int64),  # pre-activations of all earlier layers: where the layer's begin, for one row
        ("h", np.int64),  # outputs of all earlier layers, likewise
        ("activation", np.int64),  # address of the activation's block, value and slope; 0 for the linear output
        ("value", np.int64),  # address of the block that gives the value alone
        ("backward", np.int64),  # address of the backward block; 0 where slopes are enough
        ("parameters", np.int64),  # where the lanes of the activation's parameters begin
        ("parameter_count", np.int64),
        ("learned", np.int64),  # where the learned parameters of its units begin, among what is trained
        ("random", np.int64),  # how many parameters, the last ones, are drawn in training
        ("drawn", np.int64),  # parameters drawn by all earlier layers: where the layer's begin, for one row
    ]
)


class Group(NamedTuple):
    """What one group's networks differ in, as kernels take it: what is trained, the activations' parameters as they
    are without training, the bits of the seeds [lanes], scratch for random parameters, and the loss's numbers."""

    trained: np.ndarray
    parameters: np.ndarray
    seeds: np.ndarray
    drawn: np.ndarray
    loss: np.ndarray


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A multilayer perceptron's shape: `widths` are features, units of hidden layers, outputs; an activation a hidden
    layer."""

    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    bias: bool = True

    @property
    def depth(self) -> int:
        """Number of layers of weights: one more than there are hidden layers, which is what a campaign calls depth."""
        return len(self.widths) - 1

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(fan_in, fan_out) of each layer's weights: outputs of the layer before, pre-activations of this one."""
        fans_in = (self.widths[0], *(n * a.outputs for n, a in zip(self.widths[1:-1], self.activations, strict=True)))
        return tuple(zip(fans_in, (*self.preactivations, self.widths[-1]), strict=True))

    @cached_property
    def preactivations(self) -> tuple[int, ...]:
        """How many pre-activations each hidden layer has."""
        return tuple(n * a.preactivations for n, a in zip(self.widths[1:-1], self.activations, strict=True))

    @cached_property
    def learned(self) -> tuple[int, ...]:
        """How many numbers of learned activations each layer has: all parameters of each unit."""
        hidden = zip(self.widths[1:-1], self.activations, strict=True)
        counts = [n * len(a.parameters) * bool(a.learned) for n, a in hidden]
        return (*counts, 0)

    @property
    def random(self) -> bool:
        """Whether any activation draws parameters in training."""
        return any(a.random for a in self.activations)

    @property
    def has_backward(self) -> bool:
        """Whether the pre-activations of any layer are needed to go back."""
        return any(a.has_backward for a in self.activations)

    @property
    def parameter_count(self) -> int:
        """Weights, biases and learned activation parameters of one network."""
        return sum((m + self.bias) * n for m, n in self.shapes) + sum(self.learned)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one sample, forward: sum of fan_in * fan_out."""
        return sum(m * n for m, n in self.shapes)

    def step_flops(self, batch: int) -> int:
        """Floating point operations of one training step: three contractions a layer, two in the first."""
        first_in, first_out = self.shapes[0]
        return 2 * batch * (3 * self.multiplications - first_in * first_out)

    def layers(self, dtype: np.dtype | type) -> np.ndarray:
        """The LAYER records for a precision; compiles the activations' blocks."""
        records = np.zeros(self.depth, LAYER)
        offset = z = h = parameters = drawn = 0
        for i, (m, n) in enumerate(self.shapes):
            record, units, learned = records[i], self.widths[i + 1], self.learned[i]
            record["fan_in"], record["fan_out"], record["units"], record["outputs"] = m, n, units, units
            record["weights"], record["biases"] = offset, offset + m * n if self.bias else -1
            record["trained"] = (m + self.bias) * n + learned
            record["learned"] = offset + (m + self.bias) * n if learned else -1
            record["z"], record["h"], record["parameters"], record["drawn"] = z, h, parameters, drawn
            if i < len(self.activations):
                act = self.activations[i]
                record["outputs"] = units * act.outputs
                record["activation"] = act.block(dtype).address
                record["value"] = act.block(dtype, "value").address
                record["backward"] = act.block(dtype, "backward").address if act.has_backward else 0
                record["parameter_count"], record["random"] = len(act.parameters), len(act.random)
                parameters += len(act.parameters)
                drawn += units * len(act.parameters) * bool(act.random)
            offset += record["trained"]
            z, h = z + n, h + record["outputs"]
        return records

    def split(self, flat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Views `(W [fan_in, fan_out, ...], b [fan_out, ...] or None)` of what is trained, laid out on axis 0."""
        out, offset = [], 0
        for (m, n), learned in zip(self.shapes, self.learned, strict=True):
            weights = flat[offset : offset + m * n].reshape(m, n, *flat.shape[1:])
            offset += m * n
            out.append((weights, flat[offset : offset + n] if self.bias else None))
            offset += self.bias * n + learned
        return out

    def split_learned(self, flat: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Views of the learned parameters of each hidden layer, by name [units, ...]."""
        out, offset = [], 0
        for i, act in enumerate(self.activations):
            m, n = self.shapes[i]
            offset += (m + self.bias) * n
            mine = flat[offset : offset + self.learned[i]].reshape(self.widths[i + 1], -1, *flat.shape[1:])
            out.append({name: mine[:, list(act.parameters).index(name)] for name in act.learned})
            offset += self.learned[i]
        return out


@intrinsic
def call_activation(typingctx, address, z, h, slope, parameters, rows, units, row_stride, unit_stride):
    """Call an activation's block by its address."""
    if not isinstance(z, types.CPointer):
        return None
    sig = types.void(types.int64, z, z, z, z, *[types.int64] * 4)

    def codegen(context, builder, sig, args):
        call_address(builder, args[0], args[1:])
        return context.get_dummy_value()

    return sig, codegen


@intrinsic
def call_backward(typingctx, address, z, h, slope, upstream, delta, parameters, gradient, rows, units, rs, us):
    """Call an activation's backward block by its address."""
    if not isinstance(z, types.CPointer):
        return None
    sig = types.void(types.int64, *[z] * 7, *[types.int64] * 4)

    def codegen(context, builder, sig, args):
        call_address(builder, args[0], args[1:])
        return context.get_dummy_value()

    return sig, codegen


@jit.device
def clear(memory, first, count):
    """Zero `count` numbers, a multiple of the lanes."""
    zero = spread(0, memory)
    for i in range(first, first + count, lane_count(memory)):
        store(memory, i, zero)


@jit.device
def copy(source, first, out, at, count):
    """Copy `count` numbers, a multiple of the lanes."""
    for i in range(0, count, lane_count(out)):
        store(out, at + i, load(source, first + i))


@jit.device
def _draw(layer, index, group, campaign_seed, step, first_row, rows, capacity):
    """The parameters of each row and unit, into group.drawn: the last ones random, the others as they are."""
    size = lane_count(group.drawn)
    count, kept = layer.parameter_count, layer.parameter_count - layer.random
    first = layer.drawn * capacity * size
    for row in range(rows):
        for unit in range(layer.units):
            at = first + (row * layer.units + unit) * count * size
            if layer.learned >= 0:
                copy(group.trained, (layer.learned + unit * count) * size, group.drawn, at, kept * size)
            else:
                copy(group.parameters, layer.parameters * size, group.drawn, at, kept * size)
        for j in range(layer.random):
            at = first + (row * layer.units * count + kept + j) * size
            number = (first_row + row) * layer.random + j
            draw_noise(campaign_seed, group.seeds, step, index, number, layer.units, group.drawn, at, count * size)


@jit.device
def _parameters_of(layer, group, drawn, capacity):
    """Where the parameters of a layer's units are, and their strides by row and by unit: fixed, learned, or drawn."""
    size = lane_count(group.trained)
    count = layer.parameter_count
    if layer.random > 0 and drawn:
        return pointer(group.drawn, layer.drawn * capacity * size), layer.units * count, count
    if layer.learned >= 0:
        return pointer(group.trained, layer.learned * size), 0, count
    return pointer(group.parameters, layer.parameters * size), 0, 0


@jit.device
def forward(layers, group, data, z, h, slope, outputs, rows, capacity, slopes, campaign_seed, step, first_row, times):
    """All layers for `rows` rows of data; hidden results at `capacity` times a layer's offset, the last into `outputs`.

    z may be h itself; `slopes`: whether slopes are wanted. data: scalars [rows, features], common to all lanes. Random
    parameters are drawn for the `step`, or not at all where it is -1; `first_row` numbers the rows of a batch.
    """
    weights = group.trained
    size = lane_count(weights)
    nothing = null(pointer(weights, 0))
    for i in range(layers.size):
        layer = layers[i]
        m, n = layer.fan_in, layer.fan_out
        last = i == layers.size - 1
        target = pointer(outputs, 0) if last else pointer(z, layer.z * capacity * size)
        w = pointer(weights, layer.weights * size)
        bias = pointer(weights, layer.biases * size) if layer.biases >= 0 else nothing
        if i == 0:
            x = pointer(data, 0)
            contract_shared(x, w, target, bias, m, 1, n * size, size, n * size, size, 0, size, rows, n, m)
        else:
            before = pointer(h, layers[i - 1].h * capacity * size)
            contract(before, w, target, bias, m * size, size, n * size, size, n * size, size, 0, size, rows, n, m)
        clock.mark(times, clock.FORWARD, i)
        if not last:
            if layer.random > 0 and step >= 0:
                _draw(layer, i, group, campaign_seed, step, first_row, rows, capacity)
            values, by_row, by_unit = _parameters_of(layer, group, step >= 0, capacity)
            into, steep = pointer(h, layer.h * capacity * size), pointer(slope, layer.z * capacity * size)
            block = layer.activation if slopes else layer.value
            call_activation(block, target, into, steep, values, rows, layer.units, by_row, by_unit)
            clock.mark(times, clock.ACTIVATION, i)


@jit.device
def gradient(layer, index, h, before, data, delta, grad, add, rows, capacity):
    """dLoss/dW and dLoss/db of one layer from its deltas; `before`: offset of the layer's input; `add`: on top."""
    size = lane_count(grad)
    m, n = layer.fan_in, layer.fan_out
    g, d = pointer(grad, layer.weights * size), pointer(delta, 0)
    start = g if add else null(g)
    if index == 0:
        x = pointer(data, 0)
        contract_shared(x, d, g, start, 1, m, n * size, size, n * size, size, n * size, size, m, n, rows)
    else:
        x = pointer(h, before * capacity * size)
        contract(x, d, g, start, size, m * size, n * size, size, n * size, size, n * size, size, m, n, rows)
    if layer.biases >= 0:
        sum_rows(delta, grad, layer.biases * size, n, rows, add)


@jit.device
def descend_weights(layer, index, weights, h, before, data, delta, rates, rows, capacity):
    """A step of gradient descent on a layer's weights from its deltas; dLoss/dW itself is not kept."""
    size = lane_count(weights)
    m, n = layer.fan_in, layer.fan_out
    w, d, r = pointer(weights, layer.weights * size), pointer(delta, 0), pointer(rates, 0)
    if index == 0:
        descend_shared(pointer(data, 0), d, w, r, 1, m, n * size, size, n * size, size, 0, 0, m, n, rows)
    else:
        x = pointer(h, before * capacity * size)
        descend(x, d, w, r, size, m * size, n * size, size, n * size, size, 0, 0, m, n, rows)


@jit.device
def sum_rows(delta, out, first, units, rows, add):
    """out[unit] (+)= sum over rows of delta[row, unit]; four units at a time hide the latency of the additions."""
    size = lane_count(out)
    zero = spread(0, out)
    unit = 0
    while unit + 4 <= units:
        at = first + unit * size
        a, b, c, d = zero, zero, zero, zero
        for row in range(rows):
            i = (row * units + unit) * size
            a = a + load(delta, i)
            b = b + load(delta, i + size)
            c = c + load(delta, i + 2 * size)
            d = d + load(delta, i + 3 * size)
        if add:
            a, b = a + load(out, at), b + load(out, at + size)
            c, d = c + load(out, at + 2 * size), d + load(out, at + 3 * size)
        store(out, at, a)
        store(out, at + size, b)
        store(out, at + 2 * size, c)
        store(out, at + 3 * size, d)
        unit += 4
    while unit < units:
        at = first + unit * size
        total = load(out, at) if add else zero
        for row in range(rows):
            total = total + load(delta, (row * units + unit) * size)
        store(out, at, total)
        unit += 1


@jit.device
def deltas_before(layer, previous, group, z, delta, add, rows, capacity, drawn, work):
    """From dLoss/dz of a layer, `delta`, returns those of the previous one: (delta W^T) back through its activation.

    They take the place of the slopes, or are in work.delta where a backward block makes them. Gradients of learned
    activation parameters go into work.grad; `add`: on top of what is there. `drawn`: whether random parameters were
    drawn on the way forward. Both deltas are pointers.
    """
    size = lane_count(delta)
    m, n = layer.fan_in, layer.fan_out
    d, w = pointer(delta, 0), pointer(group.trained, layer.weights * size)
    at_z, at_h = previous.z * capacity * size, previous.h * capacity * size
    steep = pointer(work.slope, at_z)
    if previous.backward == 0:
        contract_times(d, w, steep, steep, n * size, size, size, n * size, m * size, size, 0, 0, rows, m, n)
        return steep
    upstream, gradients = pointer(work.upstream, 0), pointer(work.grad, 0)
    contract(d, w, upstream, null(w), n * size, size, size, n * size, m * size, size, 0, 0, rows, m, n)
    if previous.learned >= 0:
        gradients = pointer(work.grad, previous.learned * size)
        if not add:
            clear(work.grad, previous.learned * size, previous.units * previous.parameter_count * size)
    values, by_row, by_unit = _parameters_of(previous, group, drawn, capacity)
    zs, hs, out = pointer(z, at_z), pointer(work.h, at_h), pointer(work.delta, 0)
    units = previous.units
    call_backward(previous.backward, zs, hs, steep, upstream, out, values, gradients, rows, units, by_row, by_unit)
    return out


def lanes_array(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """[networks, ...] -> [groups, ..., lanes], the last network repeated where a group is not full."""
    size, groups = LANES[np.dtype(dtype)], group_count(len(values), dtype)
    padded = np.concatenate([values, np.repeat(values[-1:], groups * size - len(values), axis=0)])
    return np.ascontiguousarray(np.moveaxis(padded.reshape(groups, size, *values.shape[1:]), 1, -1))
