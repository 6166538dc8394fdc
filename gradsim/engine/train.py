"""The step loop: batches, forward, loss, backward, update, with records at checkpoints.

`train_groups` is the one compiled entry point. It takes groups `first` to `last` of a shard and writes into the given
records; it allocates nothing, raises nothing, and returns early when `stop[0]` is set. A network whose loss is no
longer finite goes on as NaN beside its neighbors; a group stops when all of its networks are there.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from gradsim import jit
from gradsim.engine.network import Architecture, clear, copy, delta_before, forward, gradient
from gradsim.engine.probe import SATURATED_SHARE, STATISTICS, UPDATE, WEIGHT, mean_square, probe
from gradsim.lanes import (
    LANES,
    aligned_empty,
    count_true,
    lane_count,
    load,
    load_wide,
    pointer,
    spread,
    sqrt,
    store,
    where,
    widen,
)
from gradsim.losses import LOSSES, call_loss
from gradsim.optimizers import OPTIMIZERS, call_optimizer

# Rows that a network evaluates at a time: enough to amortize, few enough for the cache.
PIECE = 64
# Fields of `Records.final`.
FINAL = ("test_loss", "train_hits", "test_hits")


class Samples(NamedTuple):
    """Data as the kernels see it: flat scalars [n * features], labels [n], flat targets [n * outputs] (may be empty)."""

    features: np.ndarray
    labels: np.ndarray
    targets: np.ndarray


class Networks(NamedTuple):
    """What a group's networks differ in, lanes last: weights [groups, P * L], activation parameters [groups, A * L],
    optimizer numbers [groups, layers, K * L], saturation (threshold, center) [groups, hidden, 2 * L]."""

    weights: np.ndarray
    parameters: np.ndarray
    numbers: np.ndarray
    saturation: np.ndarray


class Records(NamedTuple):
    """What a run leaves, float64: batch losses [groups, steps, L], full training losses [groups, checkpoints, L],
    final evaluation [groups, FINAL, L], statistics [groups, checkpoints, layers, STATISTICS * L]; weights at
    checkpoints [groups, checkpoints, P * L], of length 0 where not wanted."""

    losses: np.ndarray
    train_loss: np.ndarray
    final: np.ndarray
    statistics: np.ndarray
    snapshots: np.ndarray


class Work(NamedTuple):
    """Scratch of one thread."""

    z: np.ndarray
    h: np.ndarray
    slope: np.ndarray
    delta: np.ndarray
    other: np.ndarray
    grad: np.ndarray
    state: np.ndarray
    old: np.ndarray
    steepest: np.ndarray
    change: np.ndarray
    total: np.ndarray
    batch: Samples


SETTINGS = np.dtype(
    [
        ("steps", np.int64),
        ("batch", np.int64),
        ("train_samples", np.int64),
        ("test_samples", np.int64),
        ("probe_samples", np.int64),
        ("capacity", np.int64),
        ("classes", np.int64),  # 0 in regression: no hits are counted
        ("loss", np.int64),
        ("optimizer", np.int64),
        ("states", np.int64),
        ("statistics", np.int64),  # whether to probe
    ]
)


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything that the networks of a cohort share.

    batches: int64 [steps, batch] rows of the training data, or [steps, 0] for full batches in order.
    checkpoints: steps to record at, increasing, from 0 to `steps`.
    """

    architecture: Architecture
    dtype: np.dtype
    loss: str
    optimizer: str
    train: Samples
    test: Samples
    classes: int
    batches: np.ndarray
    checkpoints: np.ndarray
    probe_samples: int
    statistics: bool = True

    @property
    def train_samples(self) -> int:
        return len(self.train.features) // self.architecture.widths[0]

    @property
    def batch(self) -> int:
        return self.batches.shape[1] or self.train_samples

    @property
    def capacity(self) -> int:
        return max(self.batch, min(PIECE, self.train_samples))

    def settings(self) -> np.ndarray:
        optimizer = OPTIMIZERS[self.optimizer]
        record = np.zeros(1, SETTINGS)
        record[0] = (
            len(self.batches),
            self.batch,
            self.train_samples,
            len(self.test.features) // self.architecture.widths[0],
            self.probe_samples,
            self.capacity,
            self.classes,
            LOSSES[self.loss].block(self.dtype).address,
            optimizer.block(self.dtype).address,
            optimizer.states,
            self.statistics,
        )
        return record

    def workspace(self) -> Work:
        """Scratch for one thread."""
        size, widths = LANES[self.dtype], self.architecture.widths
        rows, hidden = self.capacity * size, sum(widths[1:-1])
        parameters = self.architecture.parameter_count * size
        states = OPTIMIZERS[self.optimizer].states
        pieces = {
            "z": rows * hidden if self.statistics else size,
            "h": rows * hidden,
            "slope": rows * hidden,
            "delta": rows * max(widths[1:]),
            "other": rows * max(widths[1:]),
            "grad": parameters,
            "state": parameters * states,
            "old": max(m * n for m, n in zip(widths, widths[1:], strict=False)) * size,
            "steepest": hidden * size,
        }
        batch = Samples(
            np.empty(self.batch * widths[0], self.dtype),
            np.empty(self.batch, np.int64),
            np.empty(self.batch * widths[-1], self.dtype),
        )
        arrays = {name: aligned_empty(max(count, size), self.dtype) for name, count in pieces.items()}
        return Work(
            **arrays,
            change=aligned_empty(self.architecture.depth * size, np.float64),
            total=aligned_empty(size, np.float64),
            batch=batch,
        )

    def records(self, groups: int, snapshots: bool = False) -> Records:
        """Empty records, all NaN."""
        size, layers = LANES[self.dtype], self.architecture.depth
        steps, checks = len(self.batches), len(self.checkpoints)
        kept = groups if snapshots else 0

        def blank(*shape):
            out = aligned_empty(shape, np.float64)
            out.fill(np.nan)
            return out

        return Records(
            losses=blank(groups, steps, size),
            train_loss=blank(groups, checks, size),
            final=blank(groups, len(FINAL), size),
            statistics=blank(groups if self.statistics else 0, checks, layers, len(STATISTICS) * size),
            snapshots=aligned_empty((kept, checks, self.architecture.parameter_count * size), self.dtype),
        )

    def run(self, networks: Networks, records: Records, work: Work, stop: np.ndarray) -> bool:
        """Train all groups of `networks` in place; False where `stop[0]` was set meanwhile."""
        layers, settings = self.architecture.layers(self.dtype), self.settings()
        return train_groups(
            len(networks.weights),
            layers,
            settings,
            self.train,
            self.test,
            self.batches,
            self.checkpoints,
            networks,
            records,
            work,
            stop,
        )


def saturation_limits(slopes: np.ndarray, centers: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """(threshold, center) lanes from [groups, hidden, L] largest slopes and the points where they are reached."""
    return np.ascontiguousarray(np.concatenate([SATURATED_SHARE * slopes, centers], axis=-1), dtype)


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
def _evaluate(layers, weights, parameters, settings, samples, count, work, hits):
    """Sum of the losses of all samples into work.total; right predictions into hits where there are classes."""
    size = lane_count(weights)
    features, units = layers[0].fan_in, layers[layers.size - 1].fan_out
    clear(work.total, 0, work.total.size)
    clear(hits, 0, hits.size)
    start = 0
    while start < count:
        rows = min(settings.capacity, count - start)
        data = samples.features[start * features :]
        labels, targets = samples.labels[start:], samples.targets[start * units :]
        forward(layers, weights, parameters, data, work.h, work.h, work.slope, work.delta, rows, settings.capacity)
        if settings.classes > 0:
            for row in range(rows):
                at = row * units * size
                right = load(work.delta, at + labels[row] * size)
                best = right == right
                for unit in range(units):
                    other = load(work.delta, at + unit * size)
                    # The first of equal outputs is the prediction, as in numpy.argmax.
                    best = best & (other < right if unit < labels[row] else other <= right)
                store(hits, 0, load_wide(hits, 0, right) + widen(where(best, 1, 0) + 0 * spread(0, weights)))
        call_loss(settings.loss, pointer(work.delta, 0), labels, targets, rows, units, 1.0, work.total)
        start += rows


@jit.device
def _backward_and_update(layers, weights, numbers, settings, data, rows, work, step, measure):
    """Gradients and update, layer by layer from the last; `measure`: the mean square change of W into work.change."""
    size = lane_count(weights)
    delta, other = work.delta, work.other
    stride = work.grad.size
    for i in range(layers.size - 1, -1, -1):
        layer = layers[i]
        before = layers[i - 1].units if i > 0 else 0
        gradient(layer, i, work.h, before, data, delta, work.grad, False, rows, settings.capacity)
        if i > 0:
            delta_before(layer, layers[i - 1], weights, work.slope, delta, other, rows, settings.capacity)
            delta, other = other, delta
        count = layer.fan_in * layer.fan_out
        first = layer.weights * size
        if measure:
            copy(weights, first, work.old, 0, count * size)
        # The biases follow the weights: one call updates both.
        tensor = count + layer.fan_out if layer.biases >= 0 else count
        call_optimizer(
            settings.optimizer,
            pointer(weights, first),
            pointer(work.grad, first),
            pointer(work.state, first if settings.states > 0 else 0),
            stride,
            tensor,
            pointer(numbers[i], 0),
            step,
        )
        if measure:
            for k in range(0, count * size, size):
                store(work.old, k, load(weights, first + k) - load(work.old, k))
            store(work.change, i * size, mean_square(work.old, 0, count))


@jit.device
def _record_change(layers, statistics, work, like):
    """update_ratio = rms of the step's change over rms of W; NaN where W is 0."""
    size = lane_count(like)
    for i in range(layers.size):
        zero = widen(spread(0, like))
        weight = load_wide(statistics[i], WEIGHT * size, zero)
        change = sqrt(load_wide(work.change, i * size, zero))
        store(statistics[i], UPDATE * size, where(weight > 0, change / weight, np.nan))


@jit.kernel
def train_groups(groups, layers, settings, train, test, batches, checkpoints, networks, records, work, stop):
    """Train `groups` groups; True unless stopped."""
    s = settings[0]
    features, outputs = layers[0].fan_in, layers[layers.size - 1].fan_out
    hits = work.change[: work.total.size]
    for g in range(groups):
        weights, parameters = networks.weights[g], networks.parameters[g]
        numbers, saturation = networks.numbers[g], networks.saturation[g]
        size = lane_count(weights)
        clear(work.state, 0, work.state.size)
        check = 0
        for step in range(s.steps + 1):
            at_checkpoint = check < checkpoints.size and checkpoints[check] == step
            if at_checkpoint:
                if s.statistics:
                    statistics = records.statistics[g, check]
                    probe(
                        layers,
                        weights,
                        parameters,
                        saturation,
                        s.loss,
                        train,
                        s.probe_samples,
                        work,
                        s.capacity,
                        statistics,
                    )
                    if step == s.steps and step > 0:
                        _record_change(layers, statistics, work, weights)
                if step < s.steps:
                    _evaluate(layers, weights, parameters, s, train, s.train_samples, work, hits)
                    for lane in range(size):
                        records.train_loss[g, check, lane] = work.total[lane] / s.train_samples
                if records.snapshots.size:
                    copy(weights, 0, records.snapshots[g, check], 0, weights.size)
                check += 1
            if step == s.steps:
                break
            if stop[0]:
                return False
            batch = work.batch
            if batches.shape[1] > 0:
                _gather(train, batches[step], features, outputs, batch)
                data, labels, targets = batch.features, batch.labels, batch.targets
            else:
                data, labels, targets = train.features, train.labels, train.targets
            forward(layers, weights, parameters, data, work.h, work.h, work.slope, work.delta, s.batch, s.capacity)
            clear(work.total, 0, work.total.size)
            call_loss(s.loss, pointer(work.delta, 0), labels, targets, s.batch, outputs, float(s.batch), work.total)
            lost = load_wide(work.total, 0, spread(0, weights)) / s.batch
            store(records.losses[g, step], 0, lost)
            # A difference with itself is NaN where the loss is not finite.
            if count_true(lost - lost == 0) == 0:
                break
            measure = s.statistics != 0 and (at_checkpoint or step == s.steps - 1)
            _backward_and_update(layers, weights, numbers, s, data, s.batch, work, step, measure)
            if at_checkpoint and s.statistics:
                _record_change(layers, records.statistics[g, check - 1], work, weights)
        if check == checkpoints.size and check > 0:
            _evaluate(layers, weights, parameters, s, train, s.train_samples, work, hits)
            for lane in range(size):
                records.train_loss[g, check - 1, lane] = work.total[lane] / s.train_samples
                records.final[g, 1, lane] = hits[lane] / s.train_samples
            if s.test_samples > 0:
                _evaluate(layers, weights, parameters, s, test, s.test_samples, work, hits)
                for lane in range(size):
                    records.final[g, 0, lane] = work.total[lane] / s.test_samples
                    records.final[g, 2, lane] = hits[lane] / s.test_samples
    return True
