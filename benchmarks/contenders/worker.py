"""One contender in a process of its own: requests come as JSON lines on stdin, replies go out on stdout.

Between requests it blocks on the pipe, so that a contender that is not its turn costs nothing.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import asdict, replace

from . import CannotTakePart, Contender, load
from .tasks import ROWS, Task, make_problem
from .twin import Gate


class Worker:
    """Holds the contender's module and, once prepared, the task it trains."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.contender: Contender
        self.gate: Gate

    def _build(self, task: Task) -> Task:
        """Load a task, or the contender's share of it; the task as it is loaded."""
        module = load(self.name)
        task = replace(task, networks=module.share(task) if hasattr(module, "share") else task.networks)
        problem = make_problem(task)
        self.gate = Gate(task, problem)
        self.contender = module.build(task, problem)
        return task

    def prepare(self, row: str, quick: bool) -> dict:
        """Build the task, let the contender settle, and check its first result."""
        task = self._build((ROWS[row].quick() if quick else ROWS[row]).tasks[0])
        start = time.perf_counter()
        setup = self.contender.prepare()
        seconds = time.perf_counter() - start
        error = self.gate.error(self.contender.network)
        ready = {"prepare_seconds": seconds, "error": error, "flops": task.flops}
        return {**asdict(setup), **ready, "network_steps": task.networks * task.steps, **self._versions()}

    def train(self) -> dict:
        """One repeat: seconds of training, and the error against the twin."""
        seconds = self.contender.train()
        return {"seconds": seconds, "error": self.gate.error(self.contender.network)}

    def campaign(self, row: str, quick: bool) -> dict:
        """Every task of a campaign once, in a process that has compiled nothing yet; the worst error."""
        seconds, worst, flops, steps = 0.0, 0.0, 0, 0
        for task in (ROWS[row].quick() if quick else ROWS[row]).tasks:
            task = self._build(task)
            seconds += self.contender.once()
            worst = max(worst, self.gate.error(self.contender.network))
            flops, steps = flops + task.flops, steps + task.networks * task.steps
        return {"seconds": seconds, "error": worst, "flops": flops, "network_steps": steps, **self._versions()}

    def _versions(self) -> dict:
        return {"versions": load(self.name).versions()}

    def peak(self) -> dict:
        """The machine's FMA peak in GFLOP/s, for the contender that can measure it."""
        return {"gflops": load(self.name).peak()}


def answer(worker: Worker, request: dict) -> dict:
    """The reply to one request, with the CPU seconds it took, its helpers' too, and the most memory held so far; a
    failure is a reply too, in one line, with the traceback on stderr."""
    before = time.process_time()
    try:
        reply = getattr(worker, request.pop("do"))(**request)
    except CannotTakePart as error:
        return {"absent": str(error)}
    except ImportError as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {str(error)[:200]}".split("\n", 1)[0]}
    unit = 1 if sys.platform == "darwin" else 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    spent = time.process_time() - before + getattr(getattr(worker, "contender", None), "helper_seconds", 0.0)
    return {**reply, "cpu_seconds": spent, "peak_bytes": held}


def main() -> None:
    """Serve until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to handle
    # Libraries may print to stdout: keep the protocol's own copy and send the rest to stderr.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        replies.write(json.dumps(answer(worker, json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
