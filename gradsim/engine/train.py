"""The engine's front: arrays and records of a shard, and the task that its networks share.

`Task.run` hands them to the compiled loop of `gradsim.engine.loop`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from gradsim.engine.loop import FINAL, train_groups
from gradsim.engine.network import Architecture
from gradsim.engine.probe import SATURATED_SHARE, STATISTICS
from gradsim.engine.sharpness import measure_sharpness
from gradsim.lanes import LANES, aligned_empty
from gradsim.losses import LOSSES
from gradsim.optimizers import CLIP_NORM, CLIP_VALUE, OPTIMIZERS

# Rows that go through a network at a time: enough to amortize a call, few enough that activations stay in the cache.
LEAST_ROWS, MOST_ROWS = 64, 128


class Samples(NamedTuple):
    """Data for the kernels: flat scalars [n * features], labels [n], flat targets [n * outputs]."""

    features: np.ndarray
    labels: np.ndarray
    targets: np.ndarray


class Networks(NamedTuple):
    """What a group's networks differ in, lanes last: what is trained [groups, P * L], activation parameters
    [groups, A * L], optimizer numbers [groups, layers, K * L], saturation (threshold, center) [groups, hidden, 2 * L],
    seeds [groups, L] (the bits of uint64 as float64), factors of the learning rate [groups, steps * L] or [groups, 0],
    the loss's numbers [groups, at least 1 * L]."""

    weights: np.ndarray
    parameters: np.ndarray
    numbers: np.ndarray
    saturation: np.ndarray
    seeds: np.ndarray
    factors: np.ndarray
    loss: np.ndarray


class Records(NamedTuple):
    """What a run leaves, float64: batch losses [groups, steps, L], full training losses [groups, checkpoints, L],
    final evaluation [groups, FINAL, L], statistics [groups, checkpoints, layers, STATISTICS * L]; weights at
    checkpoints [groups, checkpoints, P * L], of length 0 where not wanted; sharpness [groups, checkpoints, L],
    likewise."""

    losses: np.ndarray
    train_loss: np.ndarray
    final: np.ndarray
    statistics: np.ndarray
    snapshots: np.ndarray
    sharpness: np.ndarray


class Work(NamedTuple):
    """Scratch of one thread; `clock` where stages are timed (`gradsim.engine.clock`)."""

    z: np.ndarray
    h: np.ndarray
    slope: np.ndarray
    delta: np.ndarray
    upstream: np.ndarray
    grad: np.ndarray
    state: np.ndarray
    old: np.ndarray
    steepest: np.ndarray
    drawn: np.ndarray
    numbers: np.ndarray
    norm: np.ndarray
    change: np.ndarray
    total: np.ndarray
    hits: np.ndarray
    squares: np.ndarray
    batch: Samples
    clock: np.ndarray | None = None


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
        ("keeps_z", np.int64),  # whether pre-activations are needed to go back
        ("campaign_seed", np.int64),
        ("by_length", np.int64),  # whether the optimizer needs the gradient's length
        ("clips_norm", np.int64),  # whether any network clips
        ("clips_value", np.int64),
        ("descends", np.int64),  # whether gradients go into the weights at once
        ("trained", np.int64),  # how many numbers are trained in a group
    ]
)


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything that the networks of a cohort share.

    batches: int64 [steps, batch] rows of the training data, or [steps, 0] for full batches in order.
    checkpoints: steps to record at, increasing, from 0 to `steps`.
    sharpness: whether to measure it there, after training.
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
    campaign_seed: int = 0
    sharpness: bool = False

    @property
    def train_samples(self) -> int:
        return len(self.train.features) // self.architecture.widths[0]

    @property
    def batch(self) -> int:
        return self.batches.shape[1] or self.train_samples

    @property
    def capacity(self) -> int:
        return min(max(self.batch, LEAST_ROWS), MOST_ROWS, self.train_samples)

    def settings(self, networks: Networks) -> np.ndarray:
        """The SETTINGS record."""
        numbers = networks.numbers.reshape(*networks.numbers.shape[:2], -1, LANES[self.dtype])
        optimizer = OPTIMIZERS[self.optimizer]
        clips = [(numbers[:, 0, place] > 0).any() for place in (CLIP_NORM, CLIP_VALUE)]
        # Plain gradient descent on a batch in one piece; backward blocks write over the deltas, and learned parameters
        # have gradients of their own.
        descends = self.optimizer == "sgd" and not any(clips) and self.batch <= self.capacity
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
            self.architecture.has_backward,
            self.campaign_seed,
            optimizer.by_length,
            *clips,
            descends and not self.architecture.has_backward,
            networks.weights.shape[1],
        )
        return record

    def workspace(self) -> Work:
        """Scratch for one thread."""
        architecture = self.architecture
        size, widths = LANES[self.dtype], architecture.widths
        rows, z = self.capacity * size, sum(architecture.preactivations)
        trained = architecture.parameter_count * size
        states = OPTIMIZERS[self.optimizer].states
        ends = [n for shape in architecture.shapes for n in shape]
        drawn = [
            n * len(a.parameters) * bool(a.random) for n, a in zip(widths[1:-1], architecture.activations, strict=True)
        ]
        pieces = {
            "z": rows * z if self.statistics or architecture.has_backward else size,
            "h": rows * sum(n for n, _ in architecture.shapes[1:]),
            "slope": rows * z,
            "delta": rows * max(ends[1:]),
            "upstream": rows * max(ends[1:]) if architecture.has_backward else size,
            "grad": trained,
            "state": trained * states,
            "old": max(m * n for m, n in architecture.shapes) * size,
            "steepest": z * size,
            "drawn": rows * sum(drawn),
            "numbers": (1 + len(OPTIMIZERS[self.optimizer].parameters)) * size,
            "norm": size,
        }
        gathered = self.batches.shape[1]
        batch = Samples(
            np.empty(gathered * widths[0], self.dtype),
            np.empty(gathered, np.int64),
            np.empty(gathered * widths[-1], self.dtype),
        )
        arrays = {name: aligned_empty(max(count, size), self.dtype) for name, count in pieces.items()}
        return Work(
            **arrays,
            change=aligned_empty(self.architecture.depth * size, np.float64),
            total=aligned_empty(size, np.float64),
            hits=aligned_empty(size, np.float64),
            squares=aligned_empty(size, np.float64),
            batch=batch,
        )

    def records(self, groups: int, snapshots: bool = False) -> Records:
        """Empty records, all NaN."""
        size, layers = LANES[self.dtype], self.architecture.depth
        steps, checks = len(self.batches), len(self.checkpoints)
        kept = groups if snapshots or self.sharpness else 0

        def blank(*shape):
            out = aligned_empty(shape, np.float64)
            out.fill(np.nan)
            return out

        # A group whose networks are all lost ends early, and leaves what is here.
        moments = aligned_empty((kept, checks, self.architecture.parameter_count * size), self.dtype)
        moments.fill(np.nan)
        return Records(
            losses=blank(groups, steps, size),
            train_loss=blank(groups, checks, size),
            final=blank(groups, len(FINAL), size),
            statistics=blank(groups if self.statistics else 0, checks, layers, len(STATISTICS) * size),
            snapshots=moments,
            sharpness=blank(groups if self.sharpness else 0, checks, size),
        )

    def run(self, networks: Networks, records: Records, work: Work, stop: np.ndarray) -> bool:
        """Train all groups of `networks` in place; False where `stop[0]` was set meanwhile."""
        layers, settings = self.architecture.layers(self.dtype), self.settings(networks)
        done = train_groups(
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
        if not done or not self.sharpness:
            return done
        return measure_sharpness(self, networks, records.snapshots, stop, records.sharpness)


def saturation_limits(slopes: np.ndarray, centers: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """(threshold, center) lanes from [groups, hidden, L] largest slopes and the points where they are reached."""
    with np.errstate(over="ignore"):  # steeper than float32 can hold is without a bound
        return np.ascontiguousarray(np.concatenate([SATURATED_SHARE * slopes, centers], axis=-1), dtype)
