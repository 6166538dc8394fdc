"""The losses' blocks, on lane vectors; `gradsim.losses.spec` says what a block is called with.

Written so that outputs of any size give finite numbers, that a small probability left over keeps its digits (1 - p is
summed, never subtracted), and that NaN stays NaN. Slopes at kinks are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradsim import jit
from gradsim.lanes import exp, lane_count, load, load_wide, log1p, maximum, spread, store, where, widen

# --- outputs against targets, one by one ----------------------------------------------------------


def on_targets(term: Callable) -> Callable:
    """The block of a mean over outputs of `term(output, target, number) -> (value, slope)`."""

    def block(outputs, labels, targets, numbers, rows, units, divisor, total):
        size = lane_count(outputs)
        number = load(numbers, 0)
        scale = 1 / (divisor * units)
        sums = widen(spread(0, outputs))
        for row in range(rows):
            lost = spread(0, outputs)
            for unit in range(units):
                at = (row * units + unit) * size
                value, slope = term(load(outputs, at), targets[row * units + unit], number)
                store(outputs, at, slope * scale)
                lost = lost + value
            sums = sums + widen(lost)
        store(total, 0, load_wide(total, 0, number) + sums / units)

    return block


@jit.formula
def squared(output, target, number):
    error = output - target
    return error * error, 2 * error


@jit.formula
def half_squared(output, target, number):
    error = output - target
    return 0.5 * (error * error), error


@jit.formula
def absolute(output, target, number):
    error = output - target
    return abs(error), where(error > 0, 1, where(error < 0, -1, error))


@jit.formula
def huber(output, target, delta):
    error = output - target
    size = abs(error)
    value = where(size <= delta, 0.5 * (error * error), delta * (size - 0.5 * delta))
    return value, where(error > delta, delta, where(error < -delta, -delta, error))


@jit.formula
def logistic(output, target, number):
    """softplus(o) - t o; its slope sigmoid(o) - t as (1 - t) sigmoid(o) - t sigmoid(-o), exact for targets 0 and 1."""
    t = exp(-abs(output))
    large, small = 1 / (1 + t), t / (1 + t)
    up = output > 0
    value = (where(up, output, 0) - output * target) + log1p(t)
    return value, (1 - target) * where(up, large, small) - target * where(up, small, large)


# --- outputs against a label ----------------------------------------------------------------------


def softmax_cross_entropy(outputs, labels, targets, numbers, rows, units, divisor, total):
    size = lane_count(outputs)
    smoothing = load(numbers, 0)
    # The shares that the label and each other class are to have; `lacking` is what the label's lacks to 1.
    other = smoothing / units
    lacking = other * (units - 1)
    own = 1 - lacking
    sums = widen(spread(0, outputs))
    for row in range(rows):
        first, label = row * units * size, labels[row]
        right = first + label * size
        top = load(outputs, first)
        for unit in range(1, units):
            # An output that is NaN may be passed over here: its e is NaN.
            other_top = load(outputs, first + unit * size)
            top = where(other_top > top, other_top, top)
        behind = top - load(outputs, right)
        rest, all_behind = spread(0, outputs), spread(0, outputs)
        for unit in range(units):
            at = first + unit * size
            lag = abs(load(outputs, at) - top)
            e = exp(-lag)
            store(outputs, at, e)
            all_behind = all_behind + lag
            # Labels are random: a branch here would cost more than the addition of 0.
            rest = rest + e * (unit != label)
        e = load(outputs, right)
        sum_of_exp = rest + e
        scale = 1 / (sum_of_exp * divisor)
        for unit in range(units):
            at = first + unit * size
            store(outputs, at, (load(outputs, at) - sum_of_exp * other) * scale)
        store(outputs, right, (e * lacking - rest * own) * scale)
        # Where the label leads, its own e is 1, and what is left over is the rest to its last digit.
        lost = log1p(where(behind == 0, rest, sum_of_exp - 1))
        # Asked for, since 0 times the lag of an output at -inf would be NaN.
        lost = lost + where(smoothing > 0, (1 - smoothing) * behind + other * all_behind, behind)
        sums = sums + widen(lost)
    store(total, 0, load_wide(total, 0, smoothing) + sums)


def hinge(outputs, labels, targets, numbers, rows, units, divisor, total):
    size = lane_count(outputs)
    margin = load(numbers, 0)
    scale = 1 / (divisor * units)
    for row in range(rows):
        first = row * units * size
        right = load(outputs, first + labels[row] * size)
        lost, count = spread(0, outputs), spread(0, outputs)
        for unit in range(units):
            if unit != labels[row]:
                at = first + unit * size
                short = (load(outputs, at) - right) + margin
                enough = short <= 0  # false for NaN, which goes on
                lost = lost + where(enough, 0, short)
                pushed = where(enough, spread(0, outputs), 1)
                count = count + pushed
                store(outputs, at, pushed * scale)
        store(outputs, first + labels[row] * size, -(count * scale))
        store(total, 0, load_wide(total, 0, lost) + widen(lost) / units)


def crammer_singer(outputs, labels, targets, numbers, rows, units, divisor, total):
    size = lane_count(outputs)
    margin = load(numbers, 0)
    none = spread(0, outputs)
    for row in range(rows):
        first = row * units * size
        right = first + labels[row] * size
        best = spread(-np.inf, outputs)
        for unit in range(units):
            if unit != labels[row]:
                best = maximum(best, load(outputs, first + unit * size))
        short = (best - load(outputs, right)) + margin
        enough = short <= 0
        push = where(enough, none, 1 / divisor)
        # Of equal outputs the first is pushed down, and no other.
        left = push
        for unit in range(units):
            if unit != labels[row]:
                at = first + unit * size
                here = load(outputs, at) == best
                store(outputs, at, where(here, left, 0))
                left = where(here, 0, left)
        store(outputs, right, -push)
        lost = where(enough, 0, short)
        store(total, 0, load_wide(total, 0, lost) + widen(lost))
