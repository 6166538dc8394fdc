"""Layers whose outputs share a whole: softmax and its relatives, by vector-Jacobian product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradsim.activations.blocks import more_digits, rounded_once
from gradsim.activations.layerwise import layerwise
from gradsim.jit import formula
from gradsim.lanes import count_true, exp, lane_count, load, log1p, maximum, spread, store, where


@formula
def _shifted_exponentials(z, h, base, units, sign):
    """exp(sign z - largest) into h; the largest, and the sum of all but one of the largest, whose own is 1.

    Without that one in the sum, 1 - softmax of the largest keeps its digits where the others are tiny.
    """
    size = lane_count(z)
    top = sign * load(z, base)
    for u in range(1, units):
        x = sign * load(z, base + u * size)
        top = where(x > top, x, top)  # one instruction; a NaN reaches the sum
    rest, ones = spread(0, z), spread(-1, z)
    for u in range(units):
        e = exp(sign * load(z, base + u * size) - top)
        store(h, base + u * size, e)
        rest, ones = rest + where(e == 1, 0, e), ones + where(e == 1, 1, 0)
    return top, rest + ones


def _softmax_loops(sign: float) -> tuple[Callable, Callable]:
    def forward(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            base = row * units * size
            _, rest = _shifted_exponentials(z, h, base, units, sign)
            scale = 1 / (1 + rest)
            for u in range(units):
                at = base + u * size
                e = load(h, at)
                share = e * scale
                store(h, at, share)
                store(slope, at, sign * share * where(e == 1, rest * scale, 1 - share))

    def backward(z, h, slope, upstream, delta, values, gradient, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            base = row * units * size
            # Differences to the largest share's: with one share near 1 the others' small ones keep their digits.
            largest, above = load(h, base), load(upstream, base)
            for u in range(1, units):
                share = load(h, base + u * size)
                above = where(share > largest, load(upstream, base + u * size), above)
                largest = maximum(largest, share)
            mean = spread(0, z)
            for u in range(units):
                mean = mean + load(h, base + u * size) * (load(upstream, base + u * size) - above)
            for u in range(units):
                at = base + u * size
                store(delta, at, sign * load(h, at) * ((load(upstream, at) - above) - mean))

    return forward, backward


@layerwise(
    r"\frac{e^{z_u}}{\sum_v e^{z_v}}",
    range=(0.0, 1.0),
    saturates="both",
    steepest=(0.25, np.inf),
    reference="Bridle 1990",
)
def softmax():
    """Softmax over the units of a layer."""
    return _softmax_loops(1.0)


@layerwise(
    r"\frac{e^{-z_u}}{\sum_v e^{-z_v}}",
    range=(0.0, 1.0),
    saturates="both",
    steepest=(0.25, np.inf),
    reference="PyTorch, torch.nn.Softmin",
)
def softmin():
    """Softmax of the negative pre-activations."""
    return _softmax_loops(-1.0)


@layerwise(
    r"z_u - \log \sum_v e^{z_v}",
    range=(-np.inf, 0.0),
    saturates="high",
    steepest=(1.0, np.inf),
    reference="PyTorch, torch.nn.LogSoftmax",
)
def log_softmax():
    """Logarithm of the softmax over the units of a layer."""

    def forward(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            base = row * units * size
            top, rest = _shifted_exponentials(z, slope, base, units, 1.0)
            total, log_total = 1 + rest, log1p(rest)
            scale = 1 / total
            for u in range(units):
                at = base + u * size
                e = load(slope, at)
                store(slope, at, where(e == 1, rest, total - e) * scale)
                store(h, at, (load(z, at) - top) - log_total)

    def backward(z, h, slope, upstream, delta, values, gradient, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            base = row * units * size
            # Shares anew: exp of a large negative output would multiply its rounding error.
            _, rest = _shifted_exponentials(z, delta, base, units, 1.0)
            total = more_digits(spread(0, z))
            for u in range(units):
                total = total + more_digits(load(upstream, base + u * size))
            for u in range(units):
                # up - s total = up (1 - s) - s (total - up), and the slope is 1 - s with all its digits.
                at = base + u * size
                above, share = load(upstream, at), more_digits(load(delta, at)) / more_digits(1 + rest)
                like = more_digits(above)
                exact = like * more_digits(load(slope, at)) - share * (total - like)
                store(delta, at, rounded_once(exact, like, above))

    return forward, backward


@layerwise(
    r"\max(0, z_u - \tau(z)),\; \sum_u \max(0, z_u - \tau) = 1",
    range=(0.0, 1.0),
    smoothness=0,
    saturates="both",
    steepest=(1.0, np.inf),
    reference="Martins & Astudillo 2016",
)
def sparsemax():
    """Euclidean projection onto the probability simplex; on the border of its support a unit is off."""

    def forward(z, h, slope, values, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            base = row * units * size
            top = load(z, base)
            for u in range(1, units):
                top = maximum(top, load(z, base + u * size))
            # The threshold only rises while the support shrinks, and is found when it no longer does. What is left of
            # a unit just above it is the difference of nearly equal numbers: both are kept with more digits.
            like = more_digits(top)
            one, tau, before = spread(1, z), like - np.inf, spread(-1, z)
            count = before
            for _ in range(units + 1):
                total, count = more_digits(spread(-1, z)), spread(0, z)
                for u in range(units):
                    x = more_digits(load(z, base + u * size)) - like
                    total = total + where(x > tau, x, 0)
                    count = count + where(x > tau, one, 0)
                if count_true(count != before) == 0:
                    break
                tau, before = total / more_digits(count), count
            for u in range(units):
                at = base + u * size
                x = rounded_once((more_digits(load(z, at)) - like) - tau, like, top)
                store(h, at, where(x > 0, x, where(x <= 0, 0, x)))
                store(slope, at, where(x > 0, (count - 1) / count, where(x <= 0, 0, x)))

    def backward(z, h, slope, upstream, delta, values, gradient, rows, units, row_stride, unit_stride):
        size = lane_count(z)
        for row in range(rows):
            base = row * units * size
            total, count = spread(0, z), spread(0, z)
            for u in range(units):
                at = base + u * size
                inside = load(h, at) > 0
                total = total + where(inside, load(upstream, at), 0)
                count = count + where(inside, 1, 0)
            mean = total / count
            for u in range(units):
                at = base + u * size
                share = load(h, at)
                store(delta, at, where(share > 0, load(upstream, at) - mean, share))

    return forward, backward
