"""One group of networks: where its numbers lie, and its forward and backward pass.

Everything is a flat array of lane vectors, the network last. The parameters of a group are, layer by layer,
`W[fan_in, fan_out, lanes]` and then `b[fan_out, lanes]`; activations are `h[row, unit, lanes]`. In training the
pre-activations are overwritten by the activations (only h and the slopes are needed to go back); a probe keeps all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.activations.spec import Activation
from gradsim.engine.contraction import contract, contract_shared, null
from gradsim.lanes import LANES, call_address, group_count, lane_count, load, pointer, spread, store

# What the kernels know of a layer; offsets are in lane vectors, -1 where there is none.
LAYER = np.dtype(
    [
        ("fan_in", np.int64),
        ("fan_out", np.int64),
        ("weights", np.int64),
        ("biases", np.int64),
        ("units", np.int64),  # units of all earlier layers: where the layer's activations begin, for one row
        ("activation", np.int64),  # address of the activation's block, value and slope; 0 for the linear output
        ("value", np.int64),  # address of the block that gives the value alone
        ("parameters", np.int64),  # where the lanes of the activation's parameters begin
    ]
)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A multilayer perceptron's shape: `widths` are features, hidden widths, outputs; an activation a hidden layer."""

    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    bias: bool = True

    @property
    def depth(self) -> int:
        """Number of weight layers."""
        return len(self.widths) - 1

    @property
    def parameter_count(self) -> int:
        """Weights and biases of one network."""
        return sum((m + self.bias) * n for m, n in pairwise(self.widths))

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one sample, forward: sum of fan_in * fan_out."""
        return sum(m * n for m, n in pairwise(self.widths))

    def step_flops(self, batch: int) -> int:
        """Floating point operations of one training step: three contractions a layer, two in the first."""
        return 2 * batch * (3 * self.multiplications - self.widths[0] * self.widths[1])

    def layers(self, dtype: np.dtype | type) -> np.ndarray:
        """The LAYER records for a precision; compiles the activations' blocks."""
        records = np.zeros(self.depth, LAYER)
        offset = units = parameters = 0
        for i, (m, n) in enumerate(pairwise(self.widths)):
            records[i] = (m, n, offset, offset + m * n if self.bias else -1, units, 0, 0, parameters)
            if i < len(self.activations):
                records[i]["activation"] = self.activations[i].block(dtype).address
                records[i]["value"] = self.activations[i].block(dtype, "value").address
                parameters += len(self.activations[i].parameters)
            offset += (m + self.bias) * n
            units += n
        return records


def split_parameters(flat: np.ndarray, widths: Sequence[int], bias: bool) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Views `(W [fan_in, fan_out, ...], b [fan_out, ...] or None)` of parameters laid out layer by layer on axis 0."""
    out, offset = [], 0
    for m, n in pairwise(widths):
        weights = flat[offset : offset + m * n].reshape(m, n, *flat.shape[1:])
        offset += m * n
        out.append((weights, flat[offset : offset + n] if bias else None))
        offset += n if bias else 0
    return out


@intrinsic
def call_activation(typingctx, address, z, h, slope, parameters, rows, units):
    """Call an activation's block by its address, with parameters common to all rows and units."""
    if not isinstance(z, types.CPointer):
        return None
    sig = types.void(types.int64, z, z, z, z, types.int64, types.int64)

    def codegen(context, builder, sig, args):
        no_stride = ir.Constant(ir.IntType(64), 0)
        call_address(builder, args[0], [*args[1:], no_stride, no_stride])
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
def forward(layers, weights, parameters, data, z, h, slope, outputs, rows, capacity, slopes):
    """All layers for `rows` rows of data; hidden results at `units * capacity`, the last into `outputs`.

    z may be h itself; `slopes`: whether slopes are wanted. data: scalars [rows, features], common to all lanes.
    """
    size = lane_count(weights)
    nothing = null(pointer(weights, 0))
    for i in range(layers.size):
        layer = layers[i]
        m, n = layer.fan_in, layer.fan_out
        here = layer.units * capacity * size
        last = i == layers.size - 1
        target = pointer(outputs, 0) if last else pointer(z, here)
        w = pointer(weights, layer.weights * size)
        bias = pointer(weights, layer.biases * size) if layer.biases >= 0 else nothing
        if i == 0:
            x = pointer(data, 0)
            contract_shared(x, w, target, bias, m, 1, n * size, size, n * size, size, 0, size, rows, n, m)
        else:
            before = pointer(h, layers[i - 1].units * capacity * size)
            contract(before, w, target, bias, m * size, size, n * size, size, n * size, size, 0, size, rows, n, m)
        if not last:
            values = pointer(parameters, layer.parameters * size)
            block = layer.activation if slopes else layer.value
            call_activation(block, target, pointer(h, here), pointer(slope, here), values, rows, n)


@jit.device
def gradient(layer, index, h, before, data, delta, grad, add, rows, capacity):
    """dLoss/dW and dLoss/db of one layer from its deltas; `before`: units before the layer's input; `add`: on top."""
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
def delta_before(layer, previous, weights, slope, delta, out, rows, capacity):
    """The deltas of the previous layer: (delta W^T) * f'(z)."""
    size = lane_count(weights)
    m, n = layer.fan_in, layer.fan_out
    d, w, o = pointer(delta, 0), pointer(weights, layer.weights * size), pointer(out, 0)
    contract(d, w, o, null(o), n * size, size, size, n * size, m * size, size, 0, 0, rows, m, n)
    here = previous.units * capacity * size
    for i in range(0, rows * m * size, size):
        store(out, i, load(out, i) * load(slope, here + i))


def lanes_array(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """[networks, ...] -> [groups, ..., lanes], the last network repeated where a group is not full."""
    size, groups = LANES[np.dtype(dtype)], group_count(len(values), dtype)
    padded = np.concatenate([values, np.repeat(values[-1:], groups * size - len(values), axis=0)])
    return np.ascontiguousarray(np.moveaxis(padded.reshape(groups, size, *values.shape[1:]), 1, -1))
