"""Where a training step's time goes: stages by layer that sum to the whole, of one thread.

    python benchmarks/stages.py [--rows NAME ...] [--activation NAME] [--optimizer NAME] [--dtype float64] [--batch N]

The rows are those of peers.py. A second trainer, compiled with a clock, counts cycles between marks; the least of many
repetitions of each stage is printed, in nanoseconds of a group's step, as a share of the whole and, for contractions,
as a share of the multiply-add peak. "whole" is the trainer without a clock; what the sum of the stages differs from it
by is what the marks and the walls between stages cost, or save. `--threads` adds what two threads do and how long they
wait; what records cost is told by overheads.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.contenders.tasks import MEAN_SQUARED_ERROR, SHAPES  # noqa: E402
from gradsim import jit  # noqa: E402
from gradsim.activations import get  # noqa: E402
from gradsim.engine.arrays import networks_of, task_of  # noqa: E402
from gradsim.engine.clock import DELTAS, FORWARD, GRADIENT, STAGES, cycles, mark, new_clock  # noqa: E402
from gradsim.engine.network import Architecture  # noqa: E402
from gradsim.engine.peak import fma_peak  # noqa: E402
from gradsim.engine.train import Networks, Task, Work  # noqa: E402
from gradsim.lanes import LANES  # noqa: E402
from gradsim.optimizers import OPTIMIZERS  # noqa: E402

TASKS = {shape.name: shape for shape in SHAPES}
ROUNDS = 40
TURN = 4e-3  # seconds of training a repetition, about
NOMINAL = 5e10  # floating point operations a second, to choose the steps by


@jit.kernel
def _marks(clock, times):
    for _ in range(times):
        mark(clock, 0, 0)


@jit.kernel
def _now():
    return cycles()


def cycles_a_second() -> float:
    """Of the time stamp, which counts at its own constant rate."""
    start, first = time.perf_counter(), _now()
    while time.perf_counter() - start < 0.05:
        pass
    last = _now()
    return (last - first) / (time.perf_counter() - start)


def cycles_a_mark() -> float:
    """What reading the clock costs."""
    clock = new_clock(1)
    taken = []
    for _ in range(20):
        first = _now()
        _marks(clock, 1000)
        taken.append((_now() - first) / 1000)
    return min(taken)


@dataclasses.dataclass(frozen=True)
class Case:
    """A task of peers.py, as it is or changed."""

    widths: tuple[int, ...]
    activation: str
    loss: str
    optimizer: str
    batch: int
    full: bool
    dtype: np.dtype

    @property
    def architecture(self) -> Architecture:
        return Architecture(self.widths, (get(self.activation),) * (len(self.widths) - 2))

    @property
    def flops(self) -> int:
        """Of a group's step."""
        return LANES[self.dtype] * self.architecture.step_flops(self.batch)

    def contraction(self, stage: int, layer: int) -> int:
        """Floating point operations of a stage of a group's step, 0 where it is no contraction."""
        if stage not in CONTRACTIONS:
            return 0
        return 2 * self.batch * self.widths[layer] * self.widths[layer + 1] * LANES[self.dtype]

    def made(self) -> tuple[Task, Networks, int]:
        """A task of as many steps as take a turn, one group of networks for it, and the steps."""
        rng, outputs = np.random.default_rng(0), self.widths[-1]
        steps = max(2, int(TURN * NOMINAL / self.flops))
        drawn = 1 if self.full else steps
        X = rng.standard_normal((drawn, self.batch, self.widths[0])).astype(self.dtype)
        y = rng.integers(0, outputs, (drawn, self.batch))
        if self.loss == MEAN_SQUARED_ERROR:
            y = rng.standard_normal((drawn, self.batch, outputs)).astype(self.dtype)
        if self.full:
            X, y = (np.broadcast_to(a, (steps, *a.shape[1:])) for a in (X, y))
        task = task_of(self.architecture, self.dtype, X, y, self.loss, self.optimizer)
        count = LANES[self.dtype]
        weights = [
            (
                (rng.standard_normal((count, m, n)) * np.sqrt(1.5 / m)).astype(self.dtype),
                np.zeros((count, n), self.dtype),
            )
            for m, n in zip(self.widths, self.widths[1:], strict=False)
        ]
        return task, networks_of(task, weights, np.full(count, 1e-3)), steps


CONTRACTIONS = (FORWARD, GRADIENT, DELTAS)
WIDTHS = (22, 10, 7, 7)  # of the table's columns


def head(*names: str) -> str:
    """The table's first two lines."""
    cells = [f"{n:<{w}}" if i == 0 else f"{n:>{w}}" for i, (n, w) in enumerate(zip(names, WIDTHS, strict=True))]
    return f"| {' | '.join(cells)} |\n|:{'-' * WIDTHS[0]}-|" + "".join(f"-{'-' * w}:|" for w in WIDTHS[1:])


def measured(case: Case) -> tuple[np.ndarray, float, float]:
    """Least seconds of each stage and layer of a group's step, those of a step without a clock, and the multiply-add
    peak (its median: a clock that jumps makes peaks that are none), all in turns."""
    task, networks, steps = case.made()
    begin, records = networks.weights.copy(), task.records(1)
    go, stopped = np.zeros(1, np.int64), np.ones(1, np.int64)
    plain = task.workspace()
    timed = plain._replace(clock=new_clock(task.architecture.depth))
    least, whole, call, peaks = np.full((len(STAGES), task.architecture.depth), np.inf), np.inf, np.inf, []

    def taken(work: Work, stop: np.ndarray) -> float:
        networks.weights[...] = begin
        start = time.thread_time()
        task.run(networks, records, work, stop)
        return time.thread_time() - start

    for _ in range(ROUNDS):
        timed.clock[...] = 0
        taken(timed, go)
        least = np.minimum(least, timed.clock[1:].reshape(-1, len(STAGES)).T)
        peaks.append(fma_peak(1, case.dtype.name, 1e-3, time.thread_time))
        # A run that is stopped before its first step is what a call from Python costs.
        whole, call = min(whole, taken(plain, go)), min(call, taken(plain, stopped))
    marks = np.where(least > 0, steps * cycles_a_mark(), 0)
    return (
        np.maximum(least - marks, 0) / cycles_a_second() / steps,
        (whole - call) / steps,
        1e9 * float(np.median(peaks)),
    )


def breakdown(case: Case) -> list[str]:
    """The table's lines."""
    least, whole, peak = measured(case)
    lines = []

    def line(name: str, seconds: float, flops: int = 0) -> None:
        share = f"{100 * flops / peak / seconds:.0f}%" if flops else ""
        lines.append(f"| {name:<22} | {1e9 * seconds:10,.0f} | {100 * seconds / whole:6.1f}% | {share:>7} |")

    # Layers of one shape stand together.
    shapes = list(zip(case.widths, case.widths[1:], strict=False))
    for stage, name in enumerate(STAGES):
        for shape in dict.fromkeys(shapes):
            layers = [i for i, s in enumerate(shapes) if s == shape]
            seconds = least[stage, layers].sum()
            if seconds > 0:
                flops = sum(case.contraction(stage, i) for i in layers)
                by_layer = stage in CONTRACTIONS or least[stage, 1:].any()
                line(f"{name} {shape[0]}-{shape[1]}" if by_layer else name, seconds, flops)
    line("sum of stages", least.sum(), case.flops)
    line("whole", whole, case.flops)
    return lines


def second_thread(case: Case) -> str:
    """What two threads do in the time of one, and how long they wait."""
    made = [case.made() for _ in range(2)]

    def train(task: Task, networks: Networks) -> float:
        records, work, stop = task.records(1), task.workspace(), np.zeros(1, np.int64)
        start = time.thread_time()
        for _ in range(20):
            task.run(networks, records, work, stop)
        return time.thread_time() - start

    def taken(threads: int) -> tuple[float, float]:
        with ThreadPoolExecutor(threads) as pool:
            start = time.perf_counter()
            busy = sum(pool.map(lambda m: train(m[0], m[1]), made[:threads]))
            return time.perf_counter() - start, busy

    one, two = (min(taken(n) for _ in range(5)) for n in (1, 2))
    return f"two threads: {2 * one[0] / two[0]:.2f} x one; idle {100 * max(0.0, 1 - two[1] / 2 / two[0]):.0f}%"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--activation")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--threads", action="store_true", help="also try a second thread")
    given = parser.parse_args(arguments)
    for name in given.rows:
        t = TASKS[name]
        case = Case(
            t.widths,
            given.activation or t.activation,
            t.loss,
            given.optimizer,
            given.batch or t.batch,
            t.full_batch,
            np.dtype(given.dtype),
        )
        print(f"\n{name}, {case.activation}, {case.optimizer}, batch {case.batch}, {case.dtype}\n")
        print(head("stage", "ns a step", "share", "of peak"))
        print("\n".join(breakdown(case)))
        if given.threads:
            print(second_thread(case))


if __name__ == "__main__":
    main()
