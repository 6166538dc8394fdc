"""PyTorch with functional transforms: `vmap(grad(loss))` over stacked weights, updates in place."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from . import Setup, Weights
from .machine import cores
from .tasks import BETA1, BETA2, EPS, MEAN_SQUARED_ERROR, Problem, Task


def make_step(task: Task) -> Callable:
    """One step of all networks: `step(weights, moments, rates, x, y, correction, root)`, in place."""
    import torch
    from torch.func import grad, vmap
    from torch.nn import functional

    activation = getattr(functional, task.activation)

    def loss(weights, x, y):
        h = x
        for W, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            h = activation(h @ W + b)
        out = h @ weights[-2] + weights[-1]
        return functional.mse_loss(out, y) if task.loss == MEAN_SQUARED_ERROR else functional.cross_entropy(out, y)

    gradient = vmap(grad(loss), in_dims=(0, None, None))

    def step(weights, moments, rates, x, y, correction, root):
        for i, g in enumerate(gradient(weights, x, y)):
            w, rate = weights[i], rates.view(-1, *[1] * (g.ndim - 1))
            if not moments:
                w.sub_(rate * g)
                continue
            m, v = moments[i]
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            w.sub_(rate * (m / correction) / (v.sqrt() / root + EPS))

    return torch.no_grad()(step)


class TorchFunc:
    """All networks at once; `compiled`: the step through `torch.compile`."""

    def __init__(self, task: Task, problem: Problem, compiled: bool) -> None:
        import torch

        torch.set_num_threads(cores())
        self._torch, self.task, self.problem = torch, task, problem
        self.step = make_step(task)
        self.layout = "vmap(grad), all networks"
        if compiled:
            torch.compiler.reset()
            self.step = torch.compile(self.step, fullgraph=True, dynamic=False)
            self.layout = "torch.compile of vmap(grad), all networks"

    def _run(self, steps: int) -> float:
        torch, problem = self._torch, self.problem
        weights = [torch.from_numpy(part.copy()) for pair in problem.weights for part in pair]
        adam = self.task.optimizer == "adam"
        moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights] if adam else []
        rates, X, y = (torch.from_numpy(np.ascontiguousarray(a)) for a in (problem.learning_rate, problem.X, problem.y))
        # Tensors, for a number would be compiled in.
        t = torch.arange(1, steps + 1, dtype=torch.float64)
        corrections, roots = (1 - BETA1**t).float(), (1 - BETA2**t).sqrt().float()
        start = time.perf_counter()
        for i in range(steps):
            self.step(weights, moments, rates, X[i], y[i], corrections[i], roots[i])
        seconds = time.perf_counter() - start
        self.trained = weights
        return seconds

    def prepare(self) -> Setup:
        """The first two steps compile, where anything is compiled."""
        start = time.perf_counter()
        self._run(2)
        compile_seconds = time.perf_counter() - start
        self.train()
        return Setup(self.layout, compile_seconds)

    def train(self) -> float:
        return self._run(len(self.problem.X))

    def once(self) -> float:
        start = time.perf_counter()
        self.train()
        return time.perf_counter() - start

    def network(self, index: int) -> Weights:
        flat = [w[index].numpy() for w in self.trained]
        return list(zip(flat[::2], flat[1::2], strict=True))


def build(task: Task, problem: Problem) -> TorchFunc:
    return TorchFunc(task, problem, compiled=False)


def versions() -> dict[str, str]:
    import torch

    return {"torch": torch.__version__}
