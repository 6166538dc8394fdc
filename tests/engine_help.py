"""Networks for the engine and the same ones for the twin: every lane with numbers of its own."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cached_property

import naive
import numpy as np

from gradsim.activations import get
from gradsim.engine.network import Architecture, lanes_array
from gradsim.engine.probe import STATISTICS
from gradsim.engine.train import FINAL, Networks, Records, Samples, Task, saturation_limits
from gradsim.lanes import LANES, aligned_empty
from gradsim.losses import LOSSES
from gradsim.optimizers import OPTIMIZERS
from gradsim.schedules import SCHEDULES

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
CHECKPOINTS = (0, 1, 2, 7, 8, 33, 49, 50)
DTYPES = {"float32": np.dtype(np.float32), "float64": np.dtype(np.float64)}


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is trained. `batch` None is the full batch; `networks` None fills one group."""

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    dtype: str = "float64"
    loss: str = "softmax_cross_entropy"
    optimizer: str = "sgd"
    clip_norm: float = 0.0
    clip_value: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    bias: bool = True
    samples: int = 40
    batch: int | None = 9
    steps: int = 50
    rate: float = 0.1
    networks: int | None = None
    checkpoints: tuple[int, ...] | None = None
    probe: int = 256
    test_samples: int = 0
    seed: int = 0
    statistics: bool = True
    vary: bool = True  # whether parameters of activations differ among the networks
    loss_ranges: tuple[tuple[str, float, float], ...] = ()  # of the loss's parameters, else at their defaults


class Trained:
    """The setup after training by the engine, and what the twin needs to repeat any of its networks."""

    def __init__(self, setup: Setup, **changed: np.ndarray):
        """changed: `rates` [networks, layers], `start` [networks, parameters], `seeds` [networks], `targets` [samples,
        outputs] in the place of those drawn."""
        self.setup, self.kind = setup, DTYPES[setup.dtype]
        self.lanes = LANES[self.kind]
        self.count = setup.networks or self.lanes
        self.random = np.random.default_rng(setup.seed)
        self._draw_data()
        self._draw_networks()
        self.seeds = np.arange(self.count, dtype=np.uint64)
        for name, value in changed.items():
            setattr(self, name, np.asarray(value, getattr(self, name).dtype))
        self.task, networks = self._task(), self._networks()
        self.records: Records = self.task.records(len(networks.weights), snapshots=True)
        self.finished = self.task.run(networks, self.records, self.task.workspace(), np.zeros(1, np.int64))
        self.flat = self._by_network(networks.weights[:, None])[:, 0]

    @property
    def architecture(self) -> Architecture:
        s = self.setup
        return Architecture(s.widths, tuple(get(a) for a in s.activations), s.bias)

    # --- drawing --------------------------------------------------------------------------------

    def _draw_data(self):
        s, random, outputs = self.setup, self.random, self.setup.widths[-1]
        total = s.samples + s.test_samples
        self.X = random.normal(size=(total, s.widths[0])).astype(self.kind)
        self.labels = random.integers(0, outputs, total)
        self.targets = random.normal(size=(total, outputs)).astype(self.kind)
        if s.loss == "logistic":
            self.targets = (self.targets > 0).astype(self.kind)
        self.batches = np.empty((s.steps, 0), np.int64)
        if s.batch is not None:
            self.batches = random.integers(0, s.samples, (s.steps, s.batch))

    def _draw_networks(self):
        """Weights of standard deviation 1/sqrt(fan_in), rates within a factor of 2, parameters near their defaults."""
        s, random, n = self.setup, self.random, self.count
        self.values = [
            {k: (p.default * self._factors(p)).astype(self.kind) for k, p in get(a).parameters.items()}
            for a in s.activations
        ]
        parts = []
        for layer, (m, k) in enumerate(self.architecture.shapes):
            parts.append(random.normal(size=(n, m * k)) / np.sqrt(m))
            if s.bias:
                parts.append(random.normal(size=(n, k)) / 4)
            if self.architecture.learned[layer]:
                values = np.stack(list(self.values[layer].values()), axis=1)
                parts.append(np.tile(values, (1, s.widths[layer + 1])))
        self.start = np.concatenate(parts, axis=1).astype(self.kind)
        layers = len(s.widths) - 1
        self.rates = (s.rate * random.uniform(0.5, 1, (n, layers))).astype(self.kind)
        optimizer = OPTIMIZERS[s.optimizer]
        common = {"weight_decay": s.weight_decay, "clip_norm": s.clip_norm, "clip_value": s.clip_value}
        self.steering = {
            k: (common[k] * random.uniform(0.5, 1, n)).astype(self.kind)
            if k in common
            else np.clip(p.default * random.uniform(0.6, 1, n), p.low, p.high).astype(self.kind)
            for k, p in optimizer.parameters.items()
        }
        self.factors = np.empty((n, 0), self.kind)
        if s.schedule != "constant":
            own = {k: np.full(n, p.default) for k, p in SCHEDULES[s.schedule].parameters.items()}
            own["warmup"] = random.integers(0, 9, n)
            self.factors = SCHEDULES[s.schedule].factors(s.steps, **own).astype(self.kind)

        ranges = {name: (low, high) for name, low, high in s.loss_ranges}
        self.loss_numbers = {
            k: random.uniform(*ranges.get(k, (v, v)), n).astype(self.kind) for k, v in LOSSES[s.loss].defaults.items()
        }

    def _factors(self, parameter) -> np.ndarray:
        """[networks], of a parameter's default."""
        if parameter.role == "shape" or not self.setup.vary:
            return np.ones(self.count)
        return self.random.uniform(0.5, 2, self.count)

    # --- for the engine -------------------------------------------------------------------------

    def _task(self) -> Task:
        s, n = self.setup, self.setup.samples
        numeric = LOSSES[s.loss].on_targets

        def samples(rows):
            targets = self.targets[rows].ravel() if numeric else np.empty(0, self.kind)
            return Samples(self.X[rows].ravel(), self.labels[rows].copy(), targets)

        checkpoints = [0, s.steps] if s.checkpoints is None else s.checkpoints
        return Task(
            architecture=self.architecture,
            dtype=self.kind,
            loss=s.loss,
            optimizer=s.optimizer,
            train=samples(slice(0, n)),
            test=samples(slice(n, None)),
            classes=0 if numeric else s.widths[-1],
            batches=self.batches,
            checkpoints=np.array(checkpoints, np.int64),
            probe_samples=min(s.probe, n),
            statistics=s.statistics,
        )

    def _networks(self) -> Networks:
        steering = np.stack(list(self.steering.values()), axis=1)
        layers = self.rates.shape[1]
        numbers = np.concatenate([self.rates[:, :, None], np.repeat(steering[:, None], layers, axis=1)], axis=2)
        columns = [v for values in self.values for v in values.values()] or [np.zeros(self.count)]
        limits = np.zeros((self.count, len(self.values), 2))
        for i in range(self.count):
            for layer in range(len(self.values)):
                act = get(self.setup.activations[layer], **self.parameters(i)[layer])
                limits[i, layer] = act.max_slope, act.steepest_at
        grouped = lanes_array(limits, self.kind)
        return Networks(
            weights=self._stored(self.start),
            parameters=self._stored(np.stack(columns, axis=1)),
            numbers=self._stored(numbers),
            saturation=saturation_limits(grouped[:, :, 0], grouped[:, :, 1], self.kind),
            seeds=lanes_array(self.seeds, self.kind).view(np.float64),
            factors=self._stored(self.factors),
            loss=self._stored(np.stack([*self.loss_numbers.values()] or [np.zeros(self.count)], axis=1)),
        )

    def _stored(self, values):
        """[networks, ..., k] -> aligned [groups, ..., k * lanes]."""
        lanes = lanes_array(values.astype(self.kind), self.kind)
        out = aligned_empty((*lanes.shape[:-2], lanes.shape[-2] * lanes.shape[-1]), self.kind)
        out[...] = lanes.reshape(out.shape)
        return out

    # --- what came out --------------------------------------------------------------------------

    def _by_network(self, values):
        """[groups, rows, k * lanes] -> [networks, rows, k]."""
        split = values.reshape(*values.shape[:2], -1, self.lanes)
        return np.moveaxis(split, -1, 1).reshape(-1, *split.shape[1:3])[: self.count]

    def _each(self, values):
        """[groups, k, lanes] -> [networks, k]."""
        return np.moveaxis(values, -1, 1).reshape(-1, values.shape[1])[: self.count]

    @cached_property
    def losses(self):
        """[networks, steps]."""
        return self._each(self.records.losses)

    @cached_property
    def train_loss(self):
        """[networks, checkpoints]."""
        return self._each(self.records.train_loss)

    @cached_property
    def final(self):
        """name -> [networks]."""
        return dict(zip(FINAL, self._each(self.records.final).T, strict=True))

    @cached_property
    def statistics(self):
        """name -> [networks, checkpoints, layers]."""
        values = self.records.statistics
        split = values.reshape(*values.shape[:3], len(STATISTICS), self.lanes)
        each = np.moveaxis(split, -1, 1).reshape(-1, *split.shape[1:4])[: self.count]
        return dict(zip(STATISTICS, np.moveaxis(each, -1, 0), strict=True))

    def weights(self, network: int) -> list:
        """`[(W, b), ...]` after training, in float64."""
        return self._layers(self.flat[network])

    def snapshot(self, network: int, checkpoint: int) -> list:
        """The same at a checkpoint."""
        return self._layers(self._by_network(self.records.snapshots)[network, checkpoint])

    def _layers(self, flat):
        return self.architecture.split(flat.astype(np.float64))

    # --- for the twin ---------------------------------------------------------------------------

    def parameters(self, network: int) -> list[dict]:
        """The activations' parameters as the lanes hold them."""
        return [{k: float(v[network]) for k, v in values.items()} for values in self.values]

    def activations(self, network: int) -> list:
        return list(zip(self.setup.activations, self.parameters(network), strict=True))

    @cached_property
    def rows(self):
        """[steps, batch] in every case."""
        full = np.arange(self.setup.samples)
        return np.tile(full, (self.setup.steps, 1)) if self.setup.batch is None else self.batches

    @cached_property
    def data(self):
        """X, y as the twin takes them: float64, and targets or labels."""
        numeric = LOSSES[self.setup.loss].on_targets
        return self.X.astype(np.float64), self.targets.astype(np.float64) if numeric else self.labels

    def loss(self, network: int) -> tuple[str, dict]:
        """The loss with its parameters as the lanes hold them."""
        return self.setup.loss, {k: float(v[network]) for k, v in self.loss_numbers.items()}

    def twin(self, network: int) -> tuple[list, np.ndarray]:
        """(weights, losses) of the twin from the same start."""
        s = self.setup
        X, y = (a[: s.samples] for a in self.data)
        optimizer = s.optimizer, {k: float(v[network]) for k, v in self.steering.items()}
        rates = self.rates[network].astype(np.float64)
        factors = self.factors[network].astype(np.float64) if self.factors.shape[1] else None
        start = self._layers(self.start[network])
        loss = self.loss(network)
        return naive.train(start, X, y, self.rows, self.activations(network), loss, optimizer, rates, factors=factors)


def relative_error(got: list, wanted: list) -> float:
    """Largest over all tensors of max abs difference over max abs."""
    worst = 0.0
    for a, b in zip(itertools.chain(*got), itertools.chain(*wanted), strict=True):
        if a is not None or b is not None:
            worst = max(worst, np.abs(a - b).max() / np.abs(b).max())
    return worst
