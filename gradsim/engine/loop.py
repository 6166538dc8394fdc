"""The step loop of one shard, compiled: batches, forward, loss, backward, update, records at checkpoints.

`train_groups` is the entry point; `gradsim.engine.train` builds its arguments. It allocates nothing, raises nothing,
and returns early when `stop[0]` is set. A network whose loss is no longer finite goes on as NaN beside its neighbors; a
group stops when all of its networks are there.

Rows go through the network in pieces of at most `capacity`, so that a piece's activations stay in the cache.
"""

from __future__ import annotations

import numpy as np

from gradsim import jit
from gradsim.engine import clock
from gradsim.engine.network import Group, clear, copy, deltas_before, descend_weights, forward, gradient, sum_rows
from gradsim.engine.probe import UPDATE, WEIGHT, mean_square, probe
from gradsim.lanes import (
    count_true,
    lane_count,
    load,
    load_wide,
    narrow,
    pointer,
    pointers,
    spread,
    sqrt,
    store,
    where,
    widen,
)
from gradsim.losses import call_loss
from gradsim.optimizers import CLIP_NORM, CLIP_VALUE, call_optimizer

# Fields of a run's final evaluation, in the order of `Records.final`.
FINAL = ("test_loss", "train_hits", "test_hits", "train_squares", "test_squares")
_TEST_LOSS, _TRAIN_HITS, _TEST_HITS, _TRAIN_SQUARES, _TEST_SQUARES = range(len(FINAL))
# PyTorch's, in clipping by length.
CLIP_EPSILON = 1e-6


@jit.device
def _gather(samples, rows, features, outputs, batch):
    """Copy rows of the data, so that a batch is contiguous."""
    for i in range(rows.size):
        row = rows[i]
        for f in range(features):
            batch.features[i * features + f] = samples.features[row * features + f]
        if samples.labels.size:
            batch.labels[i] = samples.labels[row]
        if samples.targets.size:
            for c in range(outputs):
                batch.targets[i * outputs + c] = samples.targets[row * outputs + c]


@jit.device
def _count_hits(outputs, labels, rows, units, hits):
    """Add 1 to the lanes whose largest output, the first of equals as in numpy.argmax, is the label's."""
    size = lane_count(outputs)
    for row in range(rows):
        at = row * units * size
        right = load(outputs, at + labels[row] * size)
        best = right == right
        for unit in range(units):
            other = load(outputs, at + unit * size)
            best = best & ((other < right) if unit < labels[row] else (other <= right))
        store(hits, 0, load_wide(hits, 0, right) + widen(where(best, 1, 0)))


@jit.device
def _add_squares(outputs, targets, rows, units, squares):
    """Add the mean over outputs of the squared errors of each row."""
    size = lane_count(outputs)
    for row in range(rows):
        lost = spread(0, outputs)
        for unit in range(units):
            error = load(outputs, (row * units + unit) * size) - targets[row * units + unit]
            lost = lost + error * error
        store(squares, 0, load_wide(squares, 0, lost) + widen(lost) / units)


@jit.device
def _evaluate(layers, group, settings, samples, count, work):
    """The sum of all samples' losses into work.total; right predictions into work.hits where there are classes, else
    squared errors into work.squares."""
    features, units = layers[0].fan_in, layers[layers.size - 1].fan_out
    size = lane_count(group.trained)
    clear(work.total, 0, size)
    clear(work.hits, 0, size)
    clear(work.squares, 0, size)
    start = 0
    while start < count:
        rows = min(settings.capacity, count - start)
        data = samples.features[start * features :]
        labels, targets = samples.labels[start:], samples.targets[start * units :]
        h, capacity = work.h, settings.capacity
        z = work.z if settings.keeps_z else h
        forward(layers, group, data, z, h, work.slope, work.delta, rows, capacity, False, 0, -1, 0, None)
        if settings.classes > 0:
            _count_hits(work.delta, labels, rows, units, work.hits)
        elif targets.size > 0:
            _add_squares(work.delta, targets, rows, units, work.squares)
        call_loss(settings.loss, pointer(work.delta, 0), labels, targets, group.loss, rows, units, 1.0, work.total)
        start += rows


@jit.device
def _mean(sums, count, out):
    """out = sums / count, lane by lane."""
    for lane in range(out.size):
        out[lane] = sums[lane] / count


@jit.device
def _backward(layers, group, settings, data, rows, add, optimize, step, measure, work):
    """Gradients of all layers from the deltas of the output, in work.delta; `add`: on top of what is there. Where
    `settings.descends`, each layer takes its step of gradient descent in place of that."""
    delta, h, capacity = pointer(work.delta, 0), work.h, settings.capacity
    z = work.z if settings.keeps_z else h
    for i in range(layers.size - 1, -1, -1):
        layer, mine = layers[i], delta
        before = layers[i - 1].h if i > 0 else 0
        if not settings.descends:
            gradient(layer, i, h, before, data, delta, work.grad, add, rows, capacity)
            clock.mark(work.clock, clock.GRADIENT, i)
        if i > 0:
            delta = deltas_before(layer, layers[i - 1], group, z, delta, add, rows, capacity, True, work)
            clock.mark(work.clock, clock.DELTAS, i)
        if settings.descends:
            # Now that nobody needs the weights as they were.
            _descend(layer, i, group.trained, h, before, data, mine, rows, optimize, settings, step, measure, work)
            clock.mark(work.clock, clock.GRADIENT, i)


@jit.device
def _descend(layer, i, weights, h, before, data, delta, rows, optimize, settings, step, measure, work):
    """One step of gradient descent on a layer."""
    size = lane_count(weights)
    numbers, factors = optimize
    if measure:
        copy(weights, layer.weights * size, work.old, 0, layer.fan_in * layer.fan_out * size)
    _scaled_rate(numbers[i], factors, step, work.numbers)
    descend_weights(layer, i, weights, h, before, data, delta, work.numbers, rows, settings.capacity)
    if layer.biases >= 0:
        at = layer.biases * size
        sum_rows(delta, work.grad, at, layer.fan_out, rows, False)
        _optimize(settings, weights, work, at, layer.fan_out, layer.fan_out, step)
    if measure:
        _measure(layer, i, weights, work)


@jit.device
def _optimize(settings, weights, work, first, count, decayed, step):
    """The optimizer on so many lane vectors from `first` on."""
    at_state = first if settings.states > 0 else 0
    w, g, s = pointer(weights, first), pointer(work.grad, first), pointer(work.state, at_state)
    given, norm = pointer(work.numbers, 0), pointer(work.norm, 0)
    call_optimizer(settings.optimizer, w, g, s, settings.trained, count, decayed, given, norm, step)


@jit.device
def _measure(layer, i, weights, work):
    """The mean square change of a layer's weights since they were copied into work.old, into work.change."""
    size = lane_count(weights)
    count = layer.fan_in * layer.fan_out
    for k in range(0, count * size, size):
        store(work.old, k, load(weights, layer.weights * size + k) - load(work.old, k))
    store(work.change, i * size, mean_square(work.old, 0, count))


@jit.device
def _clip(grad, numbers, settings, norm):
    """Clip the gradient by value and by length, as the lanes say; the length that it has then, into `norm`."""
    size = lane_count(grad)
    if settings.clips_value:
        most = load(numbers, CLIP_VALUE * size)
        for i in range(0, settings.trained, size):
            g = load(grad, i)
            cut = where(g > most, most, where(g < -most, -most, g))
            store(grad, i, where(most > 0, cut, g))
    if settings.by_length or settings.clips_norm:
        count = settings.trained // size
        length = sqrt(mean_square(grad, 0, count) * count)
        if settings.clips_norm:
            most = widen(load(numbers, CLIP_NORM * size))
            factor = most / (length + CLIP_EPSILON)
            factor = where((most > 0) & (factor < 1), factor, 1)
            # A gradient that is not finite stays so.
            scale = narrow(where(length == length, factor, length), load(grad, 0))
            for i in range(0, settings.trained, size):
                store(grad, i, load(grad, i) * scale)
            length = length * factor
        store(norm, 0, narrow(length, load(grad, 0)))


@jit.device
def _scaled_rate(numbers, factors, step, out):
    """The numbers of a layer, the learning rate times the schedule's factor."""
    size = lane_count(out)
    copy(numbers, 0, out, 0, numbers.size)
    if factors.size:
        store(out, 0, load(out, 0) * load(factors, step * size))


@jit.device
def _update(layers, weights, numbers, factors, settings, work, step, measure):
    """One optimizer step on every layer; `measure`: also the mean square change of W, into work.change."""
    size = lane_count(weights)
    _clip(work.grad, numbers[0], settings, work.norm)
    for i in range(layers.size):
        layer = layers[i]
        first, count = layer.weights * size, layer.fan_in * layer.fan_out
        if measure:
            copy(weights, first, work.old, 0, count * size)
        _scaled_rate(numbers[i], factors, step, work.numbers)
        # Biases and learned parameters follow the weights: one call updates all; learned parameters do not decay.
        decayed = layer.learned - layer.weights if layer.learned >= 0 else layer.trained
        _optimize(settings, weights, work, first, layer.trained, decayed, step)
        if measure:
            _measure(layer, i, weights, work)
        clock.mark(work.clock, clock.UPDATE, i)


@jit.device
def _record_change(layers, statistics, work, like):
    """update_ratio = rms of the step's change over rms of W; NaN where W is 0."""
    size = lane_count(like)
    zero = widen(spread(0, like))
    for i in range(layers.size):
        weight = load_wide(statistics[i], WEIGHT * size, zero)
        change = sqrt(load_wide(work.change, i * size, zero))
        store(statistics[i], UPDATE * size, where(weight > 0, change / weight, np.nan))


@jit.device
def _all_lost(total, like):
    """Whether no network's loss is finite; a difference with itself is NaN where it is not."""
    lost = load_wide(total, 0, spread(0, like))
    return count_true(lost - lost == 0) == 0


@jit.device
def _step(layers, group, settings, train, rows, optimize, step, measure, work):
    """Gradients of one batch into work.grad, or into the weights where `settings.descends`, the sum of its losses into
    work.total; `rows`: which samples, or none."""
    features, outputs = layers[0].fan_in, layers[layers.size - 1].fan_out
    samples = train
    if rows.size > 0:
        _gather(train, rows, features, outputs, work.batch)
        samples = work.batch
    clock.mark(work.clock, clock.BATCH, 0)
    clear(work.total, 0, lane_count(group.trained))
    start = 0
    while start < settings.batch:
        piece = min(settings.capacity, settings.batch - start)
        data = samples.features[start * features :]
        labels, targets = samples.labels[start:], samples.targets[start * outputs :]
        h, capacity = work.h, settings.capacity
        z = work.z if settings.keeps_z else h
        seed = settings.campaign_seed
        forward(layers, group, data, z, h, work.slope, work.delta, piece, capacity, True, seed, step, start, work.clock)
        batch = float(settings.batch)
        call_loss(settings.loss, pointer(work.delta, 0), labels, targets, group.loss, piece, outputs, batch, work.total)
        clock.mark(work.clock, clock.LOSS, 0)
        if settings.descends and _all_lost(work.total, work.grad):
            break
        _backward(layers, group, settings, data, piece, start > 0, optimize, step, measure, work)
        start += piece


@jit.kernel
def train_groups(groups, layers, settings, train, test, batches, checkpoints, networks, records, work, stop):
    """Train `groups` groups; True unless stopped."""
    s, states = settings[0], work.state.size
    work = pointers(work)
    clock.begin(work.clock)
    for g in range(groups):
        numbers, saturation = networks.numbers[g], networks.saturation[g]
        group = pointers(
            Group(networks.weights[g], networks.parameters[g], networks.seeds[g], work.drawn, networks.loss[g])
        )
        weights = group.trained
        clear(work.state, 0, states)
        check = 0
        for step in range(s.steps + 1):
            at_checkpoint = check < checkpoints.size and checkpoints[check] == step
            if at_checkpoint:
                if s.statistics:
                    found = records.statistics[g, check]
                    rows, capacity = s.probe_samples, s.capacity
                    probe(layers, group, saturation, s.loss, train, rows, work, capacity, found)
                    if step == s.steps:
                        _record_change(layers, found, work, weights)
                _evaluate(layers, group, s, train, s.train_samples, work)
                _mean(work.total, s.train_samples, records.train_loss[g, check])
                if records.snapshots.size:
                    copy(weights, 0, records.snapshots[g, check], 0, s.trained)
                check += 1
            if step == s.steps:
                break
            if stop[0]:
                return False
            clock.mark(work.clock, clock.OTHER, 0)
            measure = s.statistics != 0 and (at_checkpoint or step == s.steps - 1)
            optimize = numbers, networks.factors[g]
            _step(layers, group, s, train, batches[step], optimize, step, measure, work)
            lost = load_wide(work.total, 0, spread(0, weights)) / s.batch
            store(records.losses[g, step], 0, lost)
            clock.mark(work.clock, clock.OTHER, 0)
            if _all_lost(work.total, work.grad):
                break
            if not s.descends:
                _update(layers, weights, numbers, networks.factors[g], s, work, step, measure)
            if at_checkpoint and s.statistics:
                _record_change(layers, records.statistics[g, check - 1], work, weights)
        if check > 0 and check == checkpoints.size:
            # The last checkpoint has just been evaluated on the training data.
            _mean(work.hits, s.train_samples, records.final[g, _TRAIN_HITS])
            _mean(work.squares, s.train_samples, records.final[g, _TRAIN_SQUARES])
            if s.test_samples > 0:
                _evaluate(layers, group, s, test, s.test_samples, work)
                _mean(work.total, s.test_samples, records.final[g, _TEST_LOSS])
                _mean(work.hits, s.test_samples, records.final[g, _TEST_HITS])
                _mean(work.squares, s.test_samples, records.final[g, _TEST_SQUARES])
    return True
