"""JAX at its best: a jitted, vmapped scan with donated weights, in whichever layout is fastest for the task.

Beside the plain forms it tries chunks of networks whose working set stays in cache, and sharding over one
host device a core: XLA's CPU backend otherwise leaves cores idle between small operations.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from . import TRIAL_STEPS, Setup, Weights, fastest
from .machine import cores
from .tasks import BETA1, BETA2, EPS, MEAN_SQUARED_ERROR, Problem, Task


@dataclass(frozen=True)
class Layout:
    """One way to write the same training; `chunk` networks at a time (0: all), on `devices` host devices."""

    order: str = "vmap(scan)"
    chunk: int = 0
    devices: int = 1

    @property
    def name(self) -> str:
        parts = [self.order]
        parts += [f"chunks of {self.chunk}"] * (self.chunk > 0)
        parts += [f"{self.devices} host devices"] * (self.devices > 1)
        return ", ".join(parts)


def layouts(networks: int) -> Iterator[Layout]:
    """Those worth a trial. Networks last in every array lost to all of these by a quarter or more."""
    yield Layout()
    yield Layout("scan(vmap)")
    yield Layout(devices=cores())
    for chunk in (16, 64, 256, 1024):
        if chunk * cores() < networks:
            yield Layout(chunk=chunk, devices=cores())


def usual(networks: int) -> Layout:
    """The one that has won most often, for who has no time to try."""
    return Layout(chunk=64, devices=cores()) if 64 * cores() < networks else Layout(devices=cores())


def make_step(task: Task) -> Callable:
    """One step of one network, by automatic differentiation: `step(state, rate, x, y) -> state`."""
    import jax
    import jax.numpy as jnp

    activation = getattr(jax.nn, task.activation)
    if task.activation == "gelu":
        activation = functools.partial(activation, approximate=False)

    def loss(weights, x, y):
        h = x
        for W, b in weights[:-1]:
            h = activation(h @ W + b)
        W, b = weights[-1]
        out = h @ W + b
        if task.loss == MEAN_SQUARED_ERROR:
            return jnp.mean((out - y) ** 2)
        hot = jax.nn.one_hot(y, out.shape[-1], dtype=out.dtype)
        return -jnp.mean(jnp.sum(hot * jax.nn.log_softmax(out), -1))

    def sgd(state, rate, x, y):
        (weights,) = state
        gradient = jax.grad(loss)(weights, x, y)
        return (jax.tree.map(lambda w, g: w - rate * g, weights, gradient),)

    def adam(state, rate, x, y):
        weights, m, v, t = state
        gradient, t = jax.grad(loss)(weights, x, y), t + 1
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradient)
        scale, root = rate / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)
        weights = jax.tree.map(lambda w, m, v: w - scale * m / (jnp.sqrt(v) / root + EPS), weights, m, v)
        return weights, m, v, t

    return {"sgd": sgd, "adam": adam}[task.optimizer]


def make_training(task: Task, layout: Layout) -> Callable:
    """`training(state, rates, X, y) -> state` over all networks of one device."""
    import jax
    from jax import lax

    step = make_step(task)

    def scan(update):
        def run(state, rates, X, y):
            def body(carried, batch):
                return update(carried, rates, *batch), None

            return lax.scan(body, state, (X, y))[0]

        return run

    if layout.order == "scan(vmap)":
        together = scan(jax.vmap(step, (0, 0, None, None)))
    else:
        together = jax.vmap(scan(step), (0, 0, None, None))
    if not layout.chunk:
        return together

    def in_chunks(state, rates, X, y):
        chunks = jax.tree.map(lambda a: a.reshape((-1, layout.chunk, *a.shape[1:])), (state, rates))
        done = lax.map(lambda part: together(*part, X, y), chunks)
        return jax.tree.map(lambda a: a.reshape((-1, *a.shape[2:])), done)

    return in_chunks


def sharded(training: Callable, devices: int) -> tuple:
    """`training` with the networks split over `devices`, and the placements of networks and of data."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    mesh = jax.make_mesh((devices,), ("networks",), devices=jax.devices()[:devices])
    split, copied = PartitionSpec("networks"), PartitionSpec()
    specs = {"in_specs": (split, split, copied, copied), "out_specs": split}
    over_all = jax.shard_map(training, mesh=mesh, check_vma=False, **specs)
    return over_all, NamedSharding(mesh, split), NamedSharding(mesh, copied)


class Compiled:
    """A layout compiled for the shapes of `problem`, with its arrays on the devices."""

    def __init__(self, task: Task, problem: Problem, layout: Layout) -> None:
        import jax

        training = make_training(task, layout)
        if layout.devices > 1:
            training, self._split, everywhere = sharded(training, layout.devices)
        else:
            self._split = everywhere = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        # Networks added to fill the last chunk are trained and ignored; on 2, 4, 8, ... cores there are none.
        multiple = layout.devices * max(layout.chunk, 1)
        networks = len(problem.learning_rate)
        self._order = np.minimum(np.arange(-(-networks // multiple) * multiple), networks - 1)
        self._task, self._problem = task, problem
        rates = jax.device_put(problem.learning_rate[self._order], self._split)
        y = problem.y.astype(np.int32 if problem.y.dtype.kind == "i" else np.float32)
        self._data = (rates, *jax.device_put((problem.X, y), everywhere))

        start = time.perf_counter()
        self._call = jax.jit(training, donate_argnums=0).lower(self._state(), *self._data).compile()
        self.compile_seconds = time.perf_counter() - start

    def _state(self):
        import jax

        weights = [(W[self._order], b[self._order]) for W, b in self._problem.weights]
        state = (weights,)
        if self._task.optimizer == "adam":
            zeros = [[(np.zeros_like(W), np.zeros_like(b)) for W, b in weights] for _ in range(2)]
            state = (weights, *zeros, np.zeros(len(self._order), np.float32))
        return jax.block_until_ready(jax.device_put(state, self._split, may_alias=False))

    def run(self):
        """Trained weights and the seconds it took, from the initial weights."""
        import jax

        state = self._state()
        start = time.perf_counter()
        trained = jax.block_until_ready(self._call(state, *self._data))
        return trained[0], time.perf_counter() - start


class JaxVmap:
    """A task in the layout that wins the trial among those given."""

    def __init__(self, task: Task, problem: Problem, candidates: Iterable[Layout]) -> None:
        self.task, self.problem, self.candidates = task, problem, list(candidates)

    def prepare(self) -> Setup:
        short = self.problem.first_steps(TRIAL_STEPS)
        compiled = {layout: Compiled(self.task, short, layout) for layout in self.candidates}

        def seconds(layout: Layout) -> float:
            return min(compiled[layout].run()[1] for _ in range(2))

        best, trials = fastest(compiled, seconds)
        self._compiled = Compiled(self.task, self.problem, best)
        self.train()
        named = {layout.name: seconds / len(short.X) for layout, seconds in trials.items()}
        return Setup(best.name, self._compiled.compile_seconds, named)

    def train(self) -> float:
        self._trained, seconds = self._compiled.run()
        return seconds

    def once(self) -> float:
        start = time.perf_counter()
        layout = usual(self.task.networks) if len(self.candidates) > 1 else self.candidates[0]
        self._compiled = Compiled(self.task, self.problem, layout)
        self.train()
        return time.perf_counter() - start

    def network(self, index: int) -> Weights:
        return [(np.asarray(W)[index], np.asarray(b)[index]) for W, b in self._trained]


def start_jax(devices: int) -> None:
    """Import JAX with so many host devices; these settings are read once, at its first import."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    if devices > 1:
        flag = f"--xla_force_host_platform_device_count={devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    import jax  # noqa: F401  fails here, by name, where JAX is not installed


def build(task: Task, problem: Problem) -> JaxVmap:
    start_jax(devices=cores())
    return JaxVmap(task, problem, layouts(task.networks))


def versions() -> dict[str, str]:
    import jax
    import jaxlib

    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__}
