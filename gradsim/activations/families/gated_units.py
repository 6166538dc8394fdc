"""Units of several pre-activations or outputs: maxout, gated linear units, concatenated rectifiers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradsim.activations.families.rectified import relu
from gradsim.activations.families.sigmoidal import sigmoid
from gradsim.activations.families.smooth import gelu, silu
from gradsim.activations.layerwise import layerwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import lane_count, load, maximum, spread, store, where


def _slopes_backward(pieces: int) -> Callable:
    """The backward loop of a unit of several pre-activations: the unit's upstream times each slope."""

    def backward(z, h, slope, upstream, delta, values, gradient, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            for piece in range(pieces):
                for u in range(units):
                    at = ((row * pieces + piece) * units + u) * size
                    store(delta, at, load(upstream, (row * units + u) * size) * load(slope, at))

    return backward


@layerwise(
    r"\max_{j \le k} z_{u,j}",
    takes="k",
    parameters={"k": Parameter(2, 2, 16, role="shape")},
    monotonic=True,
    smoothness=0,
    saturates="low",
    steepest=(1.0, np.inf),
    reference="Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013",
)
def maxout(k):
    """Maxout: the largest of k pre-activations; of equal ones the first has the slope."""

    def forward(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            for u in range(units):
                first = (row * k * units + u) * size
                largest, place = load(z, first), spread(0, z)
                for piece in range(1, k):
                    x = load(z, first + piece * units * size)
                    place = where(x > largest, piece, place)
                    largest = maximum(largest, x)
                store(h, (row * units + u) * size, largest)
                for piece in range(k):
                    own = where(place == piece, 1, 0)
                    store(slope, first + piece * units * size, where(largest == largest, own, largest))

    return forward, _slopes_backward(k)


_relu, _sigmoid, _silu, _gelu = (formula(act.function) for act in (relu, sigmoid, silu, gelu))


@formula
def _sigmoid_gate(a, b):
    value, slope = _sigmoid(b)
    return a * value, value, a * slope


@formula
def _relu_gate(a, b):
    value, slope = _relu(a)
    return value * b, slope * b, value


@formula
def _gelu_gate(a, b):
    value, slope = _gelu(a)
    return value * b, slope * b, value


@formula
def _silu_gate(a, b):
    value, slope = _silu(a)
    return value * b, slope * b, value


def _gated_loops(gate: Callable) -> tuple[Callable, Callable]:
    """Loops of gate(a, b) -> (value, d/da, d/db), a from the first and b from the second half."""

    def forward(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            for u in range(units):
                first = (row * 2 * units + u) * size
                second = first + units * size
                value, by_a, by_b = gate(load(z, first), load(z, second))
                store(h, (row * units + u) * size, value)
                store(slope, first, by_a)
                store(slope, second, by_b)

    return forward, _slopes_backward(2)


@layerwise(r"a\,\sigma(b)", takes=2, steepest=(np.inf, np.inf), reference="Dauphin, Fan, Auli & Grangier 2017; PyTorch")
def glu():
    """Gated linear unit: the first half of the pre-activations, gated by the sigmoid of the second half."""
    return _gated_loops(_sigmoid_gate)


@layerwise(r"\max(0, a)\,b", takes=2, smoothness=0, steepest=(np.inf, np.inf), reference="Shazeer 2020")
def reglu():
    """Gated linear unit with a rectified gate, the first half."""
    return _gated_loops(_relu_gate)


@layerwise(r"\mathrm{gelu}(a)\,b", takes=2, steepest=(np.inf, np.inf), reference="Shazeer 2020")
def geglu():
    """Gated linear unit with a Gaussian error linear gate, the first half."""
    return _gated_loops(_gelu_gate)


@layerwise(r"\mathrm{silu}(a)\,b", takes=2, steepest=(np.inf, np.inf), reference="Shazeer 2020")
def swiglu():
    """Gated linear unit with a SiLU gate, the first half."""
    return _gated_loops(_silu_gate)


@layerwise(
    r"(\max(0, z), \max(0, -z))",
    gives=2,
    range=(0.0, np.inf),
    smoothness=0,
    steepest=(1.0, np.inf),
    reference="Shang, Sohn, Almeida & Lee 2016",
)
def crelu():
    """Concatenated ReLU: both signs of each pre-activation, the positive parts of all units first."""

    def forward(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            for u in range(units):
                at = (row * units + u) * size
                positive = (row * 2 * units + u) * size
                x = load(z, at)
                store(h, positive, where(x <= 0, 0, x))
                store(h, positive + units * size, where(x >= 0, 0, -x))
                store(slope, at, where(x == 0, 0, where(x == x, 1, x)))

    def backward(z, h, slope, upstream, delta, values, gradient, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            for u in range(units):
                at = (row * units + u) * size
                positive = (row * 2 * units + u) * size
                x = load(z, at)
                above, below = load(upstream, positive), load(upstream, positive + units * size)
                store(delta, at, where(x > 0, above, where(x < 0, -below, where(x == 0, 0, x))))

    return forward, backward
