"""NumPy: forward and backward by hand with `matmul` over stacked weights, in chunks of networks that stay in the
cache, one Python thread a core; its BLAS has one thread each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import TRIAL_STEPS, Setup, Weights, fastest
from .machine import cores
from .tasks import BETA1, BETA2, EPS, MEAN_SQUARED_ERROR, Problem, Task, one_hot
from .twin import ACTIVATIONS

CHUNKS = (8, 32, 128, 512)
USUAL = 32


class Chunk:
    """Some networks of a task: their weights and one training step."""

    def __init__(self, task: Task, problem: Problem, part: slice) -> None:
        self.task, self.activation = task, ACTIVATIONS[task.activation]
        self.weights = [w.copy() for W, b in problem.weights for w in (W[part], b[part, None])]
        self.rates = problem.learning_rate[part, None, None]
        self.moments = [np.zeros_like(w) for w in self.weights], [np.zeros_like(w) for w in self.weights]

    def step(self, x: np.ndarray, y: np.ndarray, number: int) -> None:
        """Step `number`, from 1, on x [batch, features], y [batch, outputs] (one-hot for classes)."""
        h, slopes = [x], []
        pairs = list(zip(self.weights[::2], self.weights[1::2], strict=True))
        for W, b in pairs[:-1]:
            z = np.matmul(h[-1], W)
            z += b
            value, slope = self.activation(z)
            h.append(value)
            slopes.append(slope)
        out = np.matmul(h[-1], pairs[-1][0])
        out += pairs[-1][1]
        delta = self._delta(out, y)
        for layer in range(len(pairs) - 1, -1, -1):
            below = None
            if layer:
                below = np.matmul(delta, pairs[layer][0].swapaxes(1, 2))
                below *= slopes[layer - 1]
            self._update(2 * layer, np.matmul(h[layer].swapaxes(-1, -2), delta), number)
            self._update(2 * layer + 1, delta.sum(1, keepdims=True), number)
            delta = below

    def _delta(self, out: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self.task.loss == MEAN_SQUARED_ERROR:
            out -= y
            out *= 2 / (out.shape[1] * out.shape[2])
            return out
        out -= out.max(-1, keepdims=True)
        np.exp(out, out=out)
        out /= out.sum(-1, keepdims=True)
        out -= y
        out /= out.shape[1]
        return out

    def _update(self, place: int, g: np.ndarray, number: int) -> None:
        if self.task.optimizer == "adam":
            m, v = (kept[place] for kept in self.moments)
            m *= BETA1
            m += (1 - BETA1) * g
            v *= BETA2
            v += (1 - BETA2) * (g * g)
            g = m / (np.sqrt(v) * (1 - BETA2**number) ** -0.5 + EPS)
            g *= 1 / (1 - BETA1**number)
        g *= self.rates
        self.weights[place] -= g


class NumpyMatmul:
    """A task in chunks of the size that wins the trial."""

    def __init__(self, task: Task, problem: Problem) -> None:
        self.task, self.problem, self.size = task, problem, min(USUAL, task.networks)

    def _run(self, problem: Problem, size: int) -> float:
        from threadpoolctl import threadpool_limits

        starts = range(0, self.task.networks, size)
        self._chunks = [Chunk(self.task, problem, slice(s, s + size)) for s in starts]
        y = problem.y if self.task.loss == MEAN_SQUARED_ERROR else one_hot(problem.y, self.task.widths[-1])

        def work(chunk: Chunk) -> None:
            for number, batch in enumerate(zip(problem.X, y, strict=True), 1):
                chunk.step(*batch, number)

        with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores()) as pool:
            start = time.perf_counter()
            list(pool.map(work, self._chunks))
            return time.perf_counter() - start

    def prepare(self) -> Setup:
        short = self.problem.first_steps(TRIAL_STEPS)
        sizes = [size for size in CHUNKS if size * cores() <= self.task.networks] or [self.size]
        self.size, trials = fastest(sizes, lambda size: self._run(short, size), rounds=1)
        self.train()
        named = {f"chunks of {size}": least / len(short.X) for size, least in trials.items()}
        return Setup(f"chunks of {self.size}", 0.0, named)

    def train(self) -> float:
        return self._run(self.problem, self.size)

    def once(self) -> float:
        start = time.perf_counter()
        self.train()
        return time.perf_counter() - start

    def network(self, index: int) -> Weights:
        weights, place = self._chunks[index // self.size].weights, index % self.size
        return [(W[place], b[place, 0]) for W, b in zip(weights[::2], weights[1::2], strict=True)]


def build(task: Task, problem: Problem) -> NumpyMatmul:
    return NumpyMatmul(task, problem)


def versions() -> dict[str, str]:
    return {"numpy": np.__version__}
