"""The tasks every contender trains: shapes, data, initial weights and learning rates, all drawn from one seed, so
that every process builds the same problem by itself.

A row of `peers.py` is one task, or a campaign: the same task under several activations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from . import Weights

MEAN_SQUARED_ERROR, SOFTMAX_CROSS_ENTROPY = "mean_squared_error", "softmax_cross_entropy"
# Adam as Kingma and Ba and every library have it.
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
ADAM_RATES = 1 / 30  # of the rates for SGD
MOST_STEPS = 400


@dataclass(frozen=True)
class Task:
    """`networks` multilayer perceptrons of `widths`, with biases, float32, each with its own learning rate,
    trained for `steps` steps on batches common to all networks.

    `full_batch` means that every step sees the same samples. `initializers` are taken in turn by the networks.
    Sizes are chosen so that gradsim needs a few tenths of a second on two cores and no contender more than 2 GB.
    """

    name: str
    widths: tuple[int, ...]
    activation: str
    loss: str
    batch: int
    networks: int
    steps: int
    full_batch: bool = False
    optimizer: str = "sgd"
    initializers: tuple[str, ...] = ()

    @property
    def flops(self) -> int:
        """Floating-point operations of one run: forward, weight gradient and backward-data are one
        multiply-add a weight and sample each; the first layer needs no backward-data."""
        layers = [m * n for m, n in pairwise(self.widths)]
        return self.networks * self.steps * 2 * self.batch * (3 * sum(layers) - layers[0])

    @property
    def tasks(self) -> tuple[Task, ...]:
        """A task is a row of one."""
        return (self,)

    def quick(self) -> Task:
        """The same task small enough to try the machinery in a second; its timings mean nothing."""
        return replace(self, networks=max(64, self.networks // 32), steps=max(4, self.steps // 8))

    def of(self, activation: str = "", optimizer: str = "", networks: int = 0) -> Task:
        """Another activation, optimizer or count (about the same work, `MOST_STEPS` steps at most), so named."""
        words = [self.name, activation * (activation != self.activation), optimizer * (optimizer != self.optimizer)]
        steps = min(MOST_STEPS, max(1, self.steps * self.networks // networks)) if networks else self.steps
        words.append(f"x{networks}" * bool(networks))
        return replace(
            self,
            name="/".join(filter(None, words)),
            activation=activation or self.activation,
            optimizer=optimizer or self.optimizer,
            networks=networks or self.networks,
            steps=steps,
        )


@dataclass(frozen=True)
class Campaign:
    """Tasks of one shape under several activations, run one after the other: each has to be compiled as well."""

    name: str
    base: Task
    activations: tuple[str, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        return tuple(replace(self.base, name=self.name, activation=a) for a in self.activations)

    @property
    def flops(self) -> int:
        """Of all tasks."""
        return sum(task.flops for task in self.tasks)

    def quick(self) -> Campaign:
        """Few networks and steps, two activations."""
        return replace(self, base=self.base.quick(), activations=self.activations[:2])


SHAPES = (
    Task("2-8-8-2", (2, 8, 8, 2), "relu", SOFTMAX_CROSS_ENTROPY, 32, 16_384, 64),
    Task("16-16-1", (16, 16, 1), "tanh", MEAN_SQUARED_ERROR, 16, 65_536, 20, full_batch=True),
    Task("64-32-32-10", (64, 32, 32, 10), "relu", SOFTMAX_CROSS_ENTROPY, 64, 2_048, 20),
    Task("64-32x10-10", (64, *[32] * 10, 10), "tanh", SOFTMAX_CROSS_ENTROPY, 64, 1_024, 8),
    Task("784-128-128-10", (784, 128, 128, 10), "relu", SOFTMAX_CROSS_ENTROPY, 128, 64, 10),
)
EACH_ACTIVATION, EACH_OPTIMIZER = ("relu", "tanh", "gelu"), ("sgd", "adam")
SWEEPS = {"16-16-1": (64, 256, 1_024, 4_096, 16_384), "64-32-32-10": (64, 256, 1_024, 8_192, 16_384)}
# 8 activations x 4 initializers x 8 rates x 16 seeds.
MIXED = ("relu", "tanh", "gelu", "sigmoid", "silu", "elu", "softplus", "leaky_relu")
INITIALIZERS = {
    "he_normal": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "glorot_normal": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "lecun_normal": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "normal": lambda fan_in, fan_out: 0.1,
}
RATES, SEEDS = 8, 16


def _rows() -> dict[str, Task | Campaign]:
    rows: list[Task | Campaign] = [
        shape.of(activation, optimizer)
        for optimizer in EACH_OPTIMIZER
        for shape in SHAPES
        for activation in (shape.activation, *(a for a in EACH_ACTIVATION if a != shape.activation))
    ]
    rows += [shape.of(networks=n) for shape in SHAPES for n in SWEEPS.get(shape.name, ())]
    for shape, steps in ((SHAPES[0], 1_000), (SHAPES[2], 100)):
        networks = len(INITIALIZERS) * RATES * SEEDS
        base = replace(shape, networks=networks, steps=steps, initializers=tuple(INITIALIZERS))
        rows.append(Campaign(f"mixed/{shape.name}", base, MIXED))
    return {row.name: row for row in rows}


ROWS = _rows()
# What runs where no rows are named: every shape as it is, and a campaign.
USUAL_ROWS = (*(shape.name for shape in SHAPES), f"mixed/{SHAPES[0].name}")


@dataclass(frozen=True)
class Problem:
    """The arrays of a task, float32: `weights` is `[(W [nets, fan_in, fan_out], b [nets, fan_out]), ...]`,
    `X [steps, batch, features]`, `y` integer `[steps, batch]` or float `[steps, batch, outputs]`."""

    weights: Weights
    X: np.ndarray
    y: np.ndarray
    learning_rate: np.ndarray

    def first_steps(self, count: int) -> Problem:
        """The same problem with a stream of `count` batches at most, for trials."""
        return replace(self, X=self.X[:count], y=self.y[:count])

    def initial(self, index: int) -> Weights:
        """Network `index` before training, float64."""
        return [(W[index].astype(float), b[index].astype(float)) for W, b in self.weights]


def make_problem(task: Task) -> Problem:
    """The arrays of `task`, the same in every process: zero biases, learning rates over a decade, targets from a
    linear teacher so that there is something to learn."""
    rng = np.random.default_rng(20_240_229)
    initializers = task.initializers or ("he_normal" if task.activation == "relu" else "lecun_normal",)
    weights = []
    for fan_in, fan_out in pairwise(task.widths):
        W = rng.standard_normal((task.networks, fan_in, fan_out), dtype=np.float32)
        scales = np.array([INITIALIZERS[name](fan_in, fan_out) for name in initializers], np.float32)
        W *= np.resize(scales, task.networks)[:, None, None]
        weights.append((W, np.zeros((task.networks, fan_out), np.float32)))
    drawn = 1 if task.full_batch else task.steps
    X = rng.standard_normal((drawn, task.batch, task.widths[0]), dtype=np.float32)
    teacher = rng.standard_normal((task.widths[0], task.widths[-1])) / np.sqrt(task.widths[0])
    y = X @ teacher
    y = y.astype(np.float32) if task.loss == MEAN_SQUARED_ERROR else y.argmax(-1)
    repeat = task.steps // drawn
    X, y = np.repeat(X, repeat, axis=0), np.repeat(y, repeat, axis=0)
    rates = np.geomspace(0.01, 0.1, RATES if task.initializers else task.networks, dtype=np.float32)
    if task.optimizer == "adam":
        rates *= np.float32(ADAM_RATES)
    return Problem(weights, X, y, rng.permutation(np.resize(rates, task.networks)))


def one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    """Integer classes as float32 rows of an identity matrix."""
    return np.eye(classes, dtype=np.float32)[y]
