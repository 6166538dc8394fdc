"""PyTorch at its best: forward and backward by hand with batched products into preallocated buffers.

The learning rates are multiplied into the output's delta, so that each weight gradient and its update are one
in-place `baddbmm_`. It tries the first layer as one wide product (its input is shared by all networks) and
chunks of networks, small enough for the cache, on one Python thread a core.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import TRIAL_STEPS, Setup, Weights, fastest
from .machine import cores
from .tasks import MEAN_SQUARED_ERROR, Problem, Task, one_hot

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Layout:
    """`wide`: first layer as one product `x @ [features, nets * units]`; `chunk` 0: all networks at once, the
    cores share each operation; otherwise chunks in turn, one Python thread a core."""

    wide: bool
    chunk: int

    @property
    def name(self) -> str:
        first = "wide first layer" if self.wide else "bmm first layer"
        return f"{first}, {f'chunks of {self.chunk} on threads' if self.chunk else 'all networks'}"


def layouts(networks: int) -> Iterator[Layout]:
    """Those worth a trial."""
    for wide, chunk in itertools.product((False, True), (0, 16, 64, 256, 1024)):
        if chunk * cores() <= networks:
            yield Layout(wide, chunk)


class Buffers:
    """Work space for `networks` networks, reused step after step: z[i], delta[i] are [nets, batch, units]."""

    def __init__(self, task: Task, networks: int, wide: bool) -> None:
        units = task.widths[1:]
        self.z = [torch.empty(networks, task.batch, k) for k in units]
        self.delta = [torch.empty(networks, task.batch, k) for k in units]
        self.bias = [torch.empty(networks, 1, k) for k in units]
        self.first_delta = self.delta[0]
        if wide:
            self.flat_z = torch.empty(task.batch, networks * units[0])
            self.flat_delta = torch.empty_like(self.flat_z)
            self.flat_bias = torch.empty(1, networks * units[0])
            shape = (task.batch, networks, units[0])
            self.z[0] = self.flat_z.view(shape).transpose(0, 1)
            self.first_delta = self.flat_delta.view(shape).transpose(0, 1)


class Chunk:
    """Some networks of a task: their weights and one training step."""

    def __init__(self, task: Task, problem: Problem, part: slice, wide: bool) -> None:
        self.task, self.wide = task, wide
        self._initial = [self._form(i, W[part], b[part]) for i, (W, b) in enumerate(problem.weights)]
        self.networks = len(problem.learning_rate[part])
        self.weights = [(W.clone(), b.clone()) for W, b in self._initial]
        # d loss / d out is (softmax - one_hot) / batch, or 2 (out - y) / (batch * outputs).
        outputs = task.widths[-1]
        factor = 2 / outputs if task.loss == MEAN_SQUARED_ERROR else 1.0
        rates = torch.from_numpy(problem.learning_rate[part].copy())
        self.scale = (rates * (factor / task.batch))[:, None, None]
        self.tanh = task.activation == "tanh"

    def _form(self, layer: int, W: np.ndarray, b: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        if self.wide and layer == 0:
            wide = np.ascontiguousarray(W.transpose(1, 0, 2)).reshape(W.shape[1], -1)
            return torch.from_numpy(wide), torch.from_numpy(b.reshape(1, -1).copy())
        return torch.from_numpy(W.copy()), torch.from_numpy(b[:, None, :].copy())

    def restart(self) -> None:
        """Back to the initial weights."""
        for (W, b), (W0, b0) in zip(self.weights, self._initial, strict=True):
            W.copy_(W0)
            b.copy_(b0)

    def network(self, index: int) -> Weights:
        """Weights of one network of the chunk, as NumPy arrays."""
        found = []
        for layer, (W, b) in enumerate(self.weights):
            if self.wide and layer == 0:
                W = W.view(W.shape[0], self.networks, -1).transpose(0, 1)
                b = b.view(self.networks, -1)
            found.append((W[index].numpy(), b[index].reshape(-1).numpy()))
        return found

    def step(self, space: Buffers, x: torch.Tensor, y: torch.Tensor) -> None:
        """One SGD step on the batch x [batch, features], y [batch, outputs] (one-hot for classes)."""
        self._forward(space, x)
        out, delta = space.z[-1], space.delta[-1]
        if self.task.loss == MEAN_SQUARED_ERROR:
            torch.sub(out, y, out=delta)
        else:
            torch.softmax(out, -1, out=delta)
            delta.sub_(y)
        delta.mul_(self.scale)
        self._backward(space, x)

    def _forward(self, space: Buffers, x: torch.Tensor) -> None:
        for layer, (W, b) in enumerate(self.weights):
            z = space.z[layer]
            if layer:
                torch.baddbmm(b, space.z[layer - 1], W, out=z)
            elif self.wide:
                torch.addmm(b, x, W, out=space.flat_z)
            else:
                torch.baddbmm(b, x.expand(self.networks, -1, -1), W, out=z)
            if layer < len(self.weights) - 1:
                z.tanh_() if self.tanh else z.relu_()

    def _backward(self, space: Buffers, x: torch.Tensor) -> None:
        aten = torch.ops.aten
        for layer in range(len(self.weights) - 1, 0, -1):
            (W, b), delta, h = self.weights[layer], space.delta[layer], space.z[layer - 1]
            below = space.delta[layer - 1]
            torch.bmm(delta, W.transpose(1, 2), out=below)
            masked = below if layer > 1 else space.first_delta
            if self.tanh:
                aten.tanh_backward.grad_input(below, h, grad_input=masked)
            else:
                aten.threshold_backward.grad_input(below, h, 0, grad_input=masked)
            W.baddbmm_(h.transpose(1, 2), delta, alpha=-1)
            b.sub_(torch.sum(delta, 1, keepdim=True, out=space.bias[layer]))
        (W, b), delta = self.weights[0], space.first_delta
        if self.wide:
            W.addmm_(x.t(), space.flat_delta, alpha=-1)
            b.sub_(torch.sum(space.flat_delta, 0, keepdim=True, out=space.flat_bias))
        else:
            W.baddbmm_(x.t().expand(self.networks, -1, -1), delta, alpha=-1)
            b.sub_(torch.sum(delta, 1, keepdim=True, out=space.bias[0]))


class Training:
    """All networks of a task in one layout."""

    def __init__(self, task: Task, problem: Problem, layout: Layout) -> None:
        self.task, self.layout = task, layout
        self._size = layout.chunk or task.networks
        starts = range(0, task.networks, self._size)
        self._chunks = [Chunk(task, problem, slice(s, s + self._size), layout.wide) for s in starts]
        y = problem.y if task.loss == MEAN_SQUARED_ERROR else one_hot(problem.y, task.widths[-1])
        self._batches = list(zip(torch.from_numpy(problem.X), torch.from_numpy(y), strict=True))
        self._spaces = threading.local()
        torch.set_num_threads(1 if layout.chunk else cores())
        self._pool = ThreadPoolExecutor(
            cores() if layout.chunk else 1,
            initializer=torch.set_num_threads,
            initargs=(1 if layout.chunk else cores(),),
        )

    def close(self) -> None:
        self._pool.shutdown()

    def _train(self, chunk: Chunk) -> None:
        kept = self._spaces.__dict__
        space = kept.get(chunk.networks)
        if space is None:
            space = kept[chunk.networks] = Buffers(self.task, chunk.networks, self.layout.wide)
        with torch.inference_mode():
            for x, y in self._batches:
                chunk.step(space, x, y)

    def run(self) -> float:
        """Seconds to train every network from its initial weights."""
        for chunk in self._chunks:
            chunk.restart()
        start = time.perf_counter()
        list(self._pool.map(self._train, self._chunks))
        return time.perf_counter() - start

    def network(self, index: int) -> Weights:
        return self._chunks[index // self._size].network(index % self._size)


class TorchBmm:
    """A task in the layout that wins the trial among those given."""

    def __init__(self, task: Task, problem: Problem, candidates: Iterable[Layout]) -> None:
        self.task, self.problem, self.candidates = task, problem, list(candidates)

    def prepare(self) -> Setup:
        short = self.problem.first_steps(TRIAL_STEPS)

        def seconds(layout: Layout) -> float:
            candidate = Training(self.task, short, layout)
            least = min(candidate.run() for _ in range(3))
            candidate.close()
            return least

        best, trials = fastest(self.candidates, seconds)
        self._training = Training(self.task, self.problem, best)
        self.train()
        named = {layout.name: least / len(short.X) for layout, least in trials.items()}
        return Setup(best.name, 0.0, named)

    def train(self) -> float:
        return self._training.run()

    def network(self, index: int) -> Weights:
        return self._training.network(index)


def start_torch() -> None:
    """Import PyTorch: only here, because whoever imports this module without training, asv among them, needs none."""
    global torch
    import torch


def build(task: Task, problem: Problem) -> TorchBmm:
    start_torch()
    return TorchBmm(task, problem, layouts(task.networks))


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}
