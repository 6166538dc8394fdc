"""PyTorch at its best: forward and backward by hand with batched products into preallocated buffers.

With SGD the learning rates are multiplied into the output's delta, so that each weight gradient and its update are
one in-place `baddbmm_`. It tries the first layer as one wide product (its input is shared by all networks) and
chunks of networks, small enough for the cache, on one Python thread a core.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import TRIAL_STEPS, Setup, Weights, fastest
from .machine import cores
from .tasks import BETA1, BETA2, EPS, MEAN_SQUARED_ERROR, Problem, Task, one_hot

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


def usual(candidates: list[Layout]) -> Layout:
    """The one that has won most often, for who has no time to try."""
    return next((layout for layout in candidates if layout.chunk == 64 and not layout.wide), candidates[0])


@dataclass(frozen=True)
class Activation:
    """`forward(z, h)` writes h, `backward(delta, z, h, out)` delta times the slope; without `keeps_z` z is h."""

    forward: Callable
    backward: Callable
    keeps_z: bool = False


def activation_of(name: str) -> Activation:
    """PyTorch's kernels of an activation, into given arrays."""
    aten = torch.ops.aten
    return {
        "relu": Activation(
            lambda z, h: torch.clamp_min(z, 0, out=h),
            lambda d, z, h, out: aten.threshold_backward.grad_input(d, h, 0, grad_input=out),
        ),
        "tanh": Activation(
            lambda z, h: torch.tanh(z, out=h),
            lambda d, z, h, out: aten.tanh_backward.grad_input(d, h, grad_input=out),
        ),
        "sigmoid": Activation(
            lambda z, h: torch.sigmoid(z, out=h),
            lambda d, z, h, out: aten.sigmoid_backward.grad_input(d, h, grad_input=out),
        ),
        "elu": Activation(
            lambda z, h: aten.elu.out(z, out=h),
            lambda d, z, h, out: aten.elu_backward.grad_input(d, 1, 1, 1, True, h, grad_input=out),
        ),
        "leaky_relu": Activation(
            lambda z, h: aten.leaky_relu.out(z, 0.01, out=h),
            lambda d, z, h, out: aten.leaky_relu_backward.grad_input(d, h, 0.01, True, grad_input=out),
        ),
        "gelu": Activation(
            lambda z, h: aten.gelu.out(z, out=h),
            lambda d, z, h, out: aten.gelu_backward.grad_input(d, z, grad_input=out),
            keeps_z=True,
        ),
        "silu": Activation(
            lambda z, h: aten.silu.out(z, out=h),
            lambda d, z, h, out: aten.silu_backward.grad_input(d, z, grad_input=out),
            keeps_z=True,
        ),
        "softplus": Activation(
            lambda z, h: aten.softplus.out(z, out=h),
            lambda d, z, h, out: aten.softplus_backward.grad_input(d, z, 1, 20, grad_input=out),
            keeps_z=True,
        ),
    }[name]


class Buffers:
    """Work space for `networks` networks, reused step after step: z[i], h[i], delta[i] are [nets, batch, units]."""

    def __init__(self, chunk: Chunk) -> None:
        task, networks = chunk.task, chunk.networks
        units = task.widths[1:]
        self.z = [torch.empty(networks, task.batch, k) for k in units]
        self.delta = [torch.empty(networks, task.batch, k) for k in units]
        self.gradient = [(torch.empty_like(W), torch.empty_like(b)) for W, b in chunk.weights]
        self.first_delta = self.delta[0]
        if chunk.wide:
            self.flat_z = torch.empty(task.batch, networks * units[0])
            self.flat_delta = torch.empty_like(self.flat_z)
            shape = (task.batch, networks, units[0])
            self.z[0] = self.flat_z.view(shape).transpose(0, 1)
            self.first_delta = self.flat_delta.view(shape).transpose(0, 1)
        self.h = [torch.empty_like(z) for z in self.z] if chunk.activation.keeps_z else self.z


class Chunk:
    """Some networks of a task: their weights and one training step."""

    def __init__(self, task: Task, problem: Problem, part: slice, wide: bool) -> None:
        self.task, self.wide, self.activation = task, wide, activation_of(task.activation)
        self._initial = [self._form(i, W[part], b[part]) for i, (W, b) in enumerate(problem.weights)]
        self.networks = len(problem.learning_rate[part])
        self.weights = [(W.clone(), b.clone()) for W, b in self._initial]
        # d loss / d out is (softmax - one_hot) / batch, or 2 (out - y) / (batch * outputs).
        outputs = task.widths[-1]
        self.scale: float | torch.Tensor = (2 / outputs if task.loss == MEAN_SQUARED_ERROR else 1.0) / task.batch
        rates = torch.from_numpy(problem.learning_rate[part].copy())[:, None, None]
        self.moments: list[tuple[torch.Tensor, torch.Tensor]] = []
        if task.optimizer == "sgd":
            self.scale = rates * self.scale
        else:
            flat = [w for pair in self.weights for w in pair]
            self.moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in flat]
            first = rates.view(1, -1).repeat_interleave(task.widths[1], 1) if wide else rates
            self.rates = [first, first, *[rates] * (len(flat) - 2)]

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
        for m, v in self.moments:
            m.zero_()
            v.zero_()

    def network(self, index: int) -> Weights:
        """Weights of one network of the chunk, as NumPy arrays."""
        found = []
        for layer, (W, b) in enumerate(self.weights):
            if self.wide and layer == 0:
                W = W.view(W.shape[0], self.networks, -1).transpose(0, 1)
                b = b.view(self.networks, -1)
            found.append((W[index].numpy(), b[index].reshape(-1).numpy()))
        return found

    def step(self, space: Buffers, x: torch.Tensor, y: torch.Tensor, number: int) -> None:
        """Step `number`, from 1, on the batch x [batch, features], y [batch, outputs] (one-hot for classes)."""
        self._forward(space, x)
        out, delta = space.z[-1], space.delta[-1]
        if self.task.loss == MEAN_SQUARED_ERROR:
            torch.sub(out, y, out=delta)
        else:
            torch.softmax(out, -1, out=delta)
            delta.sub_(y)
        delta.mul_(self.scale)
        self._backward(space, x)
        if self.moments:
            self._adam(space, number)

    def _forward(self, space: Buffers, x: torch.Tensor) -> None:
        for layer, (W, b) in enumerate(self.weights):
            z = space.z[layer]
            if layer:
                torch.baddbmm(b, space.h[layer - 1], W, out=z)
            elif self.wide:
                torch.addmm(b, x, W, out=space.flat_z)
            else:
                torch.baddbmm(b, x.expand(self.networks, -1, -1), W, out=z)
            if layer < len(self.weights) - 1:
                self.activation.forward(z, space.h[layer])

    def _backward(self, space: Buffers, x: torch.Tensor) -> None:
        for layer in range(len(self.weights) - 1, 0, -1):
            W, delta, h = self.weights[layer][0], space.delta[layer], space.h[layer - 1]
            below = space.delta[layer - 1]
            torch.bmm(delta, W.transpose(1, 2), out=below)
            masked = below if layer > 1 else space.first_delta
            self.activation.backward(below, space.z[layer - 1], h, masked)
            self._descend(space, layer, h.transpose(1, 2), delta)
        if self.wide:
            self._descend(space, 0, x.t(), space.flat_delta)
        else:
            self._descend(space, 0, x.t().expand(self.networks, -1, -1), space.first_delta)

    def _descend(self, space: Buffers, layer: int, h: torch.Tensor, delta: torch.Tensor) -> None:
        """The layer's update where that is all, else its gradient."""
        (W, b), (dW, db) = self.weights[layer], space.gradient[layer]
        torch.sum(delta, -2, keepdim=True, out=db)
        if self.moments:
            torch.matmul(h, delta, out=dW)
        else:
            (W.baddbmm_ if W.ndim == 3 else W.addmm_)(h, delta, alpha=-1)
            b.sub_(db)

    def _adam(self, space: Buffers, number: int) -> None:
        correction, root = 1 - BETA1**number, (1 - BETA2**number) ** 0.5
        weights, gradients = ([w for pair in pairs for w in pair] for pairs in (self.weights, space.gradient))
        for w, g, (m, v), rate in zip(weights, gradients, self.moments, self.rates, strict=True):
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            torch.sqrt(v, out=g).div_(root).add_(EPS)
            torch.div(m, g, out=g)
            w.addcmul_(g, rate, value=-1 / correction)


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
            space = kept[chunk.networks] = Buffers(chunk)
        with torch.inference_mode():
            for number, (x, y) in enumerate(self._batches, 1):
                chunk.step(space, x, y, number)

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
            least = min(candidate.run() for _ in range(2))
            candidate.close()
            return least

        best, trials = fastest(self.candidates, seconds)
        self._training = Training(self.task, self.problem, best)
        self.train()
        named = {layout.name: least / len(short.X) for layout, least in trials.items()}
        return Setup(best.name, 0.0, named)

    def train(self) -> float:
        return self._training.run()

    def once(self) -> float:
        start = time.perf_counter()
        self._training = Training(self.task, self.problem, usual(self.candidates))
        self.train()
        return time.perf_counter() - start

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
