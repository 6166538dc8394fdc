"""The float64 NumPy twin that says whether a contender trained right: one network, by the textbook."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import expit, ndtr

from . import Weights
from .tasks import BETA1, BETA2, EPS, MEAN_SQUARED_ERROR, Problem, Task, one_hot


def _relu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.maximum(z, 0), (z > 0).astype(z.dtype)


def _tanh(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    t = np.tanh(z)
    return t, 1 - t * t


def _sigmoid(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s = expit(z)
    return s, s * (1 - s)


def _gelu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    below = ndtr(z)
    return z * below, below + z * np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))


def _silu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s = expit(z)
    return z * s, s * (1 + z * (1 - s))


def _elu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    below = np.expm1(np.minimum(z, 0))
    return np.where(z > 0, z, below), np.where(z > 0, 1, below + 1).astype(z.dtype)


def _softplus(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.logaddexp(0, z).astype(z.dtype), expit(z)


def _leaky_relu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    slope = np.where(z > 0, 1, 0.01).astype(z.dtype)
    return z * slope, slope


HALF_ULP = np.finfo(np.float32).eps / 2

# Value and slope of an array, in its precision.
ACTIVATIONS = {
    "relu": _relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "gelu": _gelu,
    "silu": _silu,
    "elu": _elu,
    "softplus": _softplus,
    "leaky_relu": _leaky_relu,
}


def _forward(
    task: Task, weights: Weights, x: np.ndarray, shift: float = 0.0
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Layer inputs and, last, the network's output; the slopes of the hidden layers.

    `shift` moves every preactivation of a hidden layer by so many times what rounding a sum of its length costs.
    """
    values, slopes = [x], []
    for W, b in weights[:-1]:
        z = values[-1] @ W + b
        z += shift * HALF_ULP * math.sqrt(len(W)) * np.sqrt(np.mean(z * z))
        h, slope = ACTIVATIONS[task.activation](z)
        values.append(h)
        slopes.append(slope)
    W, b = weights[-1]
    return [*values, values[-1] @ W + b], slopes


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
    out = _forward(task, weights, problem.X[-1].astype(float))[0][-1]
    return _loss(task, out, problem.y[-1])[0]


def gradients(task: Task, weights: Weights, x: np.ndarray, y: np.ndarray, shift: float = 0.0) -> Weights:
    """dLoss/dW and dLoss/db of every layer; `shift` as in `_forward`."""
    values, slopes = _forward(task, weights, x, shift)
    delta = _loss(task, values[-1], y)[1]
    found = []
    for layer in range(len(weights) - 1, -1, -1):
        found.append((values[layer].T @ delta, delta.sum(0)))
        if layer:
            delta = (delta @ weights[layer][0].T) * slopes[layer - 1]
    return found[::-1]


def reference(task: Task, problem: Problem, index: int, shift: float = 0.0) -> Weights:
    """Network `index` trained by the textbook, in float64.

    With a `shift`, as float32 might do it: preactivations as `_forward` shifts them, weights rounded after every step.
    """
    held = np.float32 if shift else np.float64
    weights, rate = problem.initial(index), float(problem.learning_rate[index])
    flat = [part for pair in weights for part in pair]
    m, v = ([np.zeros_like(w) for w in flat] for _ in range(2))
    for step, (x, y) in enumerate(zip(problem.X.astype(float), problem.y, strict=True), 1):
        for i, g in enumerate(part for pair in gradients(task, weights, x, y, shift) for part in pair):
            if task.optimizer == "adam":
                m[i] = BETA1 * m[i] + (1 - BETA1) * g
                v[i] = BETA2 * v[i] + (1 - BETA2) * g * g
                g = m[i] / (1 - BETA1**step) / (np.sqrt(v[i] / (1 - BETA2**step)) + EPS)
            flat[i][...] = (flat[i] - rate * g).astype(held)
    return weights


class Gate:
    """Compares a contender with the twin on a few networks spread over the batch of networks.

    Only those count that float32 can decide: where a twin with weights held in float32 and all preactivations moved up,
    or down, by as much as float32 may get them wrong becomes another one, by a unit that is on here and off there or by
    chaos, contenders that are right differ as much, by the order in which they add.
    """

    TOLERANCE = 1e-3
    NETWORKS, TRIED = 4, 32
    SHIFT = 4.0  # times the rounding of a sum

    def __init__(self, task: Task, problem: Problem) -> None:
        self.task, self.problem = task, problem
        self.expected: dict[int, Weights] = {}
        last = task.networks - 1
        spread = [i * last // (self.TRIED - 1) for i in range(self.TRIED)]
        for index in dict.fromkeys([0, last, *(spread[k] for begin in range(4) for k in range(begin, self.TRIED, 4))]):
            expected = reference(task, problem, index)
            rounded = (reference(task, problem, index, shift) for shift in (self.SHIFT, -self.SHIFT))
            if all(self._error(index, expected, other) < self.TOLERANCE / 10 for other in rounded):
                self.expected[index] = expected
            if len(self.expected) == self.NETWORKS:
                return
        if not self.expected:
            raise ValueError(f"{task.name}: float32 decides none of {self.TRIED} networks; give fewer steps")

    def error(self, network: Callable[[int], Weights]) -> float:
        """Largest relative error over the checked networks, of the final loss and of what training added to
        the weights: norm(W - W64) / norm(W64 - W0), which an untrained network cannot pass. Not finite
        counts as 1e9."""
        return max(self._error(index, expected, network(index)) for index, expected in self.expected.items())

    def _error(self, index: int, expected: Weights, found: Weights) -> float:
        trained = [(np.asarray(W, float), np.asarray(b, float)) for W, b in found]
        moved = _flat(expected) - _flat(self.problem.initial(index))
        weights = np.linalg.norm(_flat(trained) - _flat(expected)) / np.linalg.norm(moved)
        loss = loss_of(self.task, self.problem, expected)
        relative = abs(loss_of(self.task, self.problem, trained) - loss) / loss
        return max(float(e) if np.isfinite(e) else 1e9 for e in (weights, relative))


def _flat(weights: Weights) -> np.ndarray:
    return np.concatenate([part.ravel() for pair in weights for part in pair])
