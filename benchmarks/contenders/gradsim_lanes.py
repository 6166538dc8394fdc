"""gradsim itself: lane groups on threads, through the array entry of its engine."""

from __future__ import annotations

import importlib.metadata
import time

from . import Setup, Weights
from .machine import cores
from .tasks import Problem, Task


class GradsimLanes:
    """All networks through `gradsim.engine.arrays.train_arrays`, which times its kernels itself."""

    def __init__(self, task: Task, problem: Problem) -> None:
        try:
            from gradsim.engine.arrays import train_arrays
        except ImportError as error:
            raise ImportError(f"gradsim.engine.arrays.train_arrays cannot be imported ({error})") from error
        self._train_arrays, self.task, self.problem = train_arrays, task, problem
        self.trained: Weights = []

    def _run(self, networks: int, steps: int) -> float:
        weights = [(W[:networks], b[:networks]) for W, b in self.problem.weights]
        self.trained, seconds = self._train_arrays(
            weights,
            self.problem.X[:steps],
            self.problem.y[:steps],
            self.task.activation,
            self.task.loss,
            self.problem.learning_rate[:networks],
            cores(),
            optimizer=self.task.optimizer,
        )
        return seconds

    def prepare(self) -> Setup:
        """One network for one step compiles everything or loads it from gradsim's disk cache."""
        start = time.perf_counter()
        self._run(1, 1)
        compile_seconds = time.perf_counter() - start
        self.train()
        return Setup("lane groups on threads", compile_seconds)

    def train(self) -> float:
        return self._run(self.task.networks, self.task.steps)

    def once(self) -> float:
        start = time.perf_counter()
        self.train()
        return time.perf_counter() - start

    def network(self, index: int) -> Weights:
        return [(W[index], b[index]) for W, b in self.trained]


def build(task: Task, problem: Problem) -> GradsimLanes:
    return GradsimLanes(task, problem)


def peak() -> float:
    """FMA peak of all cores in GFLOP/s, from gradsim's own lane kernel."""
    try:
        from gradsim.engine.peak import fma_peak
    except ImportError as error:
        raise ImportError(f"gradsim.engine.peak.fma_peak cannot be imported ({error})") from error
    return float(fma_peak(cores(), dtype="float32", seconds=0.3))


def versions() -> dict[str, str]:
    import gradsim

    found = {"gradsim": getattr(gradsim, "__version__", "checkout")}
    return found | {name: importlib.metadata.version(name) for name in ("numba", "llvmlite", "numpy")}
