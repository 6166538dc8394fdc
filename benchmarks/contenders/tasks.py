"""The tasks every contender trains, and the float64 NumPy twin that says whether it trained right.

A task fixes shapes, data, initial weights and learning rates, all drawn from one seed, so that every process
builds the same problem by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import Weights

MEAN_SQUARED_ERROR, SOFTMAX_CROSS_ENTROPY = "mean_squared_error", "softmax_cross_entropy"


@dataclass(frozen=True)
class Task:
    """`networks` multilayer perceptrons of `widths`, with biases, float32, each with its own learning rate,
    trained by plain SGD for `steps` steps on batches common to all networks.

    `full_batch` means that every step sees the same samples. Sizes are chosen so that the fastest contender
    needs one to two seconds on two cores and no contender more than 2 GB.
    """

    name: str
    widths: tuple[int, ...]
    activation: str
    loss: str
    batch: int
    networks: int
    steps: int
    full_batch: bool = False

    @property
    def flops(self) -> int:
        """Floating-point operations of one run: forward, weight gradient and backward-data are one
        multiply-add a weight and sample each; the first layer needs no backward-data."""
        layers = [m * n for m, n in zip(self.widths, self.widths[1:], strict=False)]
        return self.networks * self.steps * 2 * self.batch * (3 * sum(layers) - layers[0])

    def quick(self) -> Task:
        """The same task small enough to try the machinery in a second; its timings mean nothing."""
        return replace(self, networks=max(64, self.networks // 32), steps=max(4, self.steps // 8))


TASKS = {
    task.name: task
    for task in (
        Task("16-16-1", (16, 16, 1), "tanh", MEAN_SQUARED_ERROR, 16, 65_536, 100, full_batch=True),
        Task("64-32-32-10", (64, 32, 32, 10), "relu", SOFTMAX_CROSS_ENTROPY, 64, 2_048, 80),
        Task("64-32x10-10", (64, *[32] * 10, 10), "tanh", SOFTMAX_CROSS_ENTROPY, 64, 1_024, 36),
        Task("2-8-8-2", (2, 8, 8, 2), "relu", SOFTMAX_CROSS_ENTROPY, 32, 16_384, 200),
        Task("784-128-128-10", (784, 128, 128, 10), "relu", SOFTMAX_CROSS_ENTROPY, 128, 128, 18),
    )
}


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
    """The arrays of `task`, the same in every process: He or Glorot weights, zero biases, learning rates over
    a decade, targets from a linear teacher so that there is something to learn."""
    rng = np.random.default_rng(20_240_229)
    gain = 2.0 if task.activation == "relu" else 1.0
    weights = []
    for fan_in, fan_out in zip(task.widths, task.widths[1:], strict=False):
        W = rng.standard_normal((task.networks, fan_in, fan_out), dtype=np.float32)
        W *= np.float32(np.sqrt(gain / fan_in))
        weights.append((W, np.zeros((task.networks, fan_out), np.float32)))
    drawn = 1 if task.full_batch else task.steps
    X = rng.standard_normal((drawn, task.batch, task.widths[0]), dtype=np.float32)
    teacher = rng.standard_normal((task.widths[0], task.widths[-1])) / np.sqrt(task.widths[0])
    y = X @ teacher
    y = y.astype(np.float32) if task.loss == MEAN_SQUARED_ERROR else y.argmax(-1)
    repeat = task.steps // drawn
    X, y = np.repeat(X, repeat, axis=0), np.repeat(y, repeat, axis=0)
    rates = np.geomspace(0.01, 0.1, task.networks).astype(np.float32)
    return Problem(weights, X, y, rng.permutation(rates))


def one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    """Integer classes as float32 rows of an identity matrix."""
    return np.eye(classes, dtype=np.float32)[y]


# --- the twin ---------------------------------------------------------------------------------------------


def _forward(task: Task, weights: Weights, x: np.ndarray) -> list[np.ndarray]:
    """Layer inputs and, last, the network's output."""
    values = [x]
    for layer, (W, b) in enumerate(weights):
        z = values[-1] @ W + b
        hidden = layer < len(weights) - 1
        values.append((np.tanh(z) if task.activation == "tanh" else np.maximum(z, 0)) if hidden else z)
    return values


def _loss(task: Task, out: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss and its gradient in the output."""
    if task.loss == MEAN_SQUARED_ERROR:
        return float(np.mean((out - y) ** 2)), 2 * (out - y) / out.size
    shifted = out - out.max(1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    hot = one_hot(y, out.shape[1])
    return float(-np.mean((hot * log_probability).sum(1))), (np.exp(log_probability) - hot) / len(out)


def loss_of(task: Task, problem: Problem, weights: Weights) -> float:
    """Loss of one network on the last batch of the stream."""
    out = _forward(task, weights, problem.X[-1].astype(float))[-1]
    return _loss(task, out, problem.y[-1])[0]


def reference(task: Task, problem: Problem, index: int) -> Weights:
    """Network `index` trained by the textbook, in float64."""
    weights, rate = problem.initial(index), float(problem.learning_rate[index])
    for x, y in zip(problem.X.astype(float), problem.y, strict=True):
        values = _forward(task, weights, x)
        delta = _loss(task, values[-1], y)[1]
        for layer in range(len(weights) - 1, -1, -1):
            W, b = weights[layer]
            h = values[layer]
            weights[layer] = W - rate * h.T @ delta, b - rate * delta.sum(0)
            if layer:
                delta = (delta @ W.T) * (1 - h * h if task.activation == "tanh" else h > 0)
    return weights


class Gate:
    """Compares a contender with the twin on a few networks spread over the batch of networks."""

    TOLERANCE = 1e-3

    def __init__(self, task: Task, problem: Problem) -> None:
        self.task, self.problem = task, problem
        last = task.networks - 1
        self.expected = {i: reference(task, problem, i) for i in {0, last // 3, 2 * last // 3, last}}

    def error(self, network: Callable[[int], Weights]) -> float:
        """Largest relative error over the checked networks, of the final loss and of what training added to
        the weights: norm(W - W64) / norm(W64 - W0), which an untrained network cannot pass. Not finite
        counts as 1e9."""
        worst = 0.0
        for index, expected in self.expected.items():
            trained = [(np.asarray(W, float), np.asarray(b, float)) for W, b in network(index)]
            moved = _flat(expected) - _flat(self.problem.initial(index))
            weights = np.linalg.norm(_flat(trained) - _flat(expected)) / np.linalg.norm(moved)
            loss = loss_of(self.task, self.problem, expected)
            relative = abs(loss_of(self.task, self.problem, trained) - loss) / loss
            worst = max(worst, *(float(e) if np.isfinite(e) else 1e9 for e in (weights, relative)))
        return worst


def _flat(weights: Weights) -> np.ndarray:
    return np.concatenate([part.ravel() for pair in weights for part in pair])
